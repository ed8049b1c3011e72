"""Tails down to 1e-300, by mpmath with 60 digits: tails.json, rows of function, arguments, value.

Made with mpmath 1.4.1: `python tails.py > tails.json`.
"""

import json

from mpmath import betainc, erfc, gammainc, mp, mpf, sqrt

mp.dps = 60


def normal(x):
    return erfc(mpf(x) / sqrt(2)) / 2


def chi_squared(x, df):
    return gammainc(mpf(df) / 2, mpf(x) / 2, mp.inf, regularized=True)


def beta(x, a, b):
    return betainc(a, b, 0, mpf(x), regularized=True)


def student(t, df):
    t, df = mpf(t), mpf(df)
    return betainc(df / 2, mpf(1) / 2, 0, df / (df + t * t), regularized=True) / 2


def fisher(x, df1, df2):
    x, df1, df2 = mpf(x), mpf(df1), mpf(df2)
    return betainc(df2 / 2, df1 / 2, 0, df2 / (df2 + df1 * x), regularized=True)


CASES = [
    ("normal_sf", normal, [(0.5,), (5,), (15,), (30,), (36.5,), (37,)]),
    ("chi_squared_sf", chi_squared, [(3, 2), (100, 1), (700, 10), (1300, 3), (1380, 4), (2500, 1000)]),
    ("student_sf", student, [(2, 3), (30, 100), (60, 300), (43, 2000), (36.5, 100000), (1e6, 40)]),
    ("beta_cdf", beta, [(0.3, 2, 5), (1e-6, 20, 3), (1e-100, 3, 2), (0.01, 150, 7), (0.65, 3000, 500), (1e-3, 100, 2)]),
    ("f_sf", fisher, [(3, 2, 20), (200, 1, 100), (500, 3, 400), (40, 5, 5000), (900, 2, 500)]),
]

rows = [[name, list(args), mp.nstr(function(*args), 20)] for name, function, all_args in CASES for args in all_args]
print("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]")

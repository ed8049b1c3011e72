"""Reference values for the win rate at equal lengths.

Makes length_controlled.json: tables of pairs (cluster, difference of lengths, score, weight) with what statsmodels says of
score ~ 1 + tanh(difference / sd) as a weighted binomial model with cluster-robust errors, sd being that of the rows.
Made with Python 3, statsmodels 0.15.0 and numpy 2.4.6: `python length_controlled.py > length_controlled.json`.
"""

import json
import random

import numpy as np
import statsmodels.api as sm


def tables():
    random.seed(20261126)
    for items, draws, bias, lead in [(40, 1, 1.2, 0.0), (30, 3, 0.6, -0.5), (120, 2, 2.0, 0.4), (25, 1, 0.0, 0.0)]:
        rows = []
        for item in range(items):
            # Some items lack pairs, so that weights differ; every fifth shares its cluster with the next.
            pairs = max(1, draws - item % 3 // 2)
            cluster = item - 1 if item % 5 == 1 else item
            for _ in range(pairs):
                difference = round(random.gauss(30, 60))
                p = 1 / (1 + np.exp(-(lead + bias * np.tanh(difference / 60))))
                score = random.choices([1.0, 0.5, 0.0], [0.7 * p, 0.3, 0.7 * (1 - p)])[0]
                rows.append((cluster, difference, score, 1 / pairs))
        yield rows


def main():
    cases = []
    for rows in tables():
        cluster, difference, score, weight = (np.array(column) for column in zip(*rows))
        x = sm.add_constant(np.tanh(difference / np.std(difference, ddof=1)))
        model = sm.GLM(score, x, family=sm.families.Binomial(), var_weights=weight)
        fit = model.fit(
            tol=1e-14, maxiter=200, cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": False}
        )
        groups = len(set(cluster.tolist()))
        errors = fit.bse * np.sqrt(groups / (groups - 1))
        cases.append({"rows": rows, "params": fit.params.tolist(), "bse": errors.tolist(), "clusters": groups})
    print(json.dumps({"cases": cases}, indent=None))


if __name__ == "__main__":
    main()

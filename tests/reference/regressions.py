"""Reference values for the marginal logistic model and the cluster-robust linear model.

Makes regressions.json: small tables of draws (cluster, arm, score) with what statsmodels says of them.
Made with Python 3, statsmodels 0.15.0 and numpy 2.4.6: `python regressions.py > regressions.json`.
"""

import json
import random

import numpy as np
import statsmodels
import statsmodels.api as sm


def tables():
    random.seed(20261123)
    for clusters, draws, effect in [(40, 1, 0.8), (25, 3, -0.4), (60, 5, 0.1), (12, 2, 1.5)]:
        rows = []
        for cluster in range(clusters):
            skill = random.gauss(0.3, 1.2)
            for arm in (0, 1):
                # A few clusters lack draws, so that sizes differ.
                for _ in range(max(1, draws - (cluster + arm) % 3 // 2)):
                    p = 1 / (1 + np.exp(-(skill + effect * arm)))
                    right = int(random.random() < p)
                    rows.append((cluster, arm, right, round(min(1.0, right * 0.7 + 0.3 * random.random()), 3)))
        yield rows


def main():
    cases = []
    for rows in tables():
        cluster = np.array([r[0] for r in rows])
        x = sm.add_constant(np.array([r[1] for r in rows], dtype=float))
        right = np.array([r[2] for r in rows], dtype=float)
        score = np.array([r[3] for r in rows])
        gee = sm.GEE(right, x, groups=cluster, family=sm.families.Binomial(), cov_struct=sm.cov_struct.Exchangeable())
        gee = gee.fit(maxiter=500, ctol=1e-13)
        ols = sm.OLS(score, x).fit(cov_type="cluster", cov_kwds={"groups": cluster})
        cases.append(
            {
                "rows": rows,
                "gee": {
                    "params": list(gee.params),
                    "bse": list(gee.bse),
                    "correlation": float(gee.model.cov_struct.dep_params),
                },
                "ols": {"params": list(ols.params), "bse": list(ols.bse)},
            }
        )
    print(json.dumps({"statsmodels": statsmodels.__version__, "cases": cases}))


main()

"""Statistics of the bundled example, computed anew: example.json.

The item scores are those of `exp build` on the bundled example; every expected value is computed from them by scipy,
statsmodels or plain enumeration, never by `exp`. Made with scipy 1.17.1, statsmodels 0.15.0, numpy 2.4.6:
`python example.py RUN CONFIG > example.json`, RUN being the run's directory and CONFIG the directory `config`.
`expected` lists pairs: a JSON pointer into the results of one temperature (or `family`), and the value.
"""

import csv
import itertools
import json
import math
import pathlib
import sys
from collections import defaultdict
from fractions import Fraction

import numpy as np
import statsmodels.api as sm
from scipy import integrate, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

TRIALS = [
    ("operational_only-mx64-64-t0", "0.0", 1, {"closed_book": ["em", "f1"], "open_book": ["em", "f1"]}),
    (
        "operational_only-mx64-64-t07",
        "0.7",
        5,
        {"closed_book": ["em", "abstain_rate"], "open_book": ["em", "abstain_rate", "false_answer_rate"]},
    ),
]
Z = stats.norm.ppf(0.975)


def flip_law(weights):
    """The law of the sum of weights with random signs, as value -> share of sign patterns, in whole numbers."""
    law = {0: 1}
    for weight in weights:
        new = defaultdict(int)
        for value, count in law.items():
            new[value + weight] += count
            new[value - weight] += count
        law = new
    return law


def flips(weights):
    """Two-sided p of the sum under random signs; exact."""
    weights = [w for w in weights if w != 0]
    total = abs(sum(weights))
    if total == 0:
        return 1.0
    law = flip_law(weights)
    return sum(count for value, count in law.items() if abs(value) >= total) / 2 ** len(weights)


def whole(values):
    """Brings fractions to whole numbers."""
    parts = [Fraction(v).limit_denominator(2000) for v in values]
    common = math.lcm(*(p.denominator for p in parts))
    return [int(p * common) for p in parts]


def signed_ranks(d):
    """Twice the mid-ranks with the differences' signs, zeros dropped, as whole numbers."""
    d = np.array([v for v in d if v != 0])
    ranks = stats.rankdata(np.abs(d)) * 2
    return [int(round(r)) * (1 if v > 0 else -1) for r, v in zip(ranks, d)]


def rank_interval(d):
    """Walsh averages at the places that the law without ties gives."""
    n = len(d)
    law = np.zeros(n * (n + 1) // 2 + 1)
    law[0] = 1.0
    for i in range(1, n + 1):
        shifted = np.zeros_like(law)
        shifted[i:] = law[:-i]
        law = (law + shifted) / 2
    w = int(np.searchsorted(np.cumsum(law), 0.025, side="right"))
    walsh = np.sort([(a + b) / 2 for a, b in itertools.combinations_with_replacement(d, 2)])
    return float(np.median(walsh)), [float(walsh[w - 1]), float(walsh[-w])]


def newcombe(a, b, c, d):
    n = a + b + c + d
    lt, ut = proportion_confint(a + b, n, method="wilson")
    lc, uc = proportion_confint(a + c, n, method="wilson")
    pt, pc = (a + b) / n, (a + c) / n
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    numerator = a * d - b * c
    if numerator > 0:
        numerator = max(numerator - n / 2, 0)
    phi = numerator / math.sqrt(margins) if margins > 0 else 0.0
    low = math.sqrt((pt - lt) ** 2 - 2 * phi * (pt - lt) * (uc - pc) + (uc - pc) ** 2)
    high = math.sqrt((ut - pt) ** 2 - 2 * phi * (ut - pt) * (pc - lc) + (pc - lc) ** 2)
    return [pt - pc - low, pt - pc + high]


def aurc(answered, right):
    """Mean risk over the coverage, by numerical integration; items of one share of answers come in no order."""
    groups = defaultdict(lambda: [0.0, 0.0])
    for a, r in zip(answered, right):
        groups[round(1 - a, 9)][0] += a
        groups[round(1 - a, 9)][1] += a - r
    area, covered, wrong, n = 0.0, 0.0, 0.0, len(answered)
    for share in sorted(groups):
        kept, errors = groups[share]
        if kept == 0:
            continue
        rate = errors / kept
        area += integrate.quad(
            lambda x: (wrong + rate * (x * n - covered)) / (x * n) if x > 0 else rate,
            covered / n,
            (covered + kept) / n,
            epsabs=1e-14,
            epsrel=1e-13,
        )[0]
        covered, wrong = covered + kept, wrong + errors
    return area / (covered / n)


def compare(at, rows, metric, draws, out):
    """rows: (group, control, treatment), item means."""
    groups = [row[0] for row in rows]
    control = np.array([row[1] for row in rows])
    treatment = np.array([row[2] for row in rows])
    lattice = whole(list(treatment) + list(control))
    exact = [t - c for t, c in zip(lattice[: len(rows)], lattice[len(rows) :])]
    d = np.round(treatment - control, 12)
    n = len(d)

    def put(name, value):
        out.append([f"{at}/metrics/{metric}/{name}", value])

    def ends(name, pair):
        put(f"{name}/0", pair[0])
        put(f"{name}/1", pair[1])

    put("n_items", n)
    put("control_mean", control.mean())
    put("treatment_mean", treatment.mean())
    put("delta_mean", d.mean())
    codes = {g: i for i, g in enumerate(dict.fromkeys(groups))}
    fit = sm.OLS(d, np.ones(n)).fit(
        cov_type="cluster", cov_kwds={"groups": np.array([codes[g] for g in groups])}, use_t=True
    )
    put("se", fit.bse[0])
    put("test/p_value", fit.pvalues[0])
    put("tests/cluster-robust-t", fit.pvalues[0])
    ends("intervals/t-cluster-robust/ci_95", fit.conf_int()[0])
    ends("intervals/t/ci_95", stats.t.interval(0.95, n - 1, d.mean(), stats.sem(d)))
    put("tests/paired-t", stats.ttest_rel(treatment, control).pvalue)
    put("tests/permutation-exact", flips(exact))
    sums = defaultdict(int)
    for g, v in zip(groups, exact):
        sums[g] += v
    put("tests/cluster-permutation-exact", flips(sums.values()))
    ranks = signed_ranks(exact)
    put("wilcoxon/W", min(sum(r for r in ranks if r > 0), -sum(r for r in ranks if r < 0)) / 2)
    total = sum(ranks)
    law = flip_law([abs(r) for r in ranks])
    put("tests/wilcoxon-wilcox-exact", flips(ranks))
    put("wilcoxon/p_greater", sum(c for v, c in law.items() if v >= total) / 2 ** len(ranks))
    put("wilcoxon/p_less", sum(c for v, c in law.items() if v <= total) / 2 ** len(ranks))
    normal = stats.wilcoxon(exact, zero_method="wilcox", correction=True, method="approx")
    put("tests/wilcoxon-wilcox-normal-tie-and-continuity-corrected", normal.pvalue)
    sd = d.std(ddof=1)
    put("cohens_dz", d.mean() / sd)
    put("hedges_gz", math.exp(math.lgamma((n - 1) / 2) - math.lgamma((n - 2) / 2)) / math.sqrt((n - 1) / 2) * d.mean() / sd)
    average = math.sqrt((control.var(ddof=1) + treatment.var(ddof=1)) / 2)
    put("cohens_dav", d.mean() / average)
    put("hedges_gav", (1 - 3 / (4 * (2 * n - 2) - 1)) * d.mean() / average)
    put("cliffs_delta", float(np.sign(np.round(treatment[:, None] - control[None, :], 9)).mean()))
    put("rank_biserial", total / sum(abs(r) for r in ranks))
    estimate, interval = rank_interval(d)
    put("hodges_lehmann", estimate)
    ends("hodges_lehmann_intervals/hodges-lehmann-exact/ci_95", interval)
    put("power/smallest_detectable", (Z + stats.norm.ppf(0.8)) * fit.bse[0])
    if draws == 1 and metric == "em":
        a = int(sum((control == 1) & (treatment == 1)))
        b = int(sum((control == 0) & (treatment == 1)))
        c = int(sum((control == 1) & (treatment == 0)))
        table = [[a, c], [b, n - a - b - c]]
        put("tests/mcnemar-exact", mcnemar(table, exact=True).pvalue)
        k = min(b, c)
        mid = 1.0 if b == c else 2 * stats.binom.cdf(k, b + c, 0.5) - stats.binom.pmf(k, b + c, 0.5)
        put("tests/mcnemar-mid-p", mid)
        put("tests/mcnemar-chi-squared", mcnemar(table, exact=False, correction=False).pvalue)
        # statsmodels squares |b - c| - 1 also where that is negative; R, as we, has no correction there.
        gap = max(abs(b - c) - 1, 0)
        put("tests/mcnemar-chi-squared-continuity-corrected", stats.chi2.sf(gap**2 / (b + c), 1))
        ends("intervals/newcombe-10/ci_95", newcombe(a, b, c, n - a - b - c))
        p, q = (b + 1) / (n + 2), (c + 1) / (n + 2)
        half = Z * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
        ends("intervals/bonett-price/ci_95", [p - q - half, p - q + half])
        out.append([f"{at}/mcnemar/p_exact", mcnemar(table, exact=True).pvalue])
        if c > 0:
            out.append([f"{at}/mcnemar/odds_ratio", b / c])
            low, high = stats.beta.ppf(0.025, b, c + 1), stats.beta.ppf(0.975, b + 1, c)
            if b > 0:
                out.append([f"{at}/mcnemar/or_ci_95/0", low / (1 - low)])
            out.append([f"{at}/mcnemar/or_ci_95/1", high / (1 - high)])
        for arm, right in (("control", a + c), ("treatment", a + b)):
            for ours, theirs in (("wilson", "wilson"), ("clopper-pearson", "beta")):
                found = proportion_confint(right, n, method=theirs)
                out.append([f"{at}/arms/{arm}/{metric}/intervals/{ours}/ci_95/0", found[0]])
                out.append([f"{at}/arms/{arm}/{metric}/intervals/{ours}/ci_95/1", found[1]])
    if draws > 1:
        for arm, values in (("control", control), ("treatment", treatment)):
            right = [int(round(v * draws)) for v in values]
            within = np.mean([np.var([1] * r + [0] * (draws - r), ddof=1) for r in right])
            put(f"draws/{arm}/within_item_variance", within)
            put(f"draws/{arm}/item_mean_variance", values.var(ddof=1))
            spread = values.var(ddof=1)
            put(f"draws/{arm}/sampling_share", min(1.0, within / draws / spread) if spread > 0 else None)
            for k in range(1, draws + 1):
                subsets = [list(itertools.combinations([1] * r + [0] * (draws - r), k)) for r in right]
                score = lambda s: (2 * sum(s) > k) + 0.5 * (2 * sum(s) == k)
                put(f"draws/{arm}/at_k/{k - 1}/pass", np.mean([np.mean([max(s) for s in each]) for each in subsets]))
                put(f"draws/{arm}/at_k/{k - 1}/majority", np.mean([np.mean([score(s) for s in each]) for each in subsets]))
    return fit.pvalues[0]


def main():
    run, config = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    trials = []
    for name, temperature, draws, metrics in TRIALS:
        (scores,) = run.glob(f"*{name}/results/per_item_scores.csv")
        table = defaultdict(dict)
        for row in csv.DictReader(scores.open()):
            dataset, item = row["item_key"].split("|", 1)
            table[dataset, item][row["condition"]] = row
        rows, expected, first = [], [], []
        for dataset, names in metrics.items():
            group = {}
            for line in (config / "data" / f"{dataset}.jsonl").open():
                item = json.loads(line)
                group[item["id"]] = item["group"]
            items = [key for key in table if key[0] == dataset]
            for key in items:
                arms = [[float(table[key][arm][m]) for m in names] for arm in ("control", "treatment")]
                rows.append([dataset, key[1], group[key[1]], *arms])
            own = [row for row in rows if row[0] == dataset]
            at = f"/datasets/{dataset}"
            expected.append([f"{at}/n_clusters", len({row[2] for row in own})])
            for place, metric in enumerate(names):
                p = compare(at, [(r[2], r[3][place], r[4][place]) for r in own], metric, draws, expected)
                if metric == "em":
                    first.append(p)
            if "false_answer_rate" in names:
                place = {m: i for i, m in enumerate(names)}
                for arm, column in (("control", 3), ("treatment", 4)):
                    answered = [1 - row[column][place["abstain_rate"]] for row in own]
                    false = [row[column][place["false_answer_rate"]] for row in own]
                    # An item all of whose answers are false answers has no answer that is right; credit for abstaining is none.
                    right = [
                        0.0 if f >= a - 1e-9 else row[column][place["em"]] for row, a, f in zip(own, answered, false)
                    ]
                    expected.append([f"{at}/selective_risk/aurc/{arm}", aurc(answered, right)])
        for place, q in enumerate(multipletests(first, method="holm")[1]):
            expected.append([f"family/tests/{place}/q_value", q])
        expected = [[pointer, None if value is None else float(value)] for pointer, value in expected]
        trials.append(
            {"trial": name, "temperature": temperature, "draws": draws, "metrics": metrics, "expected": expected, "rows": rows}
        )
    print("{\"trials\": [")
    for at, trial in enumerate(trials):
        rows, expected = trial.pop("rows"), trial.pop("expected")
        head = json.dumps(trial)[:-1]
        lines = lambda values: ",\n".join(json.dumps(value) for value in values)
        print(f"{head},\n\"rows\": [\n{lines(rows)}\n],\n\"expected\": [\n{lines(expected)}\n]}}{',' if at == 0 else ''}")
    print("]}")


main()

"""True coverage and size of the methods, by enumeration where the law is discrete and by simulation elsewhere.

Makes coverage.json: scenario -> n -> method -> [value, standard error] (0 where enumerated or known in closed form).
A value is the share of samples whose interval holds the true difference, or whose test rejects at 0.05. All formulas are
written here anew, from numpy and scipy. Made with Python 3, numpy 2.4.6, scipy 1.17.1: `python coverage.py > coverage.json`;
`python coverage.py coverage.json` makes only what stands below `MORE` anew.
"""

import json
import sys

import numpy as np
from scipy import integrate, stats

SIZES = (30, 300, 3000)
RESAMPLES = 400
Z = stats.norm.ppf(0.975)
RNG = np.random.default_rng(20261123)
# (both right, only treatment, only control)
BINARY = {"binary-null": (0.4, 0.15, 0.15), "binary-effect": (0.4, 0.2, 0.1)}


def share(hits):
    hits = np.asarray(hits, dtype=float)
    p = hits.mean()
    return [float(p), float(np.sqrt(max(p * (1 - p), 0.25 / len(hits) / len(hits)) / len(hits)))]


def window(dist):
    low, high = int(dist.ppf(1e-14)), int(dist.ppf(1 - 1e-14))
    return np.arange(max(0, low), high + 1)


def wilson(k, n):
    p = k / n
    centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * np.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return centre - half, centre + half


def pairs(n, cells):
    """Enumerates (only treatment, only control) with their probabilities."""
    _, pt, pc = cells
    q = pt + pc
    for m in window(stats.binom(n, q)):
        weight = stats.binom.pmf(m, n, q)
        b = np.arange(0, m + 1)
        yield m, b, weight * stats.binom.pmf(b, m, pt / q)


def binary_pairs(n, cells):
    _, pt, pc = cells
    truth = pt - pc
    ratio = pt / pc
    total = {}

    def add(name, mass):
        total[name] = total.get(name, 0.0) + float(mass)

    for m, b, mass in pairs(n, cells):
        c = m - b
        k = np.minimum(b, c)
        cdf, pmf = stats.binom.cdf(k, m, 0.5), stats.binom.pmf(k, m, 0.5)
        exact = np.where(b == c, 1.0, np.minimum(1.0, 2 * cdf))
        mid = np.where(b == c, 1.0, 2 * cdf - pmf)
        add("mcnemar-exact", mass[exact <= 0.05].sum())
        add("mcnemar-mid-p", mass[mid <= 0.05].sum())
        add("permutation-exact", mass[exact <= 0.05].sum())
        mean = (b - c) / n
        variance = (m - n * mean * mean) / (n - 1)
        se = np.sqrt(np.maximum(variance, 0) / n)
        good = variance > 1e-12
        t = np.where(good, mean / np.where(good, se, 1), 0.0)
        p = 2 * stats.t.sf(abs(t), n - 1)
        add("paired-t", mass[good & (p <= 0.05)].sum())
        # No spread: the interval is the point itself.
        half = stats.t.ppf(0.975, n - 1) * np.where(good, se, 0.0)
        add("t", mass[(mean - half <= truth) & (truth <= mean + half)].sum())
        if m > 0:
            variance = (m * (m + 1) * (2 * m + 1) - (m**3 - m) / 2) / 24
            w = np.minimum(b, c) * (m + 1) / 2
            z = (w - m * (m + 1) / 4) / np.sqrt(variance)
            add("wilcoxon-normal", mass[2 * stats.norm.sf(-np.minimum(z, 0)) <= 0.05].sum())
        pb, pcc = (b + 1) / (n + 2), (c + 1) / (n + 2)
        half = Z * np.sqrt((pb + pcc - (pb - pcc) ** 2) / (n + 2))
        add("bonett-price", mass[(pb - pcc - half <= truth) & (truth <= pb - pcc + half)].sum())
        # Clopper-Pearson for b of m, as odds.
        low = np.where(b > 0, stats.beta.ppf(0.025, b, m - b + 1), 0.0)
        high = np.where(c > 0, stats.beta.ppf(0.975, b + 1, np.maximum(m - b, 1)), 1.0)
        share_true = ratio / (1 + ratio)
        add("conditional-exact", mass[(low <= share_true) & (share_true <= high)].sum())
    return {name: [value, 0.0] for name, value in total.items()}


def newcombe(n, cells):
    pb, pt, pc = cells
    truth = pt - pc
    total = 0.0
    for m, b, mass in pairs(n, cells):
        rest = n - m
        a = window(stats.binom(rest, pb / (1 - pt - pc)))
        a = a[a <= rest]
        grid = np.outer(mass, stats.binom.pmf(a, rest, pb / (1 - pt - pc)))
        keep = mass > 1e-16
        bb, aa = np.meshgrid(b[keep], a, indexing="ij")
        grid = grid[keep]
        cc, dd = m - bb, rest - aa
        kt, kc = aa + bb, aa + cc
        lt, ut = wilson(kt, n)
        lc, uc = wilson(kc, n)
        product = kt.astype(float) * kc * (n - kt) * (n - kc)
        numerator = aa * dd - bb * cc
        numerator = np.where(numerator > n / 2, numerator - n / 2, np.where(numerator >= 0, 0, numerator))
        phi = np.where(product > 0, numerator / np.sqrt(np.where(product > 0, product, 1)), 0.0)
        p1, p2 = kt / n, kc / n
        d = p1 - p2
        low = d - np.sqrt(np.maximum((p1 - lt) ** 2 - 2 * phi * (p1 - lt) * (uc - p2) + (uc - p2) ** 2, 0))
        high = d + np.sqrt(np.maximum((ut - p1) ** 2 - 2 * phi * (ut - p1) * (p2 - lc) + (p2 - lc) ** 2, 0))
        total += float(grid[(low <= truth) & (truth <= high)].sum())
    return {"newcombe-10": [total, 0.0]}


def bca_ends(sums, observed, skew):
    """sums: resampled totals (rows: samples), integers or floats; observed: totals; skew: accelerations."""
    below = (sums < observed[:, None]).mean(axis=1) + 0.5 * (sums == observed[:, None]).mean(axis=1)
    with np.errstate(all="ignore"):
        z0 = stats.norm.ppf(below)
        shares = []
        for z in (-Z, Z):
            w = z0 + z
            shares.append(stats.norm.cdf(z0 + w / (1 - skew * w)))
    ordered = np.sort(sums, axis=1)
    last = ordered.shape[1] - 1
    ends = []
    for part in shares:
        position = np.nan_to_num(part) * last
        floor = np.floor(position).astype(int)
        rows = np.arange(len(ordered))
        lower, upper = ordered[rows, floor], ordered[rows, np.minimum(floor + 1, last)]
        ends.append(lower + (upper - lower) * (position - floor))
    return ends[0], ends[1], np.isfinite(z0)


def acceleration(centred_squares, centred_cubes):
    return np.where(centred_squares > 0, centred_cubes / (6 * np.maximum(centred_squares, 1e-300) ** 1.5), 0.0)


def binary_bootstrap(n, cells, samples=40000):
    _, pt, pc = cells
    counts = RNG.multinomial(n, [pt, pc, 1 - pt - pc], size=samples)
    truth = (pt - pc) * n
    percentile, bca = [], []
    for part in np.array_split(counts, 40):
        drawn = np.stack([RNG.multinomial(n, row / n, size=RESAMPLES) for row in part])
        sums = drawn[:, :, 0] - drawn[:, :, 1]
        low, high = np.percentile(sums, [2.5, 97.5], axis=1)
        percentile.append((low <= truth + 1e-9) & (truth - 1e-9 <= high))
        observed = part[:, 0] - part[:, 1]
        mean = observed / n
        squares = part[:, 0] * (1 - mean) ** 2 + part[:, 1] * (1 + mean) ** 2 + part[:, 2] * mean**2
        cubes = part[:, 0] * (1 - mean) ** 3 - part[:, 1] * (1 + mean) ** 3 - part[:, 2] * mean**3
        low, high, known = bca_ends(sums.astype(float), observed.astype(float), acceleration(squares, cubes))
        bca.append(known & (low <= truth + 1e-9) & (truth - 1e-9 <= high))
    return {"bootstrap-percentile": share(np.concatenate(percentile)), "bootstrap-bca": share(np.concatenate(bca))}


def proportion(n, p):
    k = np.arange(0, n + 1)
    mass = stats.binom.pmf(k, n, p)
    low, high = wilson(k, n)
    exact_low = np.where(k > 0, stats.beta.ppf(0.025, np.maximum(k, 1), n - k + 1), 0.0)
    exact_high = np.where(k < n, stats.beta.ppf(0.975, k + 1, np.maximum(n - k, 1)), 1.0)
    return {
        "wilson": [float(mass[(low <= p) & (p <= high)].sum()), 0.0],
        "clopper-pearson": [float(mass[(exact_low <= p) & (p <= exact_high)].sum()), 0.0],
    }


def rank_law(n):
    """P(W+ = w) without ties, up to the middle."""
    top = n * (n + 1) // 2
    law = np.zeros(top + 1)
    law[0] = 1.0
    for i in range(1, n + 1):
        shifted = np.zeros_like(law)
        shifted[i:] = law[:-i]
        law = 0.5 * law + 0.5 * shifted
    return law


def normal(n, effect):
    """Differences N(effect, 1): tests of 0, intervals of the effect."""
    result = {"t": [0.95, 0.0]}
    critical = stats.t.ppf(0.975, n - 1)
    power = stats.nct.sf(critical, n - 1, effect * np.sqrt(n)) + stats.nct.cdf(-critical, n - 1, effect * np.sqrt(n))
    result["paired-t"] = [0.05, 0.0] if effect == 0 else [float(power), 1e-9]
    if n <= 300:
        cdf = np.cumsum(rank_law(n))
        # The interval's ends are the w-th Walsh averages, w being the smallest with P(W+ <= w) > 0.025.
        w = int(np.searchsorted(cdf, 0.025, side="right"))
        result["hodges-lehmann-exact"] = [float(1 - 2 * cdf[w - 1]), 0.0]
        if effect == 0 and n == 30:
            result["wilcoxon-exact"] = [float(2 * cdf[w - 1]), 0.0]
    else:
        result["hodges-lehmann-exact"] = [0.95, 1e-5]
    if effect == 0:
        # A sampled test of R patterns rejects where its rank among R + 1 exchangeable ones is at most 0.05 (R + 1).
        sampled = int(0.05 * (RESAMPLES + 1)) / (RESAMPLES + 1)
        result["permutation-monte-carlo"] = [sampled, 0.0]
        result["max-t-sign-flip"] = [sampled, 0.0]
        # Differences at the margin, and equal effects under three models: t and F are exact.
        result["tost-t"] = [0.05, 0.0]
        result["hotelling"] = [0.05, 0.0]
        middle, sd = n * (n + 1) / 4, np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        if n <= 300:
            law = rank_law(n)
            w = np.arange(len(law))
            z = (np.minimum(w, n * (n + 1) / 2 - w) - middle) / sd
            result["wilcoxon-normal"] = [float(law[2 * stats.norm.sf(-np.minimum(z, 0)) <= 0.05].sum()), 0.0]
        else:
            result["wilcoxon-normal"] = [0.05, 1e-4]
    return result


def continuous_bootstrap(draw, n, truth, samples):
    """Percentile and BCa intervals of a mean, and Student's, of n values from draw(rows, n)."""
    hits = {"t": [], "bootstrap-percentile": [], "bootstrap-bca": []}
    step = max(1, min(samples, 4_000_000 // n // 40))
    for start in range(0, samples, step):
        rows = min(step, samples - start)
        values = draw(rows, n)
        mean = values.mean(axis=1)
        se = values.std(axis=1, ddof=1) / np.sqrt(n)
        half = stats.t.ppf(0.975, n - 1) * se
        hits["t"].append((mean - half <= truth) & (truth <= mean + half))
        sums = np.empty((rows, RESAMPLES))
        for i in range(rows):
            sums[i] = values[i][RNG.integers(0, n, size=(RESAMPLES, n), dtype=np.int32)].sum(axis=1)
        low, high = np.percentile(sums, [2.5, 97.5], axis=1)
        hits["bootstrap-percentile"].append((low <= truth * n) & (truth * n <= high))
        centred = values - mean[:, None]
        skew = acceleration((centred**2).sum(axis=1), (centred**3).sum(axis=1))
        low, high, known = bca_ends(sums, values.sum(axis=1), skew)
        hits["bootstrap-bca"].append(known & (low <= truth * n) & (truth * n <= high))
    return {name: share(np.concatenate(found)) for name, found in hits.items()}


def clusters(n):
    """Five items a cluster, N(0, 0.5²) between and N(0, 1) within; the cluster means are independent normals."""
    groups = n // 5
    sd = np.sqrt(0.25 + 0.2)
    found = continuous_bootstrap(
        lambda rows, size: RNG.normal(0.0, sd, size=(rows, size)), groups, 0.0, {6: 40000, 60: 20000, 600: 4000}[groups]
    )
    result = {"t-cluster-robust": [0.95, 0.0], "cluster-robust-t": [0.05, 0.0]}
    result["cluster-bootstrap-percentile"] = found["bootstrap-percentile"]
    result["cluster-bootstrap-bca"] = found["bootstrap-bca"]
    # Six clusters: all 64 sign patterns, of which each comes with its mirror image.
    sampled = int(0.05 * (RESAMPLES + 1)) / (RESAMPLES + 1)
    result["cluster-permutation"] = [2 / 64 if groups == 6 else sampled, 0.0]
    hits = []
    for _ in range(40):
        rows = 40000 // 40 if n < 3000 else 200
        between = RNG.normal(0, 0.5, size=(rows, groups, 1))
        values = (between + RNG.normal(0, 1, size=(rows, groups, 5))).reshape(rows, n)
        half = stats.t.ppf(0.975, n - 1) * values.std(axis=1, ddof=1) / np.sqrt(n)
        hits.append(abs(values.mean(axis=1)) <= half)
    result["t"] = share(np.concatenate(hits))
    return result


# What follows has a generator of its own, so that what is above keeps its numbers.
MORE = np.random.default_rng(20261125)
MARGIN = 0.3
STUDIES = 5


def more_binary(n, cells):
    """Further tests and intervals of the two discordant counts, enumerated."""
    _, pt, pc = cells
    truth = pt - pc
    total = {}

    def add(name, mass):
        total[name] = total.get(name, 0.0) + float(mass)

    for m, b, mass in pairs(n, cells):
        c = m - b
        mean = (b - c) / n
        variance = (m - n * mean * mean) / (n - 1)
        se = np.sqrt(np.maximum(variance, 0) / n)
        # Ordinary least squares with both arms' rows: 2n rows, n clusters, two coefficients.
        half = stats.t.ppf(0.975, n - 1) * se * np.sqrt((2 * n - 1) / (2 * n - 2))
        add("ols-cluster-robust", mass[(mean - half <= truth + 1e-12) & (truth - 1e-12 <= mean + half)].sum())
        half = Z * np.sqrt(np.maximum(m / n - mean**2, 0) / n)
        add("wald-paired", mass[(mean - half <= truth + 1e-12) & (truth - 1e-12 <= mean + half)].sum())
        if m == 0:
            for name in ("mcnemar-chi-squared", "mcnemar-chi-squared-continuity-corrected", "wilcoxon-normal-continuity"):
                add(name, 0.0)
            for name in ("wilcoxon-pratt-normal", "wilcoxon-zsplit-normal", "wilcoxon-exact-one-sided"):
                add(name, 0.0)
            continue
        for name, less in (("mcnemar-chi-squared", 0), ("mcnemar-chi-squared-continuity-corrected", 1)):
            gap = np.maximum(np.abs(b - c) - less, 0)
            add(name, mass[stats.chi2.sf(gap**2 / m, 1) <= 0.05].sum())
        # All magnitudes are equal, so that the rank sum is the number of positive ones: a binomial tail.
        add("wilcoxon-exact-one-sided", mass[stats.binom.sf(b - 1, m, 0.5) <= 0.05].sum())
        zeros = n - m
        pyramid = lambda k: k * (k + 1) * (2 * k + 1)
        cubes = lambda k: k**3 - k
        low = np.minimum(b, c)
        sd = np.sqrt((pyramid(m) - cubes(m) / 2) / 24)
        z = np.minimum(low * (m + 1) / 2 - m * (m + 1) / 4 + 0.5, 0) / sd
        add("wilcoxon-normal-continuity", mass[2 * stats.norm.sf(-z) <= 0.05].sum())
        rank = zeros + (m + 1) / 2
        sd = np.sqrt((pyramid(n) - pyramid(zeros) - cubes(m) / 2) / 24)
        z = (low * rank - (n * (n + 1) - zeros * (zeros + 1)) / 4) / sd
        add("wilcoxon-pratt-normal", mass[2 * stats.norm.sf(-np.minimum(z, 0)) <= 0.05].sum())
        sd = np.sqrt((pyramid(n) - cubes(m) / 2 - cubes(zeros) / 2) / 24)
        z = (low * rank + zeros * (zeros + 1) / 4 - n * (n + 1) / 4) / sd
        add("wilcoxon-zsplit-normal", mass[2 * stats.norm.sf(-np.minimum(z, 0)) <= 0.05].sum())
    return {name: [value, 0.0] for name, value in total.items()}


def more_tables(n, cells):
    """Intervals that need the whole table of pairs: Newcombe's without his correction, and the marginal log odds ratio."""
    pb, pt, pc = cells
    truth = pt - pc
    arms = (pb + pt, pb + pc)
    log_odds = np.log(arms[0] / (1 - arms[0])) - np.log(arms[1] / (1 - arms[1]))
    plain, gee = 0.0, 0.0
    for m, b, mass in pairs(n, cells):
        rest = n - m
        a = window(stats.binom(rest, pb / (1 - pt - pc)))
        a = a[a <= rest]
        keep = mass > 1e-13
        if not keep.any():
            continue
        grid = np.outer(mass[keep], stats.binom.pmf(a, rest, pb / (1 - pt - pc)))
        bb, aa = np.meshgrid(b[keep], a, indexing="ij")
        cc, dd = m - bb, rest - aa
        kt, kc = aa + bb, aa + cc
        p1, p2 = kt / n, kc / n
        lt, ut = wilson(kt, n)
        lc, uc = wilson(kc, n)
        product = kt.astype(float) * kc * (n - kt) * (n - kc)
        phi = np.where(product > 0, (aa * dd - bb * cc) / np.sqrt(np.where(product > 0, product, 1)), 0.0)
        d = p1 - p2
        low = d - np.sqrt(np.maximum((p1 - lt) ** 2 - 2 * phi * (p1 - lt) * (uc - p2) + (uc - p2) ** 2, 0))
        high = d + np.sqrt(np.maximum((ut - p1) ** 2 - 2 * phi * (ut - p1) * (p2 - lc) + (p2 - lc) ** 2, 0))
        plain += float(grid[(low <= truth + 1e-12) & (truth - 1e-12 <= high)].sum())
        # Two rows a cluster, one an arm: the estimate is that of the margins, its sandwich the delta method.
        inside = (p1 > 0) & (p1 < 1) & (p2 > 0) & (p2 < 1)
        v1, v2 = np.where(inside, p1 * (1 - p1), 1), np.where(inside, p2 * (1 - p2), 1)
        variance = (1 / v1 + 1 / v2 - 2 * (aa / n - p1 * p2) / (v1 * v2)) / n
        with np.errstate(all="ignore"):
            estimate = np.log(p1 / (1 - p1)) - np.log(p2 / (1 - p2))
        gap = np.abs(estimate - log_odds)
        gee += float(grid[inside & (gap <= Z * np.sqrt(np.maximum(variance, 0)) + 1e-9)].sum())
    return {"newcombe-10-uncorrected": [plain, 0.0], "gee-logit-exchangeable": [gee, 0.0]}


def equivalence_size(n):
    """P(both one-sided t tests reject) with the mean on the lower margin, by integration over the standard deviation."""
    critical = stats.t.ppf(0.95, n - 1)
    root = np.sqrt(n)

    def given(s):
        low, high = critical * s / root - MARGIN, MARGIN - critical * s / root
        inside = stats.norm.cdf((high + MARGIN) * root) - stats.norm.cdf((low + MARGIN) * root)
        density = 2 * s * (n - 1) * stats.chi2.pdf((n - 1) * s * s, n - 1)
        return max(inside, 0.0) * density

    spread = 12 / np.sqrt(2 * (n - 1))
    return float(integrate.quad(given, max(1e-9, 1 - spread), 1 + spread, limit=400, epsabs=1e-12)[0])


def family():
    """Five independent tests without an effect: the chance of any rejection."""
    m, alpha = STUDIES, 0.05
    p = np.sort(MORE.random((4_000_000, m)), axis=1)
    single = 1 - (1 - alpha / m) ** m
    return {
        "bonferroni": [single, 0.0],
        "holm": [single, 0.0],
        "sidak": [alpha, 0.0],
        # Simes' test is exact for independent ones.
        "hommel": [alpha, 0.0],
        "benjamini-hochberg": [alpha, 0.0],
        "benjamini-yekutieli": [alpha / sum(1 / j for j in range(1, m + 1)), 0.0],
        "hochberg": share((p <= alpha / np.arange(m, 0, -1)).any(axis=1)),
        "fisher": [alpha, 0.0],
        "stouffer": [alpha, 0.0],
    }


def pooled(n, between, samples=100_000):
    """Five datasets of n/5 differences N(theta_i, 1), theta_i ~ N(0, between): intervals of the mean effect 0."""
    size = n // STUDIES
    y = MORE.normal(0, np.sqrt(between), (samples, STUDIES)) + MORE.normal(0, 1 / np.sqrt(size), (samples, STUDIES))
    v = MORE.chisquare(size - 1, (samples, STUDIES)) / (size - 1) / size
    df = STUDIES - 1

    def at(tau2):
        w = 1 / (v + tau2[:, None])
        mean = (w * y).sum(axis=1) / w.sum(axis=1)
        return w, mean, (w * (y - mean[:, None]) ** 2).sum(axis=1)

    w, mean, q = at(np.zeros(samples))
    found = {"meta-fixed-normal": np.abs(mean) <= Z / np.sqrt(w.sum(axis=1))}
    dl = np.maximum(0, (q - df) / (w.sum(axis=1) - (w**2).sum(axis=1) / w.sum(axis=1)))
    low, high = np.zeros(samples), np.full(samples, 1e4)
    for _ in range(200):
        middle = (low + high) / 2
        above = at(middle)[2] > df
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    pm = np.where(q < df, 0.0, (low + high) / 2)
    for name, tau2 in (("dersimonian-laird", dl), ("paule-mandel", pm)):
        w, mean, q = at(tau2)
        found[f"meta-{name}-normal"] = np.abs(mean) <= Z / np.sqrt(w.sum(axis=1))
        half = stats.t.ppf(0.975, df) * np.sqrt(q / df / w.sum(axis=1))
        found[f"meta-{name}-hartung-knapp"] = np.abs(mean) <= half
    return {name: share(hits) for name, hits in found.items()}


def more(all_results):
    for n in SIZES:
        for name, cells in BINARY.items():
            found = all_results.setdefault(name, {}).setdefault(str(n), {})
            found.update(more_binary(n, cells))
            found.update(more_tables(n, cells))
        all_results.setdefault("normal-null", {}).setdefault(str(n), {})["tost-equivalence"] = [equivalence_size(n), 1e-6]
        # Fieller's set is exact under normality, and bounded wherever the denominator is clear of 0.
        all_results.setdefault("ratio", {})[str(n)] = {"fieller": [0.95, 0.0]}
        all_results.setdefault("family-null", {})[str(n)] = family()
        all_results.setdefault("pooled-equal", {})[str(n)] = pooled(n, 0.0)
        all_results.setdefault("pooled-mixed", {})[str(n)] = pooled(n, 0.1)
        print(n, "more", file=sys.stderr)


def main():
    # With a file of earlier results, only what has the second generator is made anew.
    if len(sys.argv) > 1:
        with open(sys.argv[1]) as file:
            found = json.load(file)
        more(found["scenarios"])
        print(json.dumps(found, indent=1))
        return
    all_results = {}
    for n in SIZES:
        for name, cells in BINARY.items():
            found = binary_pairs(n, cells)
            found.update(newcombe(n, cells))
            found.update(binary_bootstrap(n, cells))
            all_results.setdefault(name, {})[str(n)] = found
        all_results.setdefault("proportion-half", {})[str(n)] = proportion(n, 0.5)
        all_results.setdefault("proportion-high", {})[str(n)] = proportion(n, 0.95)
        all_results.setdefault("normal-null", {})[str(n)] = normal(n, 0.0)
        all_results.setdefault("normal-effect", {})[str(n)] = normal(n, 0.1)
        samples = {30: 40000, 300: 20000, 3000: 3000}[n]
        skewed = continuous_bootstrap(lambda rows, size: RNG.exponential(1.0, size=(rows, size)), n, 1.0, samples)
        all_results.setdefault("skewed", {})[str(n)] = skewed
        all_results.setdefault("clustered", {})[str(n)] = clusters(n)
        print(n, file=sys.stderr)
    more(all_results)
    print(json.dumps({"resamples": RESAMPLES, "scenarios": all_results}, indent=1))


main()

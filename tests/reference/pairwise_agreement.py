"""What a scripted comparison of two systems on EVOUNA-NQ comes to, computed apart from `exp`.

    pairwise_agreement.py NQ.json N     prints counts, win rate, length control and agreement with the raters, of the first N questions

The judge prefers the answer in which an accepted one stands, case aside, and calls all else a tie. Control is `fid`, treatment is
`gpt4`. Only Python's standard library is used; the win rate at equal lengths is found by bisection within bisection, not by Newton's
method.
"""

import collections
import json
import math
import statistics
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    ROWS = [row for row in json.load(file) if not row["improper"]][: int(sys.argv[2])]


def answer(row, system):
    return (row[f"answer_{system}"] or "").strip()


def is_right(row, system):
    golds = [gold.strip() for gold in row["golden_answer"].split("/") if gold.strip()]
    return any(gold.lower() in answer(row, system).lower() for gold in golds)


def sign(difference):
    return (difference > 0) - (difference < 0)


def root(function, low, high):
    """Where a decreasing function is 0."""
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return (low + high) / 2


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def at_equal_lengths(points):
    """points: (length difference, score). Maximises the likelihood in θ for each φ, then in φ."""
    sd = statistics.stdev(x for x, _ in points)
    counts = collections.Counter((math.tanh(x / sd), y) for x, y in points)

    def theta_at(phi):
        return root(lambda theta: sum(n * (y - sigmoid(theta + phi * t)) for (t, y), n in counts.items()), -30, 30)

    def slope(phi):
        theta = theta_at(phi)
        return sum(n * t * (y - sigmoid(theta + phi * t)) for (t, y), n in counts.items())

    # In φ, with θ at its best, the likelihood is concave: its slope decreases.
    low, high = -10.0, 10.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return sigmoid(theta_at((low + high) / 2))


pairs, identical, outcomes, points, rated = 0, 0, collections.Counter(), [], []
for row in ROWS:
    control, treatment = answer(row, "fid"), answer(row, "gpt4")
    pairs += 1
    if not control or not treatment:
        continue
    identical += control == treatment
    outcome = is_right(row, "gpt4") - is_right(row, "fid")
    outcomes[outcome] += 1
    points.append((len(treatment) - len(control), (outcome + 1) / 2))
    said = [row["judge_fid"], row["judge_gpt4"]]
    if all(isinstance(verdict, bool) for verdict in said):
        rated.append((outcome, sign(said[1] - said[0])))
scores = [score for _, score in points]
mean = statistics.fmean(scores)
error = statistics.stdev(scores) / math.sqrt(len(scores))
n = len(rated)
observed = sum(a == b for a, b in rated) / n
left, right = collections.Counter(a for a, _ in rated), collections.Counter(b for _, b in rated)
chance = sum(left[value] * right[value] for value in left) / n**2
differing = [(a, b) for a, b in rated if b != 0]
z = statistics.NormalDist().inv_cdf(0.975)
# Student's quantile by the first terms of Cornish and Fisher's expansion.
df = len(scores) - 1
t = z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
print(json.dumps({
    "pairs": pairs, "identical": identical, "wins": outcomes[1], "ties": outcomes[0], "losses": outcomes[-1],
    "win_rate": {"mean": mean, "ci_95": [mean - t * error, mean + t * error]},
    "length": {"win_rate": at_equal_lengths(points)},
    "people": {
        "pairs": n, "differing": len(differing), "same": sum(a == b for a, b in differing),
        "tied": sum(a == 0 for a, _ in differing), "accuracy": sum(a == b for a, b in differing) / len(differing),
        "agreement": observed, "kappa": (observed - chance) / (1 - chance),
    },
}))

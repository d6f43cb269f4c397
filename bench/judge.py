"""Does the judge keep its promises? Simulated updates whose truth is known; prints a table with PASS or FAIL.

    $ PYTHONPATH=src python bench/judge.py            # a few minutes on one core; --only policies runs one part

Rates are of 2,000 updates a row unless said otherwise; a rate passes within two standard
errors of simulation of its bar.
"""

from __future__ import annotations

import argparse
import bisect
import math
import time
from collections.abc import Callable
from functools import cache
from statistics import NormalDist

import numpy as np

from evermodel.core.records.verdict import Comparison, Cost
from evermodel.core.stats import paired_bootstrap
from evermodel.core.stats.paired_tests import mcnemar_p_value, tango_interval
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge import judge
from evermodel.judging.judge_input import JudgeInput, PairedPredictions
from evermodel.plugins.gates.better import better
from evermodel.plugins.gates.not_worse import not_worse
from evermodel.plugins.gates.slices import slices
from evermodel.plugins.metrics.log_loss import log_loss

EYE = np.eye(2)
BOTH = ("champion", "challenger")
MARGIN = 0.01
failed = []


def say(what: str, value: float, bar: str, passed: bool | None, note: str = "") -> None:
    verdict = {True: "PASS", False: "FAIL", None: "    "}[passed]
    if passed is False:
        failed.append(what)
    print(f"{verdict}  {what:<74}{value:>8.2f}  {bar:<10}{note}", flush=True)


def rate(what: str, hits: float, n: int, at_most: float = 0.05, note: str = "", *, bar: bool = True) -> None:
    allowed = at_most + 2 * math.sqrt(at_most * (1 - at_most) / n)
    say(what, 100 * hits / n, f"<= {100 * at_most:g} %" if bar else "", hits / n <= allowed if bar else None, note)


def right_rows(won: int, lost: int, n: int) -> PairedPredictions:
    """n labelled rows of which the challenger alone has ``won`` right, the champion alone ``lost``."""
    y = np.zeros(n, dtype=int)
    champion, challenger = np.zeros(n, dtype=int), np.zeros(n, dtype=int)
    champion[:won] = challenger[won : won + lost] = 1
    return PairedPredictions(y, EYE[champion], EYE[challenger])


@cache
def decided(won: int, lost: int, n: int, look: int = 1, looks: int = 1) -> str:
    """The judge's decision by accuracy, which depends on the counts alone."""
    return judge(JudgeInput("binary", "accuracy", right_rows(won, lost, n), analysis=look, n_analyses=looks)).decision


def beyond_doubt(won: int, lost: int, n: int) -> bool:
    return won > lost and mcnemar_p_value(won, lost) < 0.05


def counts(rng: np.random.Generator, gain: float, disagreement: float, n: int, size: int) -> np.ndarray:
    shares = [(disagreement + gain) / 2, (disagreement - gain) / 2, 1 - disagreement]
    return rng.multinomial(n, shares, size)[:, :2]


def grouped_right(rng: np.random.Generator, gain: float, n: int) -> PairedPredictions:
    """Groups (sizes about 10) lean towards one of the models, more than chance would."""
    groups = rng.integers(0, max(8, n // 10), n)
    disagreement = rng.uniform(0.05, 0.2)
    mean = 0.5 + gain / (2 * disagreement)
    lean = rng.beta(4 * mean, 4 * (1 - mean), groups.max() + 1)[groups]
    differ, wins = rng.random(n) < disagreement, rng.random(n) < lean
    champion = np.where(differ, wins, rng.random(n) < 0.1).astype(int)  # 1 is wrong: y is 0
    challenger = np.where(differ, ~wins, champion).astype(int)
    return PairedPredictions(np.zeros(n, dtype=int), EYE[champion], EYE[challenger], groups)


def _noises(rng: np.random.Generator, n: int, groups: np.ndarray | None, alike: float) -> list[np.ndarray]:
    """Two unit normal errors (n,), correlated, each with a part shared inside the group."""

    def draw() -> np.ndarray:
        if groups is None:
            return rng.standard_normal(n)
        return math.sqrt(0.3) * rng.standard_normal(groups.max() + 1)[groups] + math.sqrt(0.7) * rng.standard_normal(n)

    both = draw()
    return [math.sqrt(alike) * both + math.sqrt(1 - alike) * draw() for _ in range(2)]


def auc_rows(rng: np.random.Generator, gain: float, n: int, *, grouped: bool) -> PairedPredictions:
    groups = rng.integers(0, max(8, n // 10), n) if grouped else None
    y = (rng.random(n) < rng.uniform(0.1, 0.5)).astype(int)
    before = rng.uniform(0.7, 0.9)
    reach = [math.sqrt(2) * NormalDist().inv_cdf(a) for a in (before, before + gain)]
    scores = [r * y + e for r, e in zip(reach, _noises(rng, n, groups, rng.uniform(0.7, 0.95)), strict=True)]
    p = [1 / (1 + np.exp(-s)) for s in scores]
    return PairedPredictions(y, np.column_stack([1 - p[0], p[0]]), np.column_stack([1 - p[1], p[1]]), groups)


def number_rows(rng: np.random.Generator, loss_gain: float, n: int, *, grouped: bool) -> PairedPredictions:
    """Squared errors 1 and 1 - loss_gain of a target of variance 3: .7 of the error no model can remove."""
    groups = rng.integers(0, max(8, n // 10), n) if grouped else None
    known, own = math.sqrt(2.0) * rng.standard_normal(n), math.sqrt(0.7) * rng.standard_normal(n)
    sizes = (math.sqrt(0.3), math.sqrt(0.3 - loss_gain))
    p = [known + s * e for s, e in zip(sizes, _noises(rng, n, groups, rng.uniform(0.5, 0.9)), strict=True)]
    return PairedPredictions(known + own, p[0], p[1], groups)


def single_accuracy(rng: np.random.Generator, size: int) -> None:
    """Exact: summed over all counts that can occur, no simulation."""
    for what, gain, chosen in (
        ("accuracy: equal, judged better beyond doubt", 0.0, beyond_doubt),
        ("accuracy: one margin worse, promoted", -MARGIN, promotes),
    ):
        cells = [(n, d) for n in (200, 300, 500, 1000, 2000, 5000) for d in (0.05, 0.1, 0.15, 0.2)]
        rates = {(n, d): exactly(chosen, gain, d, n) for n, d in cells}
        n, d = max(rates, key=rates.__getitem__)
        mean = 100 * np.mean(list(rates.values()))
        note = f"exact; worst of {len(cells)} cells (n {n}, disagreement {d:.0%}); mean {mean:.1f} %"
        say(what, 100 * rates[n, d], "<= 5 %", rates[n, d] <= 0.05, note)
    seen = [tuple(map(int, c)) for c in counts(rng, 0.005, 0.1, 500, 100)]
    assert all(promotes(w, lost, 500) == (decided(w, lost, 500) == "promote") for w, lost in seen)


def promotes(won: int, lost: int, n: int) -> bool:
    """The judge's rule for accuracy; ``single_accuracy`` holds it against the judge itself."""
    return won > lost and tango_interval(won, lost, n, 0.9)[0] > -MARGIN


def exactly(chosen: Callable[[int, int, int], bool], gain: float, disagreement: float, n: int) -> float:
    """Probability that a rule chooses the challenger: for each count lost, the fewest won that do, then the tail."""
    logs = np.cumsum(np.log(np.maximum(np.arange(n + 1), 1)))
    won_share, lost_share = (disagreement + gain) / 2, (disagreement - gain) / 2
    spread = 6 * math.sqrt(n * lost_share) + 6
    total = 0.0
    for lost in range(max(0, int(n * lost_share - spread)), min(n, int(n * lost_share + spread))):
        fewest = bisect.bisect_left(range(n - lost + 1), True, key=lambda won, lost=lost: chosen(won, lost, n))
        won = np.arange(fewest, n - lost + 1)
        log = logs[n] - logs[won] - logs[lost] - logs[n - won - lost] + won * math.log(won_share)
        total += np.exp(log + lost * math.log(lost_share) + (n - won - lost) * math.log(1 - disagreement)).sum()
    return total


def single_rows(rng: np.random.Generator, size: int) -> None:
    sizes = (200, 500, 1000, 2000, 5000)
    kinds = (
        ("accuracy, groups", "accuracy", lambda g, n: grouped_right(rng, g, n), MARGIN),
        ("AUC", "auc", lambda g, n: auc_rows(rng, g, n, grouped=False), MARGIN),
        ("AUC, groups", "auc", lambda g, n: auc_rows(rng, g, n, grouped=True), MARGIN),
        ("R2", "r2", lambda g, n: number_rows(rng, g, n, grouped=False), 0.02),
        ("R2, groups", "r2", lambda g, n: number_rows(rng, g, n, grouped=True), 0.02),
    )
    for label, metric, rows, margin in kinds:
        better = promoted = 0
        for i in range(size):
            n = sizes[i % len(sizes)] if label != "R2" else sizes[i % 3]
            c = compare_predictions(metric, rows(0.0, n), confidence=0.9, seed=i)
            better += c.gain > 0 and c.p_value < 0.05
            task = "regression" if metric == "r2" else "binary"
            found = not_worse(JudgeInput(task, metric, rows(-margin, n), seed=i))
            promoted += found.finding == "pass" and found.comparison is not None and found.comparison.gain > 0
        rate(f"{label}: equal, judged better beyond doubt", better, size)
        rate(f"{label}: one margin worse, promoted", promoted, size)


def history(rng: np.random.Generator, gains: np.ndarray, n: int) -> tuple[Comparison, ...]:
    rows = [right_rows(*map(int, counts(rng, g, 0.1, n, 1)[0]), n) for g in gains]
    return tuple(compare_predictions("accuracy", r, confidence=0.9) for r in rows)


def sequences(rng: np.random.Generator, size: int) -> None:
    """A challenger one margin worse after eight former updates of the same recipe; accuracy, disagreement 10 %."""
    kinds = (
        ("all one margin worse", lambda: np.full(8, -MARGIN)),
        ("former gains N(-.2, .8)", lambda: rng.normal(-0.002, 0.008, 8)),
        ("former all one margin better", lambda: np.full(8, MARGIN)),
    )
    for label, gains in kinds:
        promoted, earlier = {0.05: 0, 0.2: 0}, ()
        for i in range(size):
            n = (500, 1000, 2000)[i % 3]
            if i % 20 == 0:  # one history serves 20 updates
                earlier = history(rng, gains(), n)
            won, lost = map(int, counts(rng, -MARGIN, 0.1, n, 1)[0])
            pair = JudgeInput("binary", "accuracy", right_rows(won, lost, n), earlier_updates=earlier)
            if better(pair).finding == "pass":
                for lend in promoted:
                    promoted[lend] += not_worse(pair, lend=lend).finding == "pass"
        rate(f"sequence, {label}: one margin worse, promoted", promoted[0.05], size)
        rate("    the same, setting lend=.2 (not the default)", promoted[0.2], size, bar=False)


def two_looks(rng: np.random.Generator, size: int) -> None:
    for first, second in ((1000, 300), (1000, 1000), (500, 1500)):
        promoted = 0
        a, b = (counts(rng, -MARGIN, 0.1, n, size) for n in (first, second))
        for one, two in zip(a, a + b, strict=True):
            decision = decided(int(one[0]), int(one[1]), first, 1, 2)
            if decision == "hold":
                decision = decided(int(two[0]), int(two[1]), first + second, 2, 2)
            promoted += decision == "promote"
        rate(f"held and looked at again, {first} + {second} rows: one margin worse, promoted", promoted, size)


def sliced(rng: np.random.Generator, size: int) -> None:
    n = 4000
    inside = {f"slice {i}": np.arange(n) // 200 == i for i in range(20)}
    caught = passed = 0
    for _ in range(size):
        champion = (rng.random(n) < 0.15).astype(int)
        challenger = np.where(rng.random(n) < np.where(champion, 1 / 3, 0.05 / 0.85), 1 - champion, champion)
        y = np.zeros(n, dtype=int)
        rows = PairedPredictions(y, EYE[champion], EYE[challenger], slices=inside)
        passed += slices(JudgeInput("binary", "accuracy", rows)).finding == "pass"
        right = np.flatnonzero((challenger == 0) & inside["slice 7"])
        broken = challenger.copy()
        broken[rng.choice(right, 16, replace=False)] = 1  # 8 points of 200 rows
        found = slices(
            JudgeInput("binary", "accuracy", PairedPredictions(y, EYE[champion], EYE[broken], slices=inside))
        )
        caught += found.slices is not None and found.slices.harmed == "slice 7"
    say(
        "20 slices of 200 rows: an equal model passes",
        100 * passed / size,
        ">= 90 %",
        passed >= 0.9 * size,
        f"{size} updates",
    )
    say("20 slices of 200 rows: one broken by 8 points is caught", 100 * caught / size, ">= 50 %", caught >= 0.5 * size)


def weekly(rng: np.random.Generator, years: int, n: int = 1000) -> None:
    """52 challengers a year, true gain N(-.2, .8) points over the champion of the day, accuracy, disagreement 10 %."""
    gains = rng.normal(-0.002, 0.008, (years, 52)).clip(-0.09, 0.09)
    won = rng.binomial(n, (0.1 + gains) / 2)
    lost = rng.binomial(n - won, (0.1 - gains) / 2 / (1 - (0.1 + gains) / 2))
    d = (won - lost) / n
    error = np.sqrt(won + lost - (won - lost) ** 2 / n) / n
    each = np.vectorize(lambda w, x: decided(int(w), int(x), n) == "promote")
    superior = np.vectorize(lambda w, x: w > x and mcnemar_p_value(int(w), int(x)) < 0.1)
    rules = {
        "always promote": np.ones_like(d, dtype=bool),
        "point gate": d > 0,
        "non-inferior (Wald, 95 %) and a gain": (d > 0) & (d - 1.645 * error > -MARGIN),
        "superior (95 %)": superior(won, lost),
        "ours, one look": each(won, lost),
    }
    results = {name: ((gains * chosen).sum(axis=1), chosen.sum(axis=1)) for name, chosen in rules.items()}
    results["ours, held ones looked at again"] = looked_again(rng, gains, won, lost, n)
    best = max(r[0].mean() for name, r in results.items() if not name.startswith("ours"))
    for name, (total, promoted) in results.items():
        mean, low = 100 * total.mean(), 100 * np.percentile(total, 5)
        passed = mean >= 100 * best if name == "ours, held ones looked at again" else None
        note = f"5th percentile {low:+.2f}; {promoted.mean():.1f} promotions; {years} years"
        say(f"weekly, points a year: {name}", mean, f">= {100 * best:.2f}" if passed is not None else "", passed, note)


def looked_again(
    rng: np.random.Generator, gains: np.ndarray, won: np.ndarray, lost: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """A held challenger stands again beside the next, on the rows of both weeks; dropped if the champion moves."""
    total, promoted = np.zeros(len(gains)), np.zeros(len(gains), dtype=int)
    for year in range(len(gains)):
        held = None
        for gain, w, x in zip(gains[year], won[year], lost[year], strict=True):
            first, standing = decided(int(w), int(x), n, 1, 2), []
            if first == "promote":
                standing.append(((w - x) / n, gain))
            if held is not None:
                again = counts(rng, held[0], 0.1, n, 1)[0] + held[1]
                if decided(int(again[0]), int(again[1]), 2 * n, 2, 2) == "promote":
                    standing.append(((again[0] - again[1]) / (2 * n), held[0]))
            if standing:
                total[year] += max(standing)[1]
                promoted[year] += 1
            held = (gain, np.array([w, x])) if first == "hold" and not standing else None
    return total, promoted


def rare_rows(rng: np.random.Generator, extra: float, positives: int, n: int = 1000) -> PairedPredictions:
    """``positives`` of ``n`` rows; both models add noise to the true log odds, the challenger ``extra`` of it."""
    y = (np.arange(n) < positives).astype(int)
    signal = 2.0 * (2 * y - 1) + 2.0 * rng.standard_normal(n)  # unit log odds for a noise of two
    prior = math.log(positives / (n - positives))
    logits = [signal + prior + s * rng.standard_normal(n) for s in (0.5, math.sqrt(0.25 + extra))]
    p = [1 / (1 + np.exp(-logit)) for logit in logits]
    return PairedPredictions(y, np.column_stack([1 - p[0], p[0]]), np.column_stack([1 - p[1], p[1]]))


def noise_of_one_margin(positives: int) -> float:
    """The extra variance of the challenger's log odds at which its expected log loss is one margin (2 %) higher."""
    low, high = 0.0, 4.0
    for _ in range(14):
        middle = (low + high) / 2
        rows = [rare_rows(np.random.default_rng(i), middle, positives) for i in range(400)]
        losses = [np.mean([log_loss(r.y, p) for r, p in ((r, getattr(r, who)) for r in rows)]) for who in BOTH]
        low, high = (middle, high) if losses[1] < 1.02 * losses[0] else (low, middle)
    return (low + high) / 2


def policies(rng: np.random.Generator, size: int) -> None:
    """Each policy by log loss, guarded by AUC, with few and with more positives among 1,000 judged rows."""
    cost = {"champion_cost": Cost(0.02, 100, 10**6), "challenger_cost": Cost(0.01, 100, 10**6)}
    for positives in (5, 20, 100):
        extra = noise_of_one_margin(positives)
        better = 0
        promoted = dict.fromkeys(("no_worse", "better", "cheaper"), 0)
        for i in range(size):
            equal = JudgeInput("binary", "log_loss", rare_rows(rng, 0.0, positives), guard="auc", seed=i)
            graded = judge(equal, policy="no_worse").graded
            better += bool(graded) and graded[0].grade == "better"
            worse = JudgeInput("binary", "log_loss", rare_rows(rng, extra, positives), guard="auc", seed=i, **cost)
            for policy in promoted:
                promoted[policy] += judge(worse, policy=policy).decision == "promote"
        rate(f"{positives} positives: equal, graded better", better, size)
        for policy, count in promoted.items():
            rate(f"{positives} positives: one margin worse by log loss, promoted by {policy}", count, size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--years", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="a part, such as policies")
    given = parser.parse_args()
    rng, start = np.random.default_rng(given.seed), time.perf_counter()
    paired_bootstrap.RESAMPLES = 200  # enough for a rate over thousands of updates
    for part, size in (
        (weekly, given.years),
        (single_accuracy, given.size),
        (two_looks, given.size),
        (sequences, given.size),
        (sliced, given.size // 4),
        (single_rows, given.size),
        (policies, given.size // 4),
    ):
        if given.only in ("", part.__name__):
            part(rng, size)
    print(f"{len(failed)} failed, {time.perf_counter() - start:.0f} s")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()

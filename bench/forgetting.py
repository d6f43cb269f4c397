"""How often the gate ``forgetting`` catches a domain that was forgotten, and how often it blames an equal challenger.

    python bench/forgetting.py [--rounds 500] [--kept 500]

Five earlier domains of ``--kept`` rows each; both models are simulated as answers of 20 classes. An equal challenger
gets as many rows wrong as the champion, partly others. One that forgot gets ``loss`` points more of one domain wrong,
with probabilities as sure as ever. Beside it the unpaired formula of lm-evaluation-harness, two standard errors of the
difference of two accuracies on the same rows.
"""

from __future__ import annotations

import argparse

import numpy as np

from evermodel.judging.judge_input import GATES, JudgeInput, PairedPredictions

DOMAINS, CLASSES, RIGHT, CHANGED = 5, 20, 0.92, 0.03


def draw(random: np.random.Generator, kept: int, loss: float, metric: str) -> JudgeInput:
    n = DOMAINS * kept
    y, domain = random.integers(0, CLASSES, n), np.arange(n) // kept
    champion_right = random.random(n) < RIGHT
    turned = random.random(n) < CHANGED  # rows on which another training answers otherwise, as often for as against
    challenger_right = np.where(turned, random.random(n) < RIGHT, champion_right)
    share = loss / max(1e-9, float(challenger_right[domain == 0].mean()))
    challenger_right &= ~((domain == 0) & (random.random(n) < share))
    champion, challenger = (answers(random, y, right) for right in (champion_right, challenger_right))
    rows = PairedPredictions(y, champion, challenger, slices={f"domain {d}": domain == d for d in range(DOMAINS)})
    return JudgeInput("multiclass", metric, rows, past=rows)


def answers(random: np.random.Generator, y: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(n, classes): sure of the label, or of another class."""
    given = np.where(right, y, (y + random.integers(1, CLASSES, len(y))) % CLASSES)
    sure = np.where(right, random.beta(9, 1, len(y)), random.beta(4, 3, len(y)))
    p = np.full((len(y), CLASSES), 0.0) + ((1 - sure) / (CLASSES - 1))[:, None]
    p[np.arange(len(y)), given] = sure
    return p


def is_caught_unpaired(judge_input: JudgeInput) -> bool:
    rows, (a, b) = judge_input.new.slices["domain 0"], (judge_input.new.champion, judge_input.new.challenger)
    y, n = judge_input.new.y[rows], int(rows.sum())
    shares = [float((p[rows].argmax(axis=1) == y).mean()) for p in (a, b)]
    error = np.sqrt(sum(s * (1 - s) / (n - 1) for s in shares))
    return bool(shares[0] - shares[1] > 1.96 * error)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--kept", type=int, default=500)
    asked = parser.parse_args()
    gate = GATES.load("forgetting")
    print("| points lost | metric | named | another named | unpaired formula |\n|---|---|---|---|---|")
    for loss in (0.0, 0.01, 0.03):
        for metric in ("accuracy", "log_loss"):
            random = np.random.default_rng(7)
            named = other = unpaired = 0
            for _ in range(asked.rounds):
                drawn = draw(random, asked.kept, loss, metric)
                reason = gate(drawn)
                harmed = reason.slices.harmed if reason.slices and reason.finding == "fail" else None
                named, other = named + (harmed == "domain 0"), other + (harmed not in (None, "domain 0"))
                unpaired += is_caught_unpaired(drawn)
            shares = (f"{count / asked.rounds:.1%}" for count in (named, other, unpaired))
            print(f"| {100 * loss:g} | {metric} | " + " | ".join(shares) + " |", flush=True)


if __name__ == "__main__":
    main()

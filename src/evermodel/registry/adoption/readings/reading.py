"""A reading of a bare model: how rows are fed to it, what its output means, and how well that explains the rows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output, probabilities
from evermodel.core.stats.auc import compute_auc
from evermodel.registry.adoption.readings.class_order import ClassOrder, find_class_order

SUM_TOLERANCE = 0.01  # how far the probabilities of one row may be from adding up to 1: float16 networks round so much
LEAST_PROBABILITY = 0.01
SHIFTS = 30  # steps by which the shares are fitted; few are needed


@dataclass(frozen=True)
class Reading:
    """One way to read the model. ``answers`` are in the order of the codes ``y``, whatever the model's own order is."""

    model: Model
    encoding: str
    answers: Array  # (n, k) probabilities, a column for each class code, or (n,) values
    y: Array  # class codes, or values, of the rows that were answered
    skill: float
    order: ClassOrder | None = None  # where classes had to be matched with outputs

    @property
    def description(self) -> str:
        output = self.model.output
        scaling = self.model.transform.scaling
        scaled = [f"{'no' if scaling == 'none' else scaling} scaling"]
        if any(column.kind == "image" for column in self.model.signature.columns.values()):
            scaled = []  # its image processor may well scale
        fed = [*scaled, self.encoding]
        parts = ["fed as the given transform says"] if scaling == "given" else fed
        if output.kind == "logit":
            parts.append("scores before a sigmoid or softmax")
        if output.target_transform != "none":
            parts.append(f"a target under {output.target_transform}")
        return ", ".join(parts)


def measure_skill(p: Array, y: Array, task: str) -> float:
    """Share of the trivial baseline's loss that predictions remove: log loss against class shares, or R2.

    For classification the better of that and of the share of wrong answers, because an over-confident model is
    a calibration problem, not a model fed wrongly.
    """
    if not np.isfinite(p).all():
        return float("-inf")
    if task == "regression":
        return float(1.0 - np.mean((p - y) ** 2) / (np.var(y) or 1.0))
    share = np.bincount(y, minlength=p.shape[1]) / len(y)
    trivial = float(-np.log(np.maximum(share, 1e-12))[y].mean())
    loss = float(-np.log(np.maximum(p[np.arange(len(y)), y], 1e-12)).mean())
    by_loss = 1.0 - loss / trivial if trivial > 0 else 0.0
    wrong, wrong_trivially = float((p.argmax(axis=1) != y).mean()), float(1.0 - share.max())
    by_answers = 1.0 - wrong / wrong_trivially if wrong_trivially > 0 else 0.0
    area = compute_auc(y == 1, p[:, 1]) if p.shape[1] == 2 else 0.0
    ranked = 0.0 if np.isnan(area) else 2.0 * area - 1.0
    return max(by_loss, by_answers, ranked / 2)


def read_classifier(model: Model, encoding: str, raw: Array, y: Array, *, settled: bool) -> list[Reading]:
    """The readings of a classifier's raw output (n, …) that are possible at all, for the class codes ``y`` (n,).

    Not ``settled``: which output is which class is looked for as well. Raises BadModel where the outputs are several
    answers of their own and not one class among several.
    """
    own = model.signature.output
    kinds = (own,) if own in ("probability", "logit") else ("probability", "logit")
    flat = np.asarray(raw, dtype=np.float64).reshape(len(raw), -1)
    found = []
    for kind in kinds:
        output = Output(kind="logit" if kind == "logit" else "probability", threshold=model.signature.threshold)
        p = probabilities(flat, output.kind)
        if not np.isfinite(p).all() or (p < 0).any() or (p > 1 + 1e-6).any():
            continue
        if not adds_up(p):
            if own == "probability":
                raise BadModel(
                    f"The model gives {p.shape[1]} probabilities that do not add up to 1 (but to "
                    f"{float(p.sum(axis=1).min()):.3g} to {float(p.sum(axis=1).max()):.3g}): they are {p.shape[1]} "
                    "answers of their own, not one class.",
                    explain_several_answers(model),
                )
            continue
        candidate = dataclasses.replace(model, output=output)
        if settled:
            order, answers = None, candidate.align(p)
        else:
            order = find_class_order(p, y)
            answers = p[:, list(order.columns)]
        found.append(Reading(candidate, encoding, answers, y, measure_skill(answers, y, "binary"), order))
    return found


def explain_several_answers(model: Model) -> str:
    """What to do with a model that gives several answers a row, where one target was named."""
    if model.signature.heads:
        return "Name a target column for each answer, as A,B,C in the order of the outputs; the first is judged."
    return "A model of several answers cannot be adopted here; adopt a model with one of its outputs alone."


def adds_up(p: Array) -> bool:
    """Whether each row of probabilities (n, k) adds up to 1."""
    return bool((np.abs(p.sum(axis=1) - 1.0) <= SUM_TOLERANCE).all())


def measure_losses(answers: Array, y: Array) -> Array:
    """(n,) log losses, each of at most log(100), or squared errors."""
    if answers.ndim == 1:
        return np.asarray((answers - y) ** 2)
    return np.asarray(-np.log(np.clip(answers[np.arange(len(y)), y], LEAST_PROBABILITY, 1.0)))


def measure_shifted_losses(reading: Reading) -> Array:
    """(n,) squared errors, or log losses of at most log(100) of probabilities shifted to the shares in the rows."""
    answers, y = reading.answers, reading.y
    if answers.ndim == 1:
        return np.asarray((answers - y) ** 2)
    return measure_losses(shift_to_shares(np.clip(answers, LEAST_PROBABILITY, 1.0), y), y)


def measure_saved_share(reading: Reading) -> float:
    """The share of the trivial loss that a reading saves by its ``measure_shifted_losses``; 0 where it saves none."""
    y, answers = reading.y, reading.answers
    share = np.bincount(y, minlength=answers.shape[1]) / len(y) if answers.ndim > 1 else np.ones(1)
    trivial = float(np.var(y)) if answers.ndim == 1 else float(-np.log(share[share > 0]) @ share[share > 0])
    return max(0.0, 1.0 - float(measure_shifted_losses(reading).mean()) / (trivial or 1.0))


def measure_overconfidence(answers: Array, y: Array) -> float:
    """How much of the trivial log loss is saved by halving the log-odds of probabilities (n, k), which are shifted to
    the shares of the classes in the rows: a model trained with weights for the classes has others, and is right.

    Above 0: the answers are surer than these rows allow. On rows like those of its training a network is not.
    """
    share = np.bincount(y, minlength=answers.shape[1]) / len(y)
    trivial = float(-np.log(share[share > 0]) @ share[share > 0])
    p = np.clip(answers, LEAST_PROBABILITY, 1.0)
    return (_shifted_loss(p, y) - _shifted_loss(np.sqrt(p), y)) / (trivial or 1.0)


def shift_to_shares(p: Array, y: Array) -> Array:
    """Probabilities (n, k) above 0, shifted by a factor a class so that their means are the shares in the rows."""
    share = np.bincount(y, minlength=p.shape[1]) / len(y)
    for _ in range(SHIFTS):
        p = p / p.sum(axis=1, keepdims=True)
        p = p * np.where(share > 0, share / np.maximum(p.mean(axis=0), 1e-6), 1.0)
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _shifted_loss(p: Array, y: Array) -> float:
    p = shift_to_shares(p, y)
    return float(-np.log(np.maximum(p[np.arange(len(y)), y], 1e-12)).mean())


def measure_share_error(answers: Array, y: Array) -> float:
    """The largest difference between a class's mean probability and its share of the rows."""
    share = np.bincount(y, minlength=answers.shape[1]) / len(y)
    return float(np.abs(answers.mean(axis=0) - share).max())


def measure_difference(one: Array, other: Array, y: Array) -> float:
    """How differently two readings answer: mean difference of probabilities, or RMS in spreads of the target."""
    if one.ndim == 1:
        return float(np.sqrt(np.mean((one - other) ** 2)) / (np.std(y) or 1.0))
    return float(np.abs(one - other).max(axis=1).mean())


def measure_lead(one: Array, other: Array, y: Array) -> float:
    """Standard errors by which the first answers are better, row by row; of losses, or of right answers if clearer."""
    leads = [measure_standard_errors(measure_losses(other, y) - measure_losses(one, y))]
    if one.ndim > 1:
        right, other_right = (a.argmax(axis=1) == y for a in (one, other))
        leads.append(measure_standard_errors(right.astype(np.float64) - other_right.astype(np.float64)))
    return max(leads)


def measure_standard_errors(differences: Array) -> float:
    """The mean of paired differences (n,) in its standard errors; infinite where all are the same and not 0."""
    spread = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    if spread == 0.0:
        return 0.0 if not differences.any() else float(np.sign(differences.mean()) * np.inf)
    return float(differences.mean()) / spread * float(np.sqrt(len(differences)))

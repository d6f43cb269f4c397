"""How much of what the inputs say of the target a model's answers leave unused: a sign of a wrong reading.

A network that is read rightly and was trained to the end leaves little: a straight line in its own inputs, added to
its answers, hardly betters them. One that is fed wrongly, or was hardly trained, leaves much.
"""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.registry.adoption.readings.reading import LEAST_PROBABILITY, Reading, shift_to_shares

FOLDS = 5
WIDEST = 50  # inputs; of more, the directions in which they vary most
FARTHEST = 5.0  # spreads from the mean at which an input counts no further
RIDGE = 0.01  # per row
STEPS = 60


def measure_unused_signal(reading: Reading, raw: Array, x: Array, *, seed: int = 0) -> float:
    """The share of the trivial loss that a linear correction saves on rows it was not fitted to.

    The correction of the raw output ``raw`` (n, …) is linear in the inputs ``x`` (n, …) and in the answers; the loss is
    the log loss, or the squared error in the units of the output.

    Probabilities are shifted to the shares of the classes first: a model trained with weights for the classes has
    others, and is right. Costs five small fits of at most 50 inputs.
    """
    n = len(reading.y)
    inputs = _standardise(np.asarray(x, dtype=np.float64).reshape(n, -1))
    classes = reading.answers.ndim > 1
    if classes:
        base = np.log(shift_to_shares(np.clip(reading.answers, LEAST_PROBABILITY, 1.0), reading.y))
        share = np.bincount(reading.y, minlength=base.shape[1]) / n
        known, trivial = reading.y, float(-np.log(share[share > 0]) @ share[share > 0])
    else:
        base = np.asarray(raw, dtype=np.float64).reshape(n, -1)
        known = reading.model.scale_target(reading.y)
        trivial = float(np.var(known))
    a = np.hstack([np.ones((n, 1)), inputs, _standardise(base)])
    fold = np.random.default_rng(seed).permutation(n) % FOLDS
    saved = np.zeros(n)
    for k in range(FOLDS):
        learn, held = fold != k, fold == k
        fit = _fit_logits if classes else _fit_values
        corrected = base[held] + a[held] @ fit(a[learn], base[learn], known[learn])
        measure = _log_losses if classes else _squared_errors
        saved[held] = measure(base[held], known[held]) - measure(corrected, known[held])
    return float(saved.mean()) / (trivial or 1.0)


def _standardise(x: Array) -> Array:
    x = np.nan_to_num(x)
    spread = x.std(axis=0)
    z = np.clip((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0), -FARTHEST, FARTHEST)
    if z.shape[1] <= WIDEST:
        return np.asarray(z)
    values, vectors = np.linalg.eigh(z.T @ z)
    main = z @ vectors[:, np.argsort(-values)[:WIDEST]]
    return np.asarray(main / np.maximum(main.std(axis=0), 1e-12))


def _fit_values(a: Array, base: Array, z: Array) -> Array:
    inverse = a.T @ a + RIDGE * len(a) * np.eye(a.shape[1])
    return np.linalg.solve(inverse, a.T @ (z[:, None] - base))


def _squared_errors(values: Array, z: Array) -> Array:
    return np.asarray((values[:, 0] - z) ** 2)


def _fit_logits(a: Array, base: Array, y: Array) -> Array:
    from scipy.optimize import minimize

    shape, truth = (a.shape[1], base.shape[1]), np.eye(base.shape[1])[y]

    def measure(flat: Array) -> tuple[float, Array]:
        w = flat.reshape(shape)
        logits = base + a @ w
        p = _softmax(logits)
        loss = _log_losses(logits, y).mean() + RIDGE / 2 * float((w**2).sum())
        return float(loss), (a.T @ (p - truth) / len(a) + RIDGE * w).ravel()

    found = minimize(measure, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    return np.asarray(found.x.reshape(shape))


def _softmax(logits: Array) -> Array:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _log_losses(logits: Array, y: Array) -> Array:
    highest = logits.max(axis=1)
    total = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    return np.asarray(total - logits[np.arange(len(y)), y])

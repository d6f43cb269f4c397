"""What new rows are held against: the rows a version knew, what it said of them, and how much each column matters."""

from __future__ import annotations

import numpy as np
import polars as pl

from evermodel.core.cells import JOINT, Cells
from evermodel.core.clumping import clumping_of
from evermodel.core.description import described, with_descriptions
from evermodel.core.model import Model
from evermodel.core.reference import ColumnReference, references
from evermodel.core.related import related
from evermodel.core.sampling import spread_rows
from evermodel.core.store import Card, Store
from evermodel.core.table import Array, Table
from evermodel.core.target import class_text
from evermodel.loop.memory import read_memory
from evermodel.loop.watch_state import Watched

ENOUGH = 2_000  # newest rows known that suffice as a reference; older ones stand for a world that may be gone
ASKED = 20_000  # of them the model is asked for its predictions
PERMUTED = 2_000  # and so many to see which columns it depends on
MOST_COLUMNS = 300  # beyond so many that is not looked at
LARGE = 0.8  # share of the reference rows whose loss is not called large
JUDGED = 200  # rows judged at promotion that suffice as a baseline of the errors
PREDICTION = "prediction"


def watched_version(store: Store, card: Card, model: Model) -> Watched:
    """The reference of a version, from the newest rows that it knew; O(rows log rows), once a version."""
    table = newest_rows(store, card.name, model)
    if table is None or not len(table):
        return Watched(card.version)
    frame = with_descriptions(spread_rows(table.frame.lazy(), len(table)), model.contract.columns)
    inputs, telling = model.contract.names, described(model.contract.columns)
    names = [*(n for n in inputs if n not in telling.values()), *telling]
    columns = references(frame, names)
    asked = Table(spread_rows(frame.lazy(), frame.height, ASKED), table.roles)
    p, y = model.predict(asked.frame), model.target(asked)
    columns |= references(prediction_series(p, model.contract.classes).to_frame(), [PREDICTION])
    usable = np.isfinite(y)
    loss = losses(y[usable], p[usable])
    edge = float(np.quantile(loss, LARGE)) if len(loss) >= 10 else float("nan")
    clumped = {"quality": quality_clumping(y[usable], p[usable], loss > edge)}
    answer = p if p.ndim == 1 else p[:, 1] if p.shape[1] == 2 else p.argmax(axis=1)
    together = related(asked.frame, names, answer) if len(names) <= MOST_COLUMNS else {}
    together |= {n: tuple(m for m in telling if telling[m] == of and m != n) for n, of in telling.items()}
    matters = dependence(model, asked, inputs)
    matters |= {n: matters[of] for n, of in telling.items() if of in matters}
    found = Cells.of(frame, names, matters)
    cells = found[0] if found is not None else None
    if found is not None:
        columns |= references(found[0](frame.filter(pl.Series(found[1]))).to_frame(), [JOINT])
    return Watched(card.version, columns, matters, edge, together, cells, clumped, _judged(card))


def newest_rows(store: Store, name: str, model: Model) -> Table | None:
    """The newest blocks that hold enough rows together; older ones may be of a world that is gone."""
    table = read_memory(store, name).rows(store, model.contract)
    if table is None or table.blocks is None:
        return table
    for block in np.unique(table.blocks)[::-1]:
        inside = table.blocks >= block
        if inside.sum() >= ENOUGH:
            return table.rows(inside)
    return table


def quality_clumping(y: Array, p: Array, large: Array) -> float:
    """How much errors hang together. Large losses tell it of a model that hardly errs on rows it was trained on."""
    wrong = clumping_of(p.argmax(axis=1) != y) if p.ndim == 2 else 0.0
    return max(wrong, clumping_of(large))


def prediction_series(p: Array, classes: tuple[object, ...]) -> pl.Series:
    """What is watched of predictions: the value, the probability of class 1, or the likeliest of several classes."""
    if p.ndim == 1:
        return pl.Series(PREDICTION, p.astype(np.float64))
    if p.shape[1] == 2:
        return pl.Series(PREDICTION, p[:, 1].astype(np.float64))
    return pl.Series(PREDICTION, [class_text(c) for c in classes]).gather(p.argmax(axis=1))


def losses(y: Array, p: Array) -> Array:
    """(n,) log loss of each row, or absolute error."""
    if p.ndim == 1:
        return np.asarray(np.abs(p - y))
    return np.asarray(-np.log(np.maximum(p[np.arange(len(y)), y.astype(np.int64)], 1e-12)))


def dependence(model: Model, table: Table, names: list[str]) -> dict[str, float]:
    """Column -> how much the loss grows when its values are shuffled, as a share of the most important column's.

    Source: Breiman (2001), permutation importance. As many predictions of 2,000 rows as there are columns.
    """
    if len(names) > MOST_COLUMNS:
        return {}
    frame = spread_rows(table.frame.lazy(), len(table), PERMUTED)
    y = model.target(Table(frame, table.roles))
    usable = np.isfinite(y.astype(np.float64))
    usual = losses(y[usable], model.predict(frame)[usable]).mean()
    random = np.random.default_rng(0)
    grown = {}
    for name in names:
        shuffled = frame.with_columns(frame[name].gather(random.permutation(frame.height)).alias(name))
        grown[name] = float(losses(y[usable], model.predict(shuffled)[usable]).mean() - usual)
    most = max(grown.values(), default=0.0)
    return {n: max(0.0, g) / most for n, g in grown.items()} if most > 0 else {}


def _judged(card: Card) -> dict[str, tuple[float, ...]]:
    """Errors and rows right of the rows that judged the version before it was promoted."""
    score = card.scores.get("new", {}).get("accuracy")
    if not isinstance(score, dict) or not (score.get("n") or 0) >= JUDGED:
        return {}
    right = score["challenger"] * score["n"]
    return {"quality:accuracy": (score["n"] - right + 0.5, right + 0.5)}


def matters_of(reference: ColumnReference, watched: Watched) -> float:
    """0 to 1; NaN where it was not looked at. The predictions themselves matter most."""
    return 1.0 if reference.name == PREDICTION else watched.matters.get(reference.name, float("nan"))

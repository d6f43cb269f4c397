"""Builds what new rows are compared with: reference rows, the predictions for them, and each column's importance."""

from __future__ import annotations

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.contracts.related_columns import find_related_columns
from evermodel.core.data.content_features import describe_features, with_descriptions
from evermodel.core.data.scan import spread_rows
from evermodel.core.data.table import Table
from evermodel.core.data.target_column import class_text
from evermodel.core.model.model import Model
from evermodel.core.records.version_card import VersionCard
from evermodel.core.stats.overdispersion import estimate_event_overdispersion
from evermodel.core.stats.reference_bins import ColumnReference, build_references
from evermodel.core.stats.row_cells import JOINT, Cells
from evermodel.core.store import Store
from evermodel.monitoring.monitor_state import VersionMonitor
from evermodel.monitoring.texts.text_columns import REPEATS, find_text_network, learn_text_columns, list_learnt_columns
from evermodel.monitoring.texts.text_reference import TextReference
from evermodel.registry.row_memory import read_memory

ENOUGH = 2_000  # newest known rows that suffice as a reference; older ones may be of an old concept
PREDICTED = 20_000  # of them are predicted
PERMUTED = 2_000  # of them measure the importance of columns
MOST_COLUMNS = 300  # beyond which importance is not measured
BAD_ANSWER = 0.5  # of the words of a free text, by F1: what shares less with its label is a bad answer
LARGE = 0.8  # quantile of the reference rows' losses above which a loss is large
JUDGED = 200  # judged rows that suffice as a baseline of the errors
PREDICTION = "prediction"


def build_version_monitor(store: Store, card: VersionCard, model: Model) -> VersionMonitor:
    """The monitor of a version with its reference, from the newest rows that it knew. O(rows log rows)."""
    table = _leave_out_later_classes(select_newest_rows(store, card.name, model), model)
    if table is None or not len(table):
        return VersionMonitor(card.version)
    if card.shuffled:  # a file sorted by class must not look like a long season
        table = table.rows(np.random.default_rng(0).permutation(len(table)))
    frame = with_descriptions(spread_rows(table.frame.lazy(), len(table)), model.contract.columns)
    inputs, telling = model.contract.names, describe_features(model.contract.columns)
    names = [*(n for n in inputs if n not in telling.values()), *telling]
    kinds = {c.kind for c in model.contract.columns}
    texts, columns = (
        ({}, {}) if "text" not in kinds else learn_text_columns(frame, model.contract, find_text_network(model))
    )
    columns |= build_references(frame, names)
    if model.contract.task == "text":  # its prompts are watched; it would take hours to write answers
        return _build_prompt_monitor(card, columns, texts)
    sample = Table(spread_rows(frame.lazy(), frame.height, PREDICTED), table.roles)
    p, y = model.predict(sample.frame), model.target(sample)
    columns |= build_references(select_prediction(p, model.contract.classes).to_frame(), [PREDICTION])
    usable = np.isfinite(y)
    loss = compute_losses(y[usable], p[usable])
    edge = float(np.quantile(loss, LARGE)) if len(loss) >= 10 else float("nan")
    overdispersion = {"quality": estimate_quality_overdispersion(y[usable], p[usable], loss > edge)}
    answer = p if p.ndim == 1 else p[:, 1] if p.shape[1] == 2 else p.argmax(axis=1)
    related = find_related_columns(sample.frame, names, answer) if len(names) <= MOST_COLUMNS else {}
    telling |= {n: of for of in texts for n in list_learnt_columns(of)}
    related |= {n: tuple(m for m in telling if telling[m] == of and m != n) for n, of in telling.items()}
    importance = permutation_importance(model, sample, inputs)
    importance |= {n: importance[of] for n, of in telling.items() if of in importance}
    cells_and_rows = Cells.of(frame, names, importance)
    cells = cells_and_rows[0] if cells_and_rows is not None else None
    if cells_and_rows is not None:
        columns |= build_references(cells_and_rows[0](frame.filter(pl.Series(cells_and_rows[1]))).to_frame(), [JOINT])
    baselines = _baseline_from_judge(card)
    return VersionMonitor(
        card.version, columns, importance, edge, related, cells, overdispersion, baselines, texts=texts
    )


def _build_prompt_monitor(
    card: VersionCard, columns: dict[str, ColumnReference], texts: dict[str, TextReference]
) -> VersionMonitor:
    """The monitor of a model that answers with free text; what is measured of one text belongs together."""
    of = {name: column for column in texts for name in columns if name.startswith(f"{column}.")}
    of |= {f"{column}.{REPEATS}": column for column in texts}
    related = {n: tuple(m for m in of if of[m] == column and m != n) for n, column in of.items()}
    return VersionMonitor(card.version, columns, loss_edge=BAD_ANSWER, related=related, texts=texts)


def select_newest_rows(store: Store, name: str, model: Model) -> Table | None:
    """The newest blocks that hold enough rows together; older ones may be of an old concept."""
    table = read_memory(store, name).rows(store, model.contract)
    if table is None or table.blocks is None:
        return table
    for block in np.unique(table.blocks)[::-1]:
        inside = table.blocks >= block
        if inside.sum() >= ENOUGH:
            return table.rows(inside)
    return table


def _leave_out_later_classes(table: Table | None, model: Model) -> Table | None:
    """The rows of classes that the version has an output for: after a rollback, later ones are remembered too."""
    if table is None or not model.contract.classes:
        return table
    y = model.target(table)
    return table.rows(~np.isfinite(y) | (y < len(model.contract.classes)))


def estimate_quality_overdispersion(y: Array, p: Array, large: Array) -> float:
    """Overdispersion of errors; of large losses too, since a model hardly errs on rows it was trained on."""
    wrong = estimate_event_overdispersion(p.argmax(axis=1) != y) if p.ndim == 2 else 0.0
    return max(wrong, estimate_event_overdispersion(large))


def select_prediction(p: Array, classes: tuple[object, ...]) -> pl.Series:
    """What is watched of predictions: the value, the probability of class 1, or the likeliest of several classes."""
    if p.ndim == 1:
        return pl.Series(PREDICTION, p.astype(np.float64))
    if p.shape[1] == 2:
        return pl.Series(PREDICTION, p[:, 1].astype(np.float64))
    return pl.Series(PREDICTION, [class_text(c) for c in classes]).gather(p.argmax(axis=1))


def compute_losses(y: Array, p: Array) -> Array:
    """(n,) log loss of each row, or absolute error."""
    if p.ndim == 1:
        return np.asarray(np.abs(p - y))
    return np.asarray(-np.log(np.maximum(p[np.arange(len(y)), y.astype(np.int64)], 1e-12)))


def permutation_importance(model: Model, table: Table, names: list[str]) -> dict[str, float]:
    """Column -> how much the loss grows when its values are permuted, relative to the most important column.

    Source: Breiman (2001). It predicts 2,000 rows once for each column.
    """
    if len(names) > MOST_COLUMNS:
        return {}
    frame = spread_rows(table.frame.lazy(), len(table), PERMUTED)
    y = model.target(Table(frame, table.roles))
    usable = np.isfinite(y.astype(np.float64))
    usual = compute_losses(y[usable], model.predict(frame)[usable]).mean()
    random = np.random.default_rng(0)
    grown = {}
    for name in names:
        shuffled = frame.with_columns(frame[name].gather(random.permutation(frame.height)).alias(name))
        grown[name] = float(compute_losses(y[usable], model.predict(shuffled)[usable]).mean() - usual)
    most = max(grown.values(), default=0.0)
    return {n: max(0.0, g) / most for n, g in grown.items()} if most > 0 else {}


def _baseline_from_judge(card: VersionCard) -> dict[str, tuple[float, ...]]:
    """Errors and right rows among the rows that judged the version before it was promoted."""
    score = card.update.scores.get("new", {}).get("accuracy") if card.update is not None else None
    if score is None or score.n < JUDGED:
        return {}
    right = score.challenger * score.n
    return {"quality:accuracy": (score.n - right + 0.5, right + 0.5)}

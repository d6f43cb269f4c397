"""Train without the input columns that say least."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.combining.members import build_scorer
from evermodel.combining.recovery_training import Teaching, select_training_rows, train_recovery
from evermodel.core.data.table import Table
from evermodel.core.errors import BadModel
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In

__all__ = ["features"]


def features(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    ratio: Annotated[float, In(0.0, 0.99)] = 0.5,
    repeats: Annotated[int, In(1, 100)] = 3,
    teaching: Teaching = "auto",
) -> Model:
    """Leave out the share ``ratio`` of the input columns, those whose shuffling costs least, and train anew.

    The contract stays: rows still come with all columns, the left-out ones are not read. For scikit-learn estimators
    and boosters; not for networks, nor pipelines that name their columns. Costs columns x ``repeats`` predictions of
    ``data.tuning_rows`` (else of the training rows) and one or two trainings. Raises BadModel, NoData.

        $ evermodel prune churn --with features --ratio 0.3

    Source: Breiman, Random forests, Machine Learning 45, 2001
    """
    parent = parents[0]
    if parent.signature.network or parent.transform.layout == "image":
        raise BadModel("The input columns of a network are fixed by its first layer.", "Use the pruner 'channels'.")
    rows = data.tuning_rows if data.tuning_rows is not None and len(data.tuning_rows) else select_training_rows(data)
    columns = list(dict.fromkeys(f.column for f in parent.transform.features))
    away = min(int(ratio * len(columns)), len(columns) - 1)
    if not away:
        return parent
    worth = importances(parent, rows, columns, repeats, context.seed)
    least = sorted(columns, key=lambda c: worth[c])[:away]
    kept = tuple(f for f in parent.transform.features if f.column not in least)
    narrower = dataclasses.replace(parent, transform=dataclasses.replace(parent.transform, features=kept))
    try:
        return train_recovery(narrower, parent, data, context, teaching=teaching, from_scratch=True)
    except (ValueError, KeyError) as error:  # a pipeline that selects columns by name
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadModel(f"The model cannot be trained without {', '.join(least)}: {first[:200]}") from None


def importances(model: Model, rows: Table, columns: Sequence[str], repeats: int, seed: int) -> dict[str, float]:
    """What shuffling each column costs of the score, the mean over ``repeats`` shuffles."""
    random, frame = np.random.default_rng(seed), rows.frame
    base = build_scorer(model, rows)(model)
    found = {}
    for column in columns:
        lost = []
        for _ in range(repeats):
            mixed = frame.with_columns(frame[column].gather(random.permutation(frame.height)))
            lost.append(base - build_scorer(model, dataclasses.replace(rows, frame=mixed))(model))
        found[column] = float(np.mean(lost))
    return found

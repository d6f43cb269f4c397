"""Estimators of several targets: which answers they give, in which numbers, and the labels they are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.task import NumericTask
from evermodel.core.errors import BadData, BadModel, BadSetting
from evermodel.core.model.framework import OutputHead
from evermodel.plugins.frameworks._sklearn.fitted_columns import last_step

ONE_A_TARGET = ("MultiOutputRegressor", "MultiOutputClassifier", "RegressorChain", "ClassifierChain")


def list_heads(obj: Any) -> tuple[OutputHead, ...]:
    """Each answer of an estimator of several targets, in the order of the targets; () for one of a single target.

    Raises BadModel for a classifier of several targets that gives no probabilities.
    """
    last = last_step(obj)
    classes = _list_classes(obj, last)
    if classes is None:
        count = 0 if hasattr(last, "classes_") else _count_numbers(last)
        return tuple(OutputHead(_name(i), 1, "regression", "value") for i in range(count if count > 1 else 0))
    if not hasattr(obj, "predict_proba"):
        raise BadModel(
            f"{type(last).__name__} of {len(classes)} targets gives no probabilities (it has no predict_proba).",
            "Adopt one that does, such as a MultiOutputClassifier of classifiers with predict_proba.",
        )
    found = []
    for i, labels in enumerate(classes):
        task: NumericTask = "binary" if len(labels) == 2 else "multiclass"
        width = 1 if _gives_one_number(last) else len(labels)
        if len(labels) < 2 or (width == 1 and len(labels) > 2):
            raise BadModel(
                f"Target {i + 1} of the {type(last).__name__} has {len(labels)} classes: it cannot be read.",
                "Train it on rows with two classes of each target.",
            )
        found.append(OutputHead(_name(i), width, task, "probability", classes=tuple(labels)))
    return tuple(found)


def join_answers(found: Any) -> Array:
    """The numbers of all answers beside one another (n, …): several arrays of probabilities become one."""
    return np.hstack([np.asarray(part) for part in found]) if isinstance(found, list) else np.asarray(found)


def decode_targets(heads: Sequence[OutputHead], y: Array) -> Array:
    """The labels, or numbers, of targets (n, answers) that are written as codes of classes.

    Raises BadSetting for a class that the estimator does not have.
    """
    columns = []
    for head, column in zip(heads, y.T, strict=True):
        if not head.classes:
            columns.append(column)
            continue
        codes = column.astype(np.int64)
        if codes.max(initial=0) >= len(head.classes):
            raise BadSetting(
                f"The estimator has {len(head.classes)} classes of its {head.name}; the rows hold more.",
                "An estimator of several targets learns no new classes: leave these rows out, or adopt a new model.",
            )
        columns.append(np.asarray(head.classes)[codes])
    return np.stack(columns, axis=1) if len({c.dtype.kind for c in columns}) == 1 else _stack_objects(columns)


def check_heads(before: Sequence[OutputHead], fitted: Any) -> None:
    """Raises BadData where training anew lost a class of a target: its answers would no longer mean the same."""
    for old, new in zip(before, list_heads(fitted), strict=True):
        if old != new:
            lost = ", ".join(str(c) for c in old.classes if c not in new.classes)
            raise BadData(
                f"The training rows hold no row of the class {lost} of the estimator's {old.name}.",
                "Give rows of every class of every target.",
            )


def measure_answers(heads: Sequence[OutputHead], answers: Array, y: Array) -> tuple[float, float]:
    """The mean over the targets of the loss and of the score: squared error and R2, or log loss and accuracy."""
    losses, scores, at = [], [], 0
    for head, column in zip(heads, y.T, strict=True):
        part, at = answers[:, at : at + head.width], at + head.width
        if head.task == "regression":
            losses.append(float(np.mean((part[:, 0] - column) ** 2)))
            scores.append(1.0 - losses[-1] / (float(np.var(column)) or 1.0))
            continue
        p = np.hstack([1.0 - part, part]) if head.width == 1 else part
        codes = column.astype(np.int64)
        losses.append(float(-np.log(np.maximum(p[np.arange(len(p)), codes], 1e-12)).mean()))
        scores.append(float((p.argmax(axis=1) == codes).mean()))
    return float(np.mean(losses)), float(np.mean(scores))


def _name(place: int) -> str:
    return f"target {place + 1}"


def _list_classes(obj: Any, last: Any) -> list[list[Any]] | None:
    """The labels of each target; None for a regression, and for a classifier of one target."""
    classes = getattr(obj, "classes_", None)
    if isinstance(classes, list) and classes and np.ndim(classes[0]) > 0:
        return [np.asarray(labels).tolist() for labels in classes]
    binarizer = getattr(last, "_label_binarizer", None)
    indicators = getattr(last, "multilabel_", False) or (
        getattr(binarizer, "y_type_", "").startswith("multilabel") and classes is not None
    )
    return [[0, 1] for _ in np.asarray(classes).tolist()] if indicators else None


def _gives_one_number(last: Any) -> bool:
    """Whether its probabilities are those of class 1 alone, one a target."""
    return not isinstance(getattr(last, "classes_", None), list) or type(last).__name__ == "ClassifierChain"


def _count_numbers(last: Any) -> int:
    """Numbers a row that a regression gives; 1 where it does not say."""
    outputs = getattr(last, "n_outputs_", None)
    if isinstance(outputs, (int, np.integer)):
        return int(outputs)
    if type(last).__name__ in ONE_A_TARGET:
        return len(last.estimators_)
    if hasattr(last, "regressor_"):  # of a transformed target
        return _count_numbers(last_step(last.regressor_))
    # Of a KernelRidge only: the dual coefficients of a support vector machine have a column for each vector.
    names = ("coef_", "_y", "dual_coef_") if type(last).__name__ == "KernelRidge" else ("coef_", "_y")
    for name in names:
        held = getattr(last, name, None)
        if held is not None and np.ndim(held) == 2:
            return int(np.shape(held)[0 if name == "coef_" else 1])
    return 1


def _stack_objects(columns: Sequence[Array]) -> Array:
    stacked = np.empty((len(columns[0]), len(columns)), dtype=object)
    for i, column in enumerate(columns):
        stacked[:, i] = column
    return stacked

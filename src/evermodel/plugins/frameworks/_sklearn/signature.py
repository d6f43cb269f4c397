"""What a fitted scikit-learn estimator says it expects and gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from evermodel.core.data.task import Task
from evermodel.core.errors import BadModel
from evermodel.core.model.framework import InputColumn, Signature
from evermodel.plugins.frameworks._sklearn.fitted_columns import find_columns, last_step
from evermodel.plugins.frameworks._sklearn.own_steps import find_own_start
from evermodel.plugins.frameworks._sklearn.several_targets import list_heads


def read_signature(obj: Any) -> Signature:
    """Raises BadModel for an estimator without probabilities, or that predicts no target."""
    names = getattr(obj, "feature_names_in_", None)
    width = getattr(obj, "n_features_in_", None)
    classes = getattr(obj, "classes_", None)
    _check_predicts(obj)
    heads = list_heads(obj)
    task: Task = "regression"
    if classes is not None and not heads:
        classes = tuple(np.asarray(classes).tolist())
        task = "binary" if len(classes) == 2 else "multiclass"
        if not hasattr(obj, "predict_proba"):
            raise BadModel(
                f"{last_step(obj).__class__.__name__} gives no probabilities (it has no predict_proba).",
                "Wrap it in sklearn.calibration.CalibratedClassifierCV and adopt that.",
            )
    columns = find_columns(obj)
    own = find_own_start(obj) is not None
    as_frame = names is not None or own or any(column.kind in ("category", "text") for column in columns.values())
    return Signature(
        layout="frame" if as_frame else "matrix",
        shape=(int(width),) if width is not None else (1,) if columns else None,
        names=None if names is None else tuple(map(str, names)),
        columns={
            at: InputColumn(column.kind, column.categories, column.refuses_unknown)
            for at, column in columns.items()
            if as_frame
        },
        heads=heads,
        task=None if heads else task,
        classes=None if heads else classes,
        outputs=None if heads else 1 if classes is None else len(classes),
        threshold=_find_threshold(obj),
        output=None if heads else "value" if classes is None else "probability",
        network=False,
        learns_categories=as_frame,
    )


def fix_threshold(tuned: Any) -> Any:
    """The classifier with the threshold that was found, which an update keeps instead of tuning it anew."""
    from sklearn.model_selection import FixedThresholdClassifier

    settings = tuned.get_params(deep=False)
    fixed = FixedThresholdClassifier(
        settings["estimator"], threshold=float(tuned.best_threshold_), response_method=settings["response_method"]
    )
    fixed.estimator_ = tuned.estimator_
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(tuned, name):
            setattr(fixed, name, getattr(tuned, name))
    return fixed


def _find_threshold(obj: Any) -> float:
    """The probability of the second class from which a binary classifier answers it."""
    last = last_step(obj)
    if type(last).__name__ != "FixedThresholdClassifier" or last.threshold == "auto":
        return 0.5
    by_scores = last.response_method == "decision_function" or not hasattr(last.estimator_, "predict_proba")
    if by_scores or last.pos_label not in (None, last.classes_[-1]):
        raise BadModel(
            f"The threshold of a {type(last).__name__} is read where it is a probability of the second class.",
            "Give it response_method='predict_proba' and pos_label=None.",
        )
    return float(last.threshold)


def _check_predicts(obj: Any) -> None:
    from sklearn.base import is_classifier, is_regressor

    if not is_classifier(obj) and not is_regressor(obj):
        raise BadModel(
            f"A {type(last_step(obj)).__name__} is neither a classifier nor a regressor: there is no target that it "
            "predicts.",
            "Only models of a label or a number can be kept good by labelled rows.",
        )

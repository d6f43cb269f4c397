"""Trains a scikit-learn estimator anew on rows of the columns that it was fitted on, or goes on with its last step."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData, BadSetting
from evermodel.core.model.training import Training
from evermodel.plugins.frameworks._sklearn.fitted_columns import (
    ENCODERS,
    INNER,
    Walked,
    last_step,
    resolve_columns,
    walk_steps,
)
from evermodel.plugins.frameworks._sklearn.native_rows import (
    build_input,
    choose_predicting,
    name_columns,
    restore_values,
)


def fit_anew(obj: Any, x: Any, labels: Array, training: Training) -> Any:
    """A clone fitted on the rows: the same steps on the same columns.

    Encoders keep the categories that they knew and learn those that came since: the raw columns stay the same.
    """
    from sklearn.base import clone

    native = name_columns(obj, x) if isinstance(x, np.ndarray) else build_input(obj, restore_values(obj, x))
    model = clone(obj)
    seeds = {k: training.seed for k in model.get_params() if k.split("__")[-1] == "random_state"}
    model.set_params(**seeds)
    if training.epochs is not None:
        rounds = [k for k in model.get_params() if k.split("__")[-1] == "max_iter"]
        model.set_params(**dict.fromkeys(rounds, training.epochs))
    if isinstance(x, pl.DataFrame):
        fix_selections(obj, model)
        for encoder, categories in _list_known_categories(obj, model, native):
            encoder.set_params(categories=categories)
    try:
        fitted = model.fit(native, labels, **_weights(model, training))
    except Exception as error:  # a step of the user's own can raise anything
        raise BadData(
            f"{type(last_step(obj)).__name__} cannot be trained on these rows: {' '.join(str(error).split())[:300]}",
            "Check the columns for missing values and values of another kind.",
        ) from error
    if isinstance(x, pl.DataFrame):
        _free_categories(obj, fitted)
    return fitted


def go_on(obj: Any, x: Any, labels: Array, training: Training) -> Any:
    """A copy whose last step went on from where it is. Raises BadSetting where it cannot."""
    model = copy.deepcopy(obj)
    last = last_step(model)
    if not hasattr(last, "partial_fit"):
        raise BadSetting(
            f"{type(last).__name__} cannot go on training (it has no partial_fit).", "Use the strategy 'refit'."
        )
    native = name_columns(obj, x) if isinstance(x, np.ndarray) else x
    if isinstance(x, pl.DataFrame):
        restored = restore_values(obj, x)
        native = build_input(obj, restored)
        before = choose_predicting(model, restored)[:-1] if last is not model else None
    else:
        before = model[:-1] if last is not model else None
    inner = native if before is None else before.transform(native)
    inner = inner if hasattr(inner, "shape") and not hasattr(inner, "iloc") else np.asarray(inner)
    order = np.random.default_rng(training.seed)
    size = training.batch_size or 64
    if labels.ndim > 1 and hasattr(last, "classes_"):
        raise BadSetting(
            f"A {type(last).__name__} of several targets cannot go on training.", "Use the strategy 'refit'."
        )
    known = {"classes": last.classes_} if hasattr(last, "classes_") else {}
    if known and not np.isin(labels, last.classes_).all():
        name = type(last).__name__
        raise BadSetting(f"{name} cannot go on with classes that it never saw.", "Use the strategy 'refit'.")
    for _ in range(training.epochs or 5):
        shuffled = order.permutation(len(labels))
        for at in range(0, len(labels), size):
            rows = shuffled[at : at + size]
            last.partial_fit(inner[rows], labels[rows], **known)
        if training.out_of_time():
            break
    return model


def fix_selections(fitted: Any, clone: Any) -> None:
    """Selections by type or pattern in ``clone`` become the columns that they stood for in ``fitted``.

    A column that comes in another type today would else go another way through the pipeline.
    """
    for old, new in _pair_steps(fitted, clone):
        if type(new).__name__ != "ColumnTransformer":
            continue
        stood_for = {name: selected for name, _, selected in old.transformers_}
        names = getattr(old, "feature_names_in_", None)
        fixed = []
        for name, inner, selected in new.transformers:
            if callable(selected):
                places = resolve_columns(old, stood_for[name]) if name in stood_for else []
                selected = places if names is None else [str(names[at]) for at in places]
            fixed.append((name, inner, selected))
        new.transformers = fixed


def _pair_steps(fitted: Any, other: Any) -> list[tuple[Any, Any]]:
    """Each step of a fitted estimator with the same step of ``other``, a clone of it that may be fitted too."""
    pairs = [(fitted, other)]
    for attributes in (("steps",), ("transformer_list",), ("transformers_", "transformers"), ("named_estimators_",)):
        made = dict(_name_steps(fitted, attributes[0]))
        for attribute in dict.fromkeys((*attributes, "estimators" if attributes[0].startswith("named") else "")):
            for name, new in _name_steps(other, attribute):
                if name in made and not isinstance(new, str):
                    pairs += _pair_steps(made[name], new)
    inner, others = _find_inner(fitted), _find_inner(other)
    if inner is not None:
        unfitted = getattr(other, "regressor" if hasattr(other, "regressor") else "estimator", None)
        pairs += [pair for new in (unfitted, others) if new is not None for pair in _pair_steps(inner, new)]
    return pairs


def _name_steps(obj: Any, attribute: str) -> list[tuple[str, Any]]:
    held = getattr(obj, attribute, None) if attribute else None
    if held is None or isinstance(held, str):
        return []
    return list(held.items()) if isinstance(held, dict) else [(entry[0], entry[1]) for entry in held]


def _find_inner(obj: Any) -> Any:
    """The fitted estimator inside of one that calibrates, thresholds or transforms the target; else None."""
    parts = getattr(obj, "calibrated_classifiers_", None)
    return parts[0].estimator if parts else getattr(obj, INNER.get(type(obj).__name__, ""), None)


def _list_known_categories(fitted: Any, clone: Any, native: Any) -> list[tuple[Any, list[Any]]]:
    """Encoders of the clone that find their categories themselves, each with all that it knew and that came since."""
    walked = walk_steps(fitted)
    places = {id(encoder): columns for encoder, columns in walked.encoders}
    return [
        (new, [_join(old.categories_[i], at, native, walked) for i, at in enumerate(places[id(old)])])
        for old, new in _pair_steps(fitted, clone)
        if id(old) in places and isinstance(new.categories, str)
    ]


def _join(known: Array, at: int, native: Any, walked: Walked) -> Array:
    """The known categories and those of the rows, sorted, a missing value last, as encoders want it."""
    values = (native.iloc[:, at].unique() if hasattr(native, "iloc") else np.unique(native[:, at].astype(str))).tolist()
    there = [v for v in values if v is not None and v == v]
    own = [v for v in known.tolist() if v is not None and v == v]
    missing = [v for v in known.tolist() if v is None or v != v]
    if len(there) < len(values):
        fill = walked.fills.get(at)
        there += [] if fill is None else [fill]
        missing = missing or ([] if at in walked.fills else [np.nan])
    joined = [*sorted({*own, *there}), *missing]
    return np.asarray(joined, dtype=object) if known.dtype == object else np.asarray(joined)


def _free_categories(before: Any, fitted: Any) -> None:
    """Encoders that found their categories themselves do so again at the next training, as the team wrote it."""
    for old, new in _pair_steps(before, fitted):
        if type(old).__name__ in ENCODERS and isinstance(old.categories, str):
            new.categories = old.categories


def _weights(model: Any, training: Training) -> dict[str, Array]:
    if training.weight is None:
        return {}
    from sklearn.utils.validation import has_fit_parameter

    last = last_step(model)
    if not has_fit_parameter(last, "sample_weight"):
        return {}
    name = "sample_weight" if last is model else f"{model.steps[-1][0]}__sample_weight"
    return {name: training.weight}

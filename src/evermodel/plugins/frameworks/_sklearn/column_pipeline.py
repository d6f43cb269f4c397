"""Puts a model's transform before its estimator: one Pipeline that takes raw columns by name, in a data frame.

Its first step is a ColumnTransformer of scikit-learn's own imputers, scalers and encoders, whose fitted numbers are
those of the transform.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.errors import BadModel
from evermodel.core.model.output import Output
from evermodel.core.model.transform import Feature, Transform
from evermodel.core.model.value_transforms import FORWARD
from evermodel.plugins.frameworks._sklearn.native_rows import to_pandas

NUMBERS = ("value", "integer")
INSTEAD = "Save it without preprocessing: NAME.transform.json says how rows become its input."


def embed_preprocessing(obj: Any, transform: Transform, output: Output, columns: Sequence[str]) -> Any:
    """A fitted Pipeline that takes a data frame with ``columns``. Raises BadModel for what no transformer expresses."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    if output not in (Output(threshold=output.threshold), Output("value")):
        raise BadModel(
            "The answers of this model are corrected behind it, and a pipeline of scikit-learn has no such step.",
            INSTEAD,
        )
    if any(f.shape or f.encoding in ("image", "text") for f in transform.features):
        raise BadModel("Pictures and texts are decoded before the model, and no transformer does that.", INSTEAD)
    if any(f.encoding not in NUMBERS and (f.center, f.scale) != (0.0, 1.0) for f in transform.features):
        raise BadModel("Codes of categories are scaled before the model, and no transformer does both.", INSTEAD)
    used = {f.column: f for f in transform.features}
    runs = list(_list_runs(transform.features))
    steps = [(f"columns_{at}", _make_step(run), [f.column for f in run]) for at, run in enumerate(runs)]
    first = ColumnTransformer(steps, sparse_threshold=0.0)
    first.fit(to_pandas(pl.DataFrame([_make_rows(name, used[name]) for name in columns if name in used])))
    for at, run in enumerate(runs):
        _set_scale(first.named_transformers_[f"columns_{at}"], run)
    return Pipeline([("columns", first), ("model", obj)])


def _list_runs(features: tuple[Feature, ...]) -> Iterator[list[Feature]]:
    """Neighbouring features that one transformer can encode, in the order of x. No column stands twice in a run."""
    for _, group in groupby(features, key=_describe_step):
        run: list[Feature] = []
        for feature in group:
            if any(f.column == feature.column for f in run):
                yield run
                run = []
            run.append(feature)
        yield run


def _describe_step(feature: Feature) -> tuple[Any, ...]:
    """What must be alike in one transformer: an imputer learns one number a column, one for codes has a constant."""
    if feature.encoding in NUMBERS:
        return ("value", feature.fill is None, feature.function)
    return (feature.encoding, feature.fill if feature.encoding == "code" else None, _find_filled(feature))


def _find_filled(feature: Feature) -> str | None:
    """The category that a missing value counts as; None where it is unknown."""
    return feature.categories[int(feature.fill or 0)] if feature.fills_category else None


def _make_step(run: list[Feature]) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler

    first = run[0]
    if first.encoding in NUMBERS:
        fillers = [] if first.fill is None else [SimpleImputer(strategy="median")]
        functions = [] if first.function == "none" else [FunctionTransformer(FORWARD[first.function])]
        return make_pipeline(*fillers, *functions, StandardScaler())
    known = [np.array(f.categories, dtype=object) for f in run]
    filled = _find_filled(first)
    if filled is not None:
        coder = (
            OrdinalEncoder(categories=known, handle_unknown="use_encoded_value", unknown_value=-1)
            if first.encoding == "code"
            else _make_onehot(first, known)
        )
        return make_pipeline(SimpleImputer(strategy="constant", fill_value=filled), coder)
    if first.encoding == "code":
        coder = OrdinalEncoder(categories=known, handle_unknown="use_encoded_value", unknown_value=np.nan)
        filler = SimpleImputer(strategy="constant", fill_value=first.fill, keep_empty_features=True)
        return coder if first.fill is None else make_pipeline(coder, filler)
    return _make_onehot(first, known)


def _make_onehot(first: Feature, known: list[Any]) -> Any:
    from sklearn.preprocessing import OneHotEncoder

    drop = "first" if first.encoding == "onehot_drop_first" else None
    return OneHotEncoder(categories=known, handle_unknown="ignore", drop=drop, sparse_output=False)


def _make_rows(name: str, feature: Feature) -> pl.Series:
    """Two rows from which an imputer learns the feature's fill, and an encoder that the column holds texts."""
    if feature.encoding in NUMBERS:
        return pl.Series(name, [0.0 if feature.fill is None else feature.fill] * 2, dtype=pl.Float64)
    return pl.Series(name, [next(iter(feature.categories), "")] * 2, dtype=pl.String)


def _set_scale(step: Any, run: list[Feature]) -> None:
    """Gives the fitted scaler of a run of numbers the transform's own centers and scales, digit for digit."""
    if run[0].encoding not in NUMBERS:
        return
    scaler = step.steps[-1][1]
    scaler.mean_, scaler.scale_ = np.array([f.center for f in run]), np.array([f.scale for f in run])
    scaler.var_ = scaler.scale_**2

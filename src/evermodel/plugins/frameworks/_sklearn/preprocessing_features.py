"""A fitted preprocessing of scikit-learn as plain data: the features of a transform. Nothing of it runs later.

Scalers, imputers, one-hot and ordinal encoders, logarithms and roots, alone or in pipelines, unions and column
transformers. Whether the features say the same is proven on rows that are made from what the preprocessing knows.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.target_column import class_text
from evermodel.core.errors import BadModel
from evermodel.core.model.transform import Encoding, Feature, Transform
from evermodel.core.model.value_transforms import FORWARD, invert_target
from evermodel.plugins.frameworks._sklearn.native_rows import to_pandas

MISSING = "(missing)"  # the category of rows without a value, where an encoder was fitted on such rows
ROWS = 200  # made for the proof
CLOSE = 1e-6  # of the largest number of a column, by which the proof's answers may differ by rounding
INSTEAD = (
    "Adopt one model that holds it: a Pipeline of scikit-learn, or a Keras network with preprocessing layers. Or write "
    "the numbers that the model takes into the rows."
)


@dataclass(frozen=True)
class Part:
    """A column on its way through the preprocessing; ``filled``: what an imputer puts where texts are missing."""

    feature: Feature
    filled: str | None = None

    @property
    def is_raw(self) -> bool:
        f = self.feature
        return f.encoding == "value" and f.function == "none" and (f.center, f.scale) == (0.0, 1.0)


def translate_preprocessing(obj: Any, name: str) -> tuple[tuple[Feature, ...], bool]:
    """The features, and whether their columns have names; else they are "0", "1", … by position.

    ``name`` is what messages call the object. Raises BadModel for a step that features cannot express.
    """
    count = getattr(obj, "n_features_in_", None)
    if count is None and _is_fitted(obj):
        raise BadModel(f"{name} holds a {type(obj).__name__}, which does not take a table of columns.", INSTEAD)
    if count is None:
        raise BadModel(f"{name} holds a {type(obj).__name__} that was not fitted.", "Fit it before it is saved.")
    names = getattr(obj, "feature_names_in_", None)
    columns = [str(at) for at in range(count)] if names is None else [str(n) for n in names]
    parts = _apply(obj, [Part(Feature(column)) for column in columns], name)
    features = tuple(part.feature for part in parts)
    if not features:
        raise BadModel(f"The {type(obj).__name__} in {name} gives no column.")
    _check_equal(obj, features, columns, named=names is not None, name=name)
    return features, names is not None


def takes_texts(obj: Any) -> bool:
    """Whether a fitted preprocessing, such as a TfidfVectorizer, takes whole texts and no columns."""
    from sklearn.utils import get_tags

    first = obj
    while hasattr(first, "steps"):
        first = first.steps[0][1]
    try:
        of_texts = bool(get_tags(first).input_tags.string)
    except (AttributeError, TypeError):  # an object of the user's own, which tells nothing of itself
        return False
    return of_texts and getattr(obj, "n_features_in_", None) is None and _is_fitted(obj)


def _is_fitted(obj: Any) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(obj)
    except (NotFittedError, TypeError):
        return False
    return True


def _apply(step: Any, parts: list[Part], name: str) -> list[Part]:
    if step is None or isinstance(step, str):
        return [] if step == "drop" else parts
    kind = type(step).__name__
    known = _STEPS.get(kind) if type(step).__module__.startswith("sklearn.") else None
    if known is None:
        raise BadModel(f"{name} holds a {kind}, which cannot be written as plain numbers and tables.", INSTEAD)
    return known(step, parts, name)


def _apply_pipeline(step: Any, parts: list[Part], name: str) -> list[Part]:
    for _, inner in step.steps:
        parts = _apply(inner, parts, name)
    return parts


def _apply_union(step: Any, parts: list[Part], name: str) -> list[Part]:
    _refuse(bool(step.transformer_weights), "a FeatureUnion with weights", name)
    return [made for _, inner in step.transformer_list for made in _apply(inner, parts, name)]


def _apply_to_columns(step: Any, parts: list[Part], name: str) -> list[Part]:
    _refuse(bool(step.transformer_weights), "a ColumnTransformer with weights", name)
    places = step._transformer_to_input_indices
    found = []
    for inner_name, inner, _ in step.transformers_:
        found += _apply(inner, [parts[at] for at in places[inner_name]], name)
    return found


def _impute(step: Any, parts: list[Part], name: str) -> list[Part]:
    missing = step.missing_values
    _refuse(not (missing is None or missing != missing), f"a SimpleImputer for {missing!r}", name)
    _refuse(step.add_indicator, "a SimpleImputer that adds columns which show what was missing", name)
    return [_fill(part, value, name) for part, value in zip(parts, step.statistics_, strict=True)]


def _fill(part: Part, value: Any, name: str) -> Part:
    f = part.feature
    _refuse(value is None or value != value, f"a SimpleImputer that found no value in {f.column!r}", name)
    if part.filled is not None or f.fill is not None:  # an imputer before it left nothing to fill
        return part
    _refuse(f.encoding != "value" or f.function != "none", f"a SimpleImputer behind the encoding of {f.column!r}", name)
    if isinstance(value, str):
        return dataclasses.replace(part, filled=value)
    raw = f.center + f.scale * float(value)
    return Part(dataclasses.replace(f, fill=raw), _spell(value))


def _scale_standard(step: Any, parts: list[Part], name: str) -> list[Part]:
    return _scale(parts, step.mean_ if step.with_mean else None, step.scale_)


def _scale_robust(step: Any, parts: list[Part], name: str) -> list[Part]:
    return _scale(parts, getattr(step, "center_", None), getattr(step, "scale_", None))


def _scale_range(step: Any, parts: list[Part], name: str) -> list[Part]:
    _refuse(step.clip, "a MinMaxScaler that clips", name)
    return _scale(parts, -step.min_ / step.scale_, 1.0 / step.scale_)  # x * scale_ + min_ = (x - center) / scale


def _scale_largest(step: Any, parts: list[Part], name: str) -> list[Part]:
    _refuse(getattr(step, "clip", False), "a MaxAbsScaler that clips", name)
    return _scale(parts, None, step.scale_)


def _scale(parts: list[Part], centers: Array | None, scales: Array | None) -> list[Part]:
    flat = [single for part in parts for single in _split(part)]
    found = []
    for at, part in enumerate(flat):
        center = 0.0 if centers is None else float(centers[at])
        scale = 1.0 if scales is None else float(scales[at])
        f = part.feature
        moved = dataclasses.replace(f, center=f.center + f.scale * center, scale=f.scale * scale)
        found.append(dataclasses.replace(part, feature=moved))
    return found


def _split(part: Part) -> list[Part]:
    """The part, or one part for each of its one-hot columns."""
    f = part.feature
    if f.width == 1:
        return [part]
    base = f.categories[:1] if f.encoding == "onehot_drop_first" else ()
    found = []
    for value in f.categories[len(base) :]:
        table = (*base, value)
        filled = None if not f.fills_category else f.categories[int(f.fill or 0)]
        fill = float(table.index(filled)) if filled in table else -1.0
        found.append(dataclasses.replace(part, feature=dataclasses.replace(f, categories=table, fill=fill)))
    return found


def _apply_function(step: Any, parts: list[Part], name: str) -> list[Part]:
    if step.func is None:
        return parts
    called: Any = getattr(step.func, "__name__", "a function")
    _refuse(step.func is not FORWARD.get(called) or bool(step.kw_args), f"a FunctionTransformer of {called}", name)
    for part in parts:
        _refuse(not part.is_raw, f"a {called} behind another step for {part.feature.column!r}", name)
    return [dataclasses.replace(p, feature=dataclasses.replace(p.feature, function=called)) for p in parts]


def _encode_ordinal(step: Any, parts: list[Part], name: str) -> list[Part]:
    unknown = step.unknown_value if step.handle_unknown == "use_encoded_value" else None
    found = []
    for part, values in zip(parts, step.categories_, strict=True):
        table, fill = _read_table(step, part, values, name)
        if fill is None:  # a missing value is met like an unknown one
            fill = -1.0 if unknown is None or unknown != unknown else float(unknown)
            _refuse(0 <= fill < len(table), f"an OrdinalEncoder whose unknown value is the code {fill:g}", name)
        elif MISSING in table:
            table = tuple(value for value in table if value != MISSING)
            fill = float(step.encoded_missing_value)
            _refuse(fill != fill or unknown not in (None, fill), "an OrdinalEncoder with a code for missing", name)
        else:
            _refuse(unknown not in (None, -1), f"an OrdinalEncoder with the unknown value {unknown}", name)
        found.append(Part(Feature(part.feature.column, "code", categories=table, fill=fill)))
    return found


def _encode_onehot(step: Any, parts: list[Part], name: str) -> list[Part]:
    dropped = [None] * len(parts) if step.drop_idx_ is None else step.drop_idx_
    found = []
    for part, values, drop in zip(parts, step.categories_, dropped, strict=True):
        column = part.feature.column
        if all(isinstance(v, (bool, np.bool_)) for v in values):  # true and false are numbers in cleaned rows
            no, yes = Part(Feature(column, center=1.0, scale=-1.0)), Part(Feature(column))
            _refuse(len(values) != 2, f"a OneHotEncoder that knows one value of {column!r}", name)
            found += [no, yes] if drop is None else [no] if drop else [yes]
            continue
        table, fill = _read_table(step, part, values, name)
        filled = None if fill is None else table[int(fill)]
        if drop is not None:
            table = (table[drop], *(value for at, value in enumerate(table) if at != drop))
        place = -1.0 if filled is None else float(table.index(filled))
        encoding: Encoding = "onehot" if drop is None else "onehot_drop_first"
        found.append(Part(Feature(column, encoding, categories=table, fill=place)))
    return found


def _read_table(step: Any, part: Part, values: Sequence[Any], name: str) -> tuple[tuple[str, ...], float | None]:
    """An encoder's categories in its order as texts, and the place of the one that a missing value counts as."""
    column, kind = part.feature.column, type(step).__name__
    _refuse(not part.is_raw, f"a {kind} behind another step for {column!r}", name)
    _refuse(bool(getattr(step, "_infrequent_enabled", False)), f"a {kind} that joins rare categories", name)
    table = tuple(MISSING if v is None or v != v else _spell(v).strip() for v in values)
    _refuse(len(set(table)) < len(table), f"a {kind} with categories of {column!r} that differ by blanks alone", name)
    if MISSING in table:
        return table, float(table.index(MISSING))
    known = part.filled is not None and part.filled.strip() in table
    return table, float(table.index(str(part.filled).strip())) if known else None


def _spell(value: Any) -> str:
    return class_text(value.item() if isinstance(value, np.generic) else value)


def _refuse(unfit: bool, what: str, name: str) -> None:
    if unfit:
        raise BadModel(f"{name} holds {what}, which cannot be written as plain numbers and tables.", INSTEAD)


_STEPS: dict[str, Callable[[Any, list[Part], str], list[Part]]] = {
    "Pipeline": _apply_pipeline,
    "FeatureUnion": _apply_union,
    "ColumnTransformer": _apply_to_columns,
    "SimpleImputer": _impute,
    "StandardScaler": _scale_standard,
    "RobustScaler": _scale_robust,
    "MinMaxScaler": _scale_range,
    "MaxAbsScaler": _scale_largest,
    "FunctionTransformer": _apply_function,
    "OneHotEncoder": _encode_onehot,
    "OrdinalEncoder": _encode_ordinal,
}


def _check_equal(obj: Any, features: tuple[Feature, ...], columns: list[str], *, named: bool, name: str) -> None:
    """Raises BadModel where the features give other numbers than the object itself, on rows made for the purpose."""
    own, cleaned = _make_rows(obj, features, columns)
    given = own if named else own.to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answer = obj.transform(given)
        except (ValueError, TypeError) as error:
            said = " ".join(str(error).split())[:200]
            raise BadModel(f"The {type(obj).__name__} in {name} fails on rows of its own values: {said}") from error
    answer = answer.toarray() if hasattr(answer, "toarray") else np.asarray(answer)
    expected = answer.astype(np.float64)
    found = Transform(features, dtype="float64")(cleaned)
    alike = expected.shape == found.shape and np.allclose(
        found, expected, rtol=CLOSE, atol=CLOSE * max(1.0, float(np.abs(expected).max(initial=0.0)))
    )
    if not alike:
        raise BadModel(
            f"The {type(obj).__name__} in {name} gives other numbers than its steps say, so it cannot be written as "
            "plain numbers and tables.",
            INSTEAD,
        )


def _make_rows(obj: Any, features: tuple[Feature, ...], columns: list[str]) -> tuple[Any, pl.DataFrame]:
    """Rows as the object takes them (pandas), and as they are after cleaning; of values that the object knows."""
    random = np.random.default_rng(0)
    tables = dict(_list_tables(obj, columns))
    own: dict[str, Array] = {}
    cleaned: dict[str, pl.Series] = {}
    for column in columns:
        if column not in tables:
            f = next((f for f in features if f.column == column), Feature(column))
            own[column] = invert_target(f.function, abs(f.center) + abs(f.scale) * random.random(ROWS)) + 1e-3
            cleaned[column] = pl.Series(own[column])
            continue
        values = [v for v in tables[column] if v is not None and v == v]
        drawn = [values[at] for at in random.integers(0, len(values), ROWS)]
        true_or_false = all(isinstance(v, (bool, np.bool_)) for v in values)
        cleaned[column] = pl.Series([float(v) if true_or_false else _spell(v) for v in drawn])
        texts = any(isinstance(v, str) for v in drawn)
        own[column] = np.array(drawn, dtype=object) if texts else np.array(drawn)
    frame = to_pandas(pl.DataFrame({"row": range(ROWS)}))
    for column, numbers in own.items():
        frame[column] = numbers
    return frame[columns], pl.DataFrame(cleaned)


def _list_tables(step: Any, columns: Sequence[str]) -> list[tuple[str, Sequence[Any]]]:
    """The raw columns that an encoder takes first, each with the values that it knows."""
    kind = type(step).__name__
    if kind == "ColumnTransformer":
        places = step._transformer_to_input_indices
        return [
            found
            for inner_name, inner, _ in step.transformers_
            for found in _list_tables(inner, [columns[at] for at in places[inner_name]])
        ]
    if kind == "Pipeline":
        return [found for _, inner in step.steps for found in _list_tables(inner, columns)][: len(columns)]
    if kind == "FeatureUnion":
        return [found for _, inner in step.transformer_list for found in _list_tables(inner, columns)]
    if hasattr(step, "categories_") and len(step.categories_) == len(columns):
        return list(zip(columns, step.categories_, strict=True))
    return []

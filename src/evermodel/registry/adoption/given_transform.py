"""A transform that the user gives: our own JSON, a plain table of centers and scales, or a fitted preprocessing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.contracts.inference import KnownColumn
from evermodel.core.errors import BadModel, BadSetting, NotFound
from evermodel.core.files import read_limited
from evermodel.core.model.capabilities import PreprocessingReading, StepJoining
from evermodel.core.model.framework import FRAMEWORKS, Signature
from evermodel.core.model.transform import Feature, Transform
from evermodel.core.model.value_transforms import FORWARD, invert_target
from evermodel.registry.adoption.model_file import Opened

AS_THEY_ARE = "none"  # said in place of a file: the columns are not scaled
LARGEST = 100_000_000  # bytes
KNOWN_KEYS = {"center", "scale", "fill", "categories", "encoding", "function"}
HINT = (
    'Give JSON {"age": {"center": 38.1, "scale": 12.4, "fill": 37}, …} in the model\'s order, '
    "the .transform.json that 'evermodel save' wrote, a fitted scaler or ColumnTransformer of scikit-learn as .skops "
    "(or .joblib, .pkl if you trust it), or the word none for columns that go in as they are."
)


@dataclass(frozen=True)
class GivenTransform:
    """A transform and what the file that it is from is called. Not ``named``: its columns are "0", "1", … by place."""

    transform: Transform
    name: str
    named: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f.column for f in self.transform.features))

    @property
    def is_flat(self) -> bool:
        """Whether it makes one matrix of the columns of a table."""
        return self.transform.layout == "matrix" and not self.transform.inputs

    def find_known_columns(self) -> dict[str, KnownColumn]:
        """The columns whose categories it knows."""
        tables: dict[str, tuple[str, ...]] = {}
        for feature in self.transform.features:
            if feature.categories and feature.below is None:
                tables[feature.column] = (*tables.get(feature.column, ()), *feature.categories)
        return {column: KnownColumn("category", tuple(dict.fromkeys(table))) for column, table in tables.items()}

    def name_columns(self, names: Sequence[str]) -> GivenTransform:
        """The columns by name, where it knows them by place. Raises BadSetting where there are more or fewer."""
        if self.named:
            return self
        count = 1 + max(int(column) for column in self.columns)
        if count > len(names):
            raise BadSetting(
                f"{self.name} was fitted on {count} columns or more without names; the model has {len(names)}: "
                f"{', '.join(names[:9])} …",
                "Name its columns in order as `inputs`.",
            )
        features = tuple(dataclasses.replace(f, column=names[int(f.column)]) for f in self.transform.features)
        return GivenTransform(dataclasses.replace(self.transform, features=features), self.name)

    def complete(self, names: Sequence[str], needs: Signature) -> Transform:
        """The transform for a model that takes ``needs``, of the columns ``names``.

        Raises BadSetting where it does not fit.
        """
        transform = self.name_columns(names).transform
        unknown = [f.column for f in transform.features if f.column not in names]
        if unknown:
            raise BadSetting(f"{self.name} names columns that the reference rows lack: {', '.join(unknown[:5])}.", HINT)
        if needs.shape is not None and self.is_flat and len(needs.shape) == 1 and transform.width != needs.shape[0]:
            raise BadSetting(f"{self.name} gives {transform.width} numbers a row; the model takes {needs.shape[0]}.")
        if transform.scaling != "given":
            return transform
        features = tuple(_fill(f) if needs.network else f for f in transform.features)
        return dataclasses.replace(transform, features=features, dtype="float32" if needs.network else "float64")

    def to_json(self) -> str:
        return json.dumps({**json.loads(self.transform.to_json()), "named": self.named}, indent=1)


@dataclass(frozen=True)
class TextVectorizer:
    """A fitted vectorizer of whole texts, which stands before a model as its first step."""

    obj: Any


def read_transform(source: Any, *, trust: bool = False) -> GivenTransform | TextVectorizer:
    """The transform in a file, or of a live preprocessing of scikit-learn.

    Raises BadSetting, naming what is wrong, for a file that is no transform, BadModel for a preprocessing that cannot
    be written as plain data, Unsafe for a pickle that ``trust`` does not name.
    """
    if isinstance(source, (str, Path)):
        path = Path(source)
        if not path.is_file():
            raise NotFound(f"There is no transform file {str(path)!r}.", HINT)
        if path.suffix == ".json":
            return read_transform_table(path)
        source, name = path, path.name
    else:
        name = f"The {type(source).__name__}"
    reader = _take_reader()
    preprocessing = reader.load_preprocessing(source, trust=trust)
    if reader.takes_texts(preprocessing):
        return TextVectorizer(preprocessing)
    features, named = reader.read_preprocessing(preprocessing, name)
    return GivenTransform(Transform(features, scaling="given"), name, named)


def read_transform_table(path: Path) -> GivenTransform:
    """The transform in JSON: our own, or a plain table of centers and scales. Raises BadSetting for anything else."""
    try:
        raw = json.loads(read_limited(path, LARGEST))
        named = bool(raw.pop("named", True))
        if "features" in raw or "transform" in raw:
            transform = Transform.from_json(json.dumps(raw.get("transform", raw)))
        else:
            transform = Transform(tuple(_read_feature(c, raw[c]) for c in raw), scaling="given")
    except OSError as error:
        raise BadSetting(f"{path.name} cannot be read: {error.strerror}.", HINT) from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise BadSetting(f"{path.name} is no transform ({type(error).__name__}: {error}).", HINT) from None
    return GivenTransform(transform, path.name, named)


def join_vectorizer(vectorizer: TextVectorizer, opened: Opened) -> Opened:
    """The vectorizer and the model behind it as one model. Raises BadModel for a model that cannot be its last step."""
    kind = type(vectorizer.obj).__name__
    if not isinstance(opened.framework, StepJoining):
        raise BadModel(
            f"A {kind} cannot stand before a model of {opened.framework.__name__.rpartition('.')[2]}.",
            "Adopt one model that takes texts: a Pipeline of scikit-learn, or a Keras network with TextVectorization.",
        )
    note = f"the {kind} and the model are kept as one pipeline: what save writes is one file that takes texts"
    joined = opened.framework.join_steps([vectorizer.obj, opened.obj])
    return opened._replace(obj=joined, notes=(*opened.notes, note))


def _take_reader() -> PreprocessingReading:
    framework: Any = FRAMEWORKS.load_module("sklearn")
    if not isinstance(framework, PreprocessingReading):
        raise TypeError("The plugin of scikit-learn reads no preprocessing.")
    return framework


def _read_feature(column: str, numbers: dict[str, Any]) -> Feature:
    unknown = set(numbers) - KNOWN_KEYS
    function = numbers.get("function", "none")
    if unknown or not float(numbers.get("scale", 1.0)) or function not in FORWARD:
        wrong = ", ".join(unknown) or (f"function {function!r}" if function not in FORWARD else "scale must not be 0")
        raise ValueError(f"column {column!r}: {wrong}")
    fill = 0.0 if numbers.get("encoding", "value") == "value" else -1.0
    return Feature(**{"column": column, "fill": fill, **numbers, "categories": tuple(numbers.get("categories", ()))})


def _fill(feature: Feature) -> Feature:
    """A number that no imputer filled is filled with what its scaling makes 0: a network has no answer to NaN."""
    if feature.encoding != "value" or feature.fill is not None:
        return feature
    fill = float(invert_target(feature.function, np.array(feature.center))) if feature.scale > 0 else 0.0
    return dataclasses.replace(feature, fill=fill)

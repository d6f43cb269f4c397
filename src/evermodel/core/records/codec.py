"""Turns stored records into JSON text and back: with a schema version, migrations, and validation of every field.

A record is a frozen dataclass. Its text is strict JSON: numbers that JSON cannot hold are written as the strings
"NaN", "Infinity" and "-Infinity" (as protobuf does), and read back only where the field is a float.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeVar, get_origin

import msgspec
import msgspec.inspect as inspect
import numpy as np

from evermodel.core.errors import BadSetting, Damaged

R = TypeVar("R")
Migration = Callable[[dict[str, Any]], dict[str, Any]]
SCHEMA = "schema"  # the key of the version number, beside the record's own fields
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True)
class RecordKind(Generic[R]):
    """One kind of stored record.

    ``migrations`` maps a schema version to the function that turns the raw fields of that version into those of the
    next one. Whoever changes the fields of ``type`` in a way that old text does not fit raises ``schema`` by one and
    adds the migration.
    """

    name: str  # for people: "version card"
    type: type[R]
    schema: int = 1
    migrations: Mapping[int, Migration] = field(default_factory=dict)


def encode(kind: RecordKind[R], record: R) -> str:
    """The record as JSON text with its schema version. Raises TypeError for a value that JSON cannot hold."""
    fields = msgspec.to_builtins(record, str_keys=True, enc_hook=_plain_number)
    return json.dumps(_spell_out(fields | {SCHEMA: kind.schema}), ensure_ascii=False, allow_nan=False)


def decode(kind: RecordKind[R], text: str | bytes, subject: str = "") -> R:
    """The record written by ``encode``, migrated to the schema of today and validated.

    ``subject`` says whose record it is ("churn v3"). Raises Damaged, naming the record and the field, where the text is
    not such a record; BadSetting where a newer release wrote it.
    """
    what = f"The {kind.name} of {subject}" if subject else f"A stored {kind.name}"
    try:
        raw = json.loads(text)
    except ValueError as error:  # json.JSONDecodeError, UnicodeDecodeError
        raise _damaged(what, f"it is not JSON ({error})") from None
    except (RecursionError, TypeError):
        raise _damaged(what, "it is nested too deeply, or no text") from None
    if not isinstance(raw, dict):
        raise _damaged(what, "it is not a JSON object")
    raw = _migrate(kind, raw, what)
    fields: Any = kind.type
    try:
        return msgspec.convert(_restore(raw, _type_info(fields), "", what), kind.type, dec_hook=_read_counts)
    except msgspec.ValidationError as error:
        raise _damaged(what, str(error).replace("`$.", "`")) from None


def _migrate(kind: RecordKind[R], raw: dict[str, Any], what: str) -> dict[str, Any]:
    schema = raw.pop(SCHEMA, None)
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise _damaged(what, f"its schema version must be a whole number from 1 on, and is {schema!r}")
    if schema > kind.schema:
        raise BadSetting(
            f"{what} was written by a newer release (schema {schema}; this one reads up to {kind.schema}).",
            'pip install --upgrade "evermodel"',
        )
    for version in range(schema, kind.schema):
        try:
            raw = kind.migrations[version](raw)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(
                what, f"it cannot be migrated from schema {version} ({type(error).__name__}: {error})"
            ) from error
    return raw


def _damaged(what: str, why: str) -> Damaged:
    return Damaged(f"{what} cannot be read: {why}.", "'evermodel doctor' says what helps.")


def _plain_number(value: Any) -> Any:
    """A numpy number, or an array of counts, as the plain numbers it stands for."""
    if isinstance(value, np.ndarray):
        return value.astype(np.int64).tolist()
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        return value.item()
    raise TypeError(f"A record cannot hold a {type(value).__name__}.")


def _read_counts(of: Any, value: Any) -> Any:
    """An array of counts from its list: the only type of a record that JSON has no word for."""
    if get_origin(of) is not np.ndarray or not isinstance(value, list):
        raise TypeError(f"A record cannot hold a {of}.")
    return np.asarray(value, dtype=np.int64)


def _spell_out(value: Any) -> Any:
    """Numbers that JSON cannot hold become the strings of NOT_FINITE."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _spell_out(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        if value and type(value[0]) is int and all(type(one) is int for one in value):
            return value  # counts of bins: most of a monitor's state
        return [_spell_out(one) for one in value]
    return value


@cache
def _type_info(of: Hashable) -> inspect.Type:
    return inspect.type_info(of)


def _restore(value: Any, info: inspect.Type, path: str, what: str) -> Any:
    """Reverses ``_spell_out`` where the field is a float; raises Damaged for a field that the type does not have."""
    if isinstance(info, inspect.UnionType):
        return _restore(value, _member(info, value), path, what)
    if isinstance(info, inspect.FloatType):
        return NOT_FINITE.get(value, value) if isinstance(value, str) else value
    if isinstance(info, inspect.DataclassType) and isinstance(value, dict):
        types = {one.name: one.type for one in info.fields}
        unknown = sorted(value.keys() - types.keys())
        if unknown:
            raise _damaged(what, f"it has a field {path + unknown[0]!r} that this release does not know")
        return {key: _restore(one, types[key], f"{path}{key}.", what) for key, one in value.items()}
    if isinstance(info, inspect.DictType) and isinstance(value, dict):
        return {key: _restore(one, info.value_type, f"{path}{key}.", what) for key, one in value.items()}
    if isinstance(info, (inspect.ListType, inspect.VarTupleType)) and isinstance(value, list):
        return [_restore(one, info.item_type, path, what) for one in value]
    if isinstance(info, inspect.TupleType) and isinstance(value, list) and len(value) == len(info.item_types):
        return [_restore(one, of, path, what) for one, of in zip(value, info.item_types, strict=True)]
    return value


def _member(union: inspect.UnionType, value: Any) -> inspect.Type:
    """The member of a union that a JSON value can only be; a string is a float only where no member is a string."""
    wanted: tuple[type[inspect.Type], ...] = ()
    if isinstance(value, dict):
        wanted = (inspect.DataclassType, inspect.DictType)
    elif isinstance(value, list):
        wanted = (inspect.ListType, inspect.VarTupleType, inspect.TupleType)
    elif isinstance(value, str) and not any(isinstance(t, inspect.StrType) for t in union.types):
        wanted = (inspect.FloatType,)
    return next((t for t in union.types if isinstance(t, wanted)), inspect.AnyType())

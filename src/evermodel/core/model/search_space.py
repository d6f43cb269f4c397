"""The space a search moves in: named dimensions with bounds, as JSON or TOML a user can write."""

from __future__ import annotations

import itertools
import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.files import read_limited
from evermodel.core.records.search_record import Value, Values

MOST_CHOICES = 1_000
LARGEST_FILE = 10_000_000  # bytes


@dataclass(frozen=True)
class Dimension:
    """One hyperparameter: a number in ``[low, high]`` (``log``: its logarithm varies), or one of ``choices``."""

    name: str
    kind: Literal["float", "int", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Value, ...] = ()

    def __contains__(self, value: Any) -> bool:
        if self.kind == "choice":
            return any(values_equal(value, c) for c in self.choices)
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        return number and self.low <= value <= self.high and (self.kind == "float" or value == int(value))

    def grid(self, points: int) -> tuple[Value, ...]:
        """All choices, or ``points`` numbers evenly from low to high (on the log scale where that varies)."""
        if self.kind == "choice":
            return self.choices
        at = [i / max(points - 1, 1) for i in range(points)] if points > 1 else [0.5]
        if self.log:
            parsed = [self.low * (self.high / self.low) ** a for a in at]
        else:
            parsed = [self.low + (self.high - self.low) * a for a in at]
        parsed = [min(max(v, self.low), self.high) for v in parsed]  # rounding must not leave the range
        return tuple(dict.fromkeys(round(v) for v in parsed)) if self.kind == "int" else tuple(parsed)

    def as_json(self) -> Any:
        if self.kind == "choice":
            return list(self.choices)
        return {"type": self.kind, "low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True)
class Space:
    """Dimensions by name. ``size``: how many points it has, None where a dimension is a range of floats."""

    dimensions: tuple[Dimension, ...]

    def __iter__(self) -> Iterator[Dimension]:
        return iter(self.dimensions)

    def __contains__(self, values: Values) -> bool:
        return set(values) == set(self.names) and all(values[d.name] in d for d in self)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(d.name for d in self.dimensions)

    @property
    def size(self) -> int | None:
        if any(d.kind == "float" for d in self):
            return None
        return math.prod(len(d.choices) if d.kind == "choice" else int(d.high - d.low) + 1 for d in self)

    def points(self, each: int = 3) -> list[dict[str, Value]]:
        """The grid: all choices, and ``each`` values of every range; the last dimension varies fastest."""
        axes = [d.grid(each) for d in self]
        return [dict(zip(self.names, p, strict=True)) for p in itertools.product(*axes)]

    def as_json(self) -> dict[str, Any]:
        return {d.name: d.as_json() for d in self}


def values_equal(a: Any, b: Any) -> bool:
    """Equal as values of a hyperparameter: 1 and 1.0 are, 1 and True are not."""
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def read_space(given: str | Path | Mapping[str, Any] | Space, known: Mapping[str, Dimension]) -> Space:
    """The space in a JSON or TOML file, or in a mapping of its shape: NAME -> list of choices, or {low, high, log}.

    ``known`` are the dimensions that the model has; their kinds are taken over. Raises BadSetting for what is no
    space, NotFound for a hyperparameter that the model does not have, naming those it has.
    """
    if isinstance(given, Space):
        return given
    raw = _parsed(Path(given)) if isinstance(given, (str, Path)) else given
    if not isinstance(raw, Mapping) or not raw:
        raise BadSetting(
            f"A space must map at least one hyperparameter to its values. Got {str(raw)[:80]!r}.",
            'For example {"learning_rate": {"low": 0.0001, "high": 0.01, "log": true}, "batch_size": [32, 64]}.',
        )
    for name in raw:
        if name not in known:
            raise NotFound.among("hyperparameter", str(name), known, "These can be tuned for this model.")
    return Space(
        tuple(parse_dimension(str(name), description, known[str(name)].kind) for name, description in raw.items())
    )


def parse_dimension(name: str, description: Any, kind: str = "float") -> Dimension:
    """One dimension as a user writes it. Raises BadSetting, saying the rule and what was got."""
    if isinstance(description, Sequence) and not isinstance(description, str):
        return _choice(name, description)
    if not isinstance(description, Mapping):
        raise BadSetting(f"{name} must be a list of choices or low and high. Got {description!r}.")
    unknown, numbers = (
        set(description) - {"type", "low", "high", "log"},
        [description.get("low"), description.get("high")],
    )
    log = description.get("log", False)
    if unknown or not all(map(_is_number, numbers)) or not isinstance(log, bool):
        raise BadSetting(f"{name} must have numbers low and high, and log true or false. Got {dict(description)!r}.")
    low, high = (float(n or 0.0) for n in numbers)
    if not low < high or (log and low <= 0):
        rule = "0 < low < high" if log else "low < high"
        raise BadSetting(f"{name} must have {rule}. Got low {low!r}, high {high!r}.")
    kind_of_values = description.get(
        "type", "int" if kind == "int" and low == int(low) and high == int(high) else "float"
    )
    if kind_of_values not in ("float", "int") or (kind == "choice"):
        raise BadSetting(
            f"{name} takes {'a list of choices' if kind == 'choice' else 'type int or float'}. Got {description!r}."
        )
    return Dimension(name, kind_of_values, float(low), float(high), log)


def _choice(name: str, description: Sequence[Any]) -> Dimension:
    fit = all(isinstance(v, (int, float, str, bool)) for v in description) and all(
        math.isfinite(v) for v in description if isinstance(v, float)
    )
    if (
        not description
        or len(description) > MOST_CHOICES
        or not fit
        or len(set(map(repr, description))) < len(description)
    ):
        raise BadSetting(
            f"{name} must have 1 to {MOST_CHOICES:,} different numbers or names. Got {str(list(description))[:80]}."
        )
    return Dimension(name, "choice", choices=tuple(description))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _parsed(path: Path) -> Any:
    try:
        text = read_limited(path, LARGEST_FILE).decode()
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.", "A search space is a JSON or TOML file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path} cannot be read as a space ({error}).") from None
    try:
        return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadSetting(f"{path} is no {'TOML' if path.suffix == '.toml' else 'JSON'} ({error}).") from None

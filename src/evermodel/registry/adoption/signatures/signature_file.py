"""What a user says about a model's inputs and outputs, in TOML: only what the model's file leaves open.

[inputs.customer]
columns = ["who"]

[inputs.tokens]
columns = ["words"]
pad = 0
pad_side = "right"

[outputs.churn]
target = "churned"
primary = true
[outputs.spend]
target = "spent"
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.files import read_limited
from evermodel.core.records.model_signature import Side

EXAMPLE = 'For example: [inputs.user] on one line, columns = ["user_id"] on the next.'
PAD_EXAMPLE = 'For example: columns = ["tokens"], pad = 0 and pad_side = "right", each on a line of its own.'
OUTPUT_EXAMPLE = 'For example: [outputs.churn] on one line, target = "churned" and primary = true on the next two.'
LARGEST = 1_000_000  # bytes
LARGEST_CLASS = 2**63


@dataclass(frozen=True)
class GivenOutput:
    """The target column of one output, and its classes in the order of the output; () where they are numbers."""

    target: str
    primary: bool = False
    guard: bool = True  # of an output that is not judged: a challenger that is shown worse at it is rejected
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Padding:
    """What fills lists that are too short, and on which side; where those that are too long may be cut, if at all."""

    pad: float
    pad_side: Side
    cut_side: Side | None = None


@dataclass(frozen=True)
class GivenInput:
    """The columns of one input in order; ``padding`` where its one column holds lists of any length."""

    columns: tuple[str, ...]
    padding: Padding | None = None


@dataclass(frozen=True)
class SignatureFile:
    """Input name -> its columns; output name -> its target."""

    inputs: dict[str, GivenInput] = field(default_factory=dict)
    outputs: dict[str, GivenOutput] = field(default_factory=dict)

    @property
    def primary(self) -> str:
        """The output that is judged; "" where none is named."""
        return next((name for name, output in self.outputs.items() if output.primary), "")


def read_signature_file(path: Path | None) -> SignatureFile:
    """What a signature file says; nothing where there is none. Raises NotFound, BadSetting with what is wrong."""
    if path is None:
        return SignatureFile()
    if not path.is_file():
        raise NotFound(f"There is no signature file {str(path)!r}.", EXAMPLE)
    try:
        raw = tomllib.loads(read_limited(path, LARGEST).decode())
    except OSError as error:
        raise BadSetting(f"{path.name} cannot be read: {error.strerror}.", EXAMPLE) from None
    except (ValueError, RecursionError) as error:
        raise BadSetting(f"{path.name} is no TOML ({error}).", EXAMPLE) from None
    unknown = [key for key in raw if key not in ("inputs", "outputs")]
    if unknown or not raw or not all(isinstance(part, dict) and part for part in raw.values()):
        what = f"a part {unknown[0]!r}" if unknown else "a part without a name, or none"
        raise BadSetting(
            f"{path.name} must have the parts 'inputs' and 'outputs', or one of them. It has {what}.", EXAMPLE
        )
    inputs = {name: _read_input(path, name, table) for name, table in raw.get("inputs", {}).items()}
    outputs = {name: _read_output(path, name, table) for name, table in raw.get("outputs", {}).items()}
    if sum(output.primary for output in outputs.values()) > 1:
        raise BadSetting(f"{path.name} names several outputs as primary; one is judged.", OUTPUT_EXAMPLE)
    return SignatureFile(inputs, outputs)


def _read_input(path: Path, name: str, table: Any) -> GivenInput:
    known = isinstance(table, dict) and set(table) <= {"columns", "pad", "pad_side", "cut_side"}
    columns = table.get("columns") if known else None
    if not isinstance(columns, list) or not columns or not all(isinstance(c, str) for c in columns):
        raise BadSetting(
            f"{path.name} must give the input {name!r} a list of columns and nothing else, but for lists of any length "
            "pad, pad_side and cut_side.",
            EXAMPLE,
        )
    return GivenInput(tuple(columns), _read_padding(path, name, table) if len(table) > 1 else None)


def _read_padding(path: Path, name: str, table: dict[str, Any]) -> Padding:
    pad, sides = table.get("pad"), get_args(Side)
    if len(table["columns"]) != 1:
        raise BadSetting(
            f"{path.name} pads the input {name!r}, which must be made of one column of lists.", PAD_EXAMPLE
        )
    if not isinstance(pad, (int, float)) or isinstance(pad, bool) or not abs(pad) < LARGEST_CLASS:
        raise BadSetting(f"{path.name} must give the input {name!r} a number as pad.", PAD_EXAMPLE)
    if table.get("pad_side") not in sides or table.get("cut_side", sides[0]) not in sides:
        raise BadSetting(
            f"{path.name} must give the input {name!r} a pad_side, and may give it a cut_side: left or right.",
            PAD_EXAMPLE,
        )
    return Padding(pad, table["pad_side"], table.get("cut_side"))


def _read_output(path: Path, name: str, table: Any) -> GivenOutput:
    known = isinstance(table, dict) and set(table) <= {"target", "primary", "guard", "classes"}
    target, primary = (table.get("target"), table.get("primary", False)) if known else (None, False)
    guard = table.get("guard", True) if known else None
    classes = table.get("classes", []) if known else None
    is_list = isinstance(classes, list) and all(_is_class(c) for c in classes)
    are_flags = isinstance(primary, bool) and isinstance(guard, bool)
    if not isinstance(target, str) or not are_flags or not isinstance(classes, list) or not is_list:
        raise BadSetting(
            f"{path.name} must give the output {name!r} a target, and may give it primary, guard and classes.",
            OUTPUT_EXAMPLE,
        )
    return GivenOutput(target, primary, guard is True, tuple(str(c) for c in classes))


def _is_class(value: Any) -> bool:
    """A text, or a whole number that Python writes out: TOML's hexadecimal ones may have any length."""
    return isinstance(value, str) or (isinstance(value, int) and abs(value) < LARGEST_CLASS)

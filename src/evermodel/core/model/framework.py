"""What a framework's file must offer: a module of functions, found by its name, holding no state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from evermodel.core.arrays import Array
from evermodel.core.data.task import NumericTask, Task
from evermodel.core.model.training import Training
from evermodel.core.plugins import Confidence, ModuleKind

Layout = Literal["matrix", "frame", "image"]


@dataclass(frozen=True)
class InputColumn:
    """What a model object says about one of its input columns; ``categories`` are its code table, in code order."""

    kind: Literal["number", "boolean", "category", "text", "image"]
    categories: tuple[Any, ...] = ()
    refuses_unknown: bool = False  # the object raises for a value that is not among them


@dataclass(frozen=True)
class InputTensor:
    """One named input of a model object: the shape of one row of it, its type as numpy calls it.

    ``codes``: its whole numbers are places in a table of so many rows, 0 to ``codes`` - 1; None where there is none.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    codes: int | None = None

    @property
    def width(self) -> int:
        """Numbers of one row."""
        return math.prod(self.shape)

    @property
    def is_whole(self) -> bool:
        """Whether it takes whole numbers: they mean something as they are, and are never scaled."""
        return self.codes is not None or self.dtype.startswith(("int", "uint"))


@dataclass(frozen=True)
class OutputHead:
    """One of several answers of a model object: ``width`` numbers of the raw output, and what they mean."""

    name: str
    width: int
    task: NumericTask
    output: Literal["probability", "logit", "value"]
    unbounded: bool = True  # of a regression: it can be any number
    classes: tuple[Any, ...] = ()  # labels, in the order of its numbers, where the object says them


@dataclass(frozen=True)
class Signature:
    """What a model object itself says it expects and gives; None where it does not say."""

    layout: Layout = "matrix"
    shape: tuple[int, ...] | None = None  # of one row of x: (20,) for a table, (32, 32, 3) for an image
    # Named inputs, where there are several or one that is no flat row of floats; x (n, d) then holds the numbers of one
    # after those of another, and ``shape`` is (d,).
    inputs: tuple[InputTensor, ...] = ()
    heads: tuple[OutputHead, ...] = ()  # of several answers, in the order in which their numbers lie
    names: tuple[str, ...] | None = None  # of the input columns, in order
    columns: Mapping[int, InputColumn] = field(default_factory=dict)  # by position: of those that it knows
    task: Task | None = None
    classes: tuple[Any, ...] | None = None  # labels the object predicts, in the order of its columns
    outputs: int | None = None  # width of what predict gives; 1 for a sigmoid or a regression
    output: Literal["probability", "logit", "value", "text"] | None = None
    threshold: float = 0.5  # of a binary model: the probability of the second class from which it answers that class
    unbounded: bool = True  # a regression's output can be any number, below 0 too
    network: bool = False  # trained by gradient: warm starts, replay and epochs mean something
    learns_categories: bool = False  # a training anew learns categories that came since; the columns stay the same
    pretrained: bool = False  # holds embeddings, recurrent, attention or convolution layers, or frozen ones: kept


class Framework(Protocol):
    """One file in ``frameworks/``: functions of a module. Packages are imported inside the functions.

    ``save`` and ``load`` use only formats that load without running code. ``fit`` returns a NEW object and leaves the
    given one untouched; with ``from_scratch`` it starts from newly initialised parameters of the same structure.
    """

    __name__: str
    EXTRA: str  # what `pip install "evermodel[EXTRA]"` installs for it

    def is_model(self, obj: Any, /) -> bool: ...  # by type(obj).__module__; imports nothing
    def recognize(self, path: Path, /) -> Confidence: ...  # by its contents first; imports no framework
    def read_file(
        self, path: Path, /, *, trust: bool = False, factory: str | None = None
    ) -> Any: ...  # a stranger's file
    def write_file(self, obj: Any, to: Path, /) -> None: ...  # a file for the user, format by suffix
    def suffixes(self) -> tuple[str, ...]: ...  # of files that write() can make, the usual one first
    def save(self, obj: Any, to: Path, /) -> None: ...  # into the existing empty folder `to`
    def load(self, at: Path, /) -> Any: ...  # from such a folder
    def read_signature(self, obj: Any, /) -> Signature: ...
    def predict(self, obj: Any, x: Any, /) -> Array: ...  # (n, …) -> (n,), (n, 1) or (n, k), raw
    def fit(self, obj: Any, x: Any, y: Array, training: Training, /, *, from_scratch: bool) -> Any: ...


FRAMEWORKS: ModuleKind[Framework] = ModuleKind("frameworks", Framework)

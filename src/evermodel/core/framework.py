"""What a framework's file must offer: a module of functions, found by its name, holding no state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from evermodel.core.channels import Group
from evermodel.core.space import Dimension, Values
from evermodel.core.table import Array
from evermodel.core.training import Training

Task = Literal["binary", "multiclass", "regression"]
Layout = Literal["matrix", "frame", "image"]


@dataclass(frozen=True)
class Needs:
    """What a model object itself says it expects and gives; None where it does not say."""

    layout: Layout = "matrix"
    shape: tuple[int, ...] | None = None  # of one row of x: (20,) for a table, (32, 32, 3) for an image
    names: tuple[str, ...] | None = None  # of the input columns, in order
    categories: tuple[tuple[str, ...], ...] = ()  # code tables of a model that carries them, one a category column
    task: Task | None = None
    classes: tuple[Any, ...] | None = None  # labels the object predicts, in the order of its columns
    outputs: int | None = None  # width of what predict gives; 1 for a sigmoid or a regression
    output: Literal["probability", "logit", "value"] | None = None
    unbounded: bool = True  # a regression's output can be any number, below 0 too
    network: bool = False  # trained by gradient: warm starts, replay and epochs mean something


class Framework(Protocol):
    """One file in ``frameworks/``: functions of a module. Packages are imported inside the functions.

    ``save`` and ``load`` use only formats that load without running code. ``fit`` returns a NEW object and leaves the
    given one untouched; with ``fresh`` it starts from newly initialised parameters of the same structure.
    """

    __name__: str
    EXTRA: str  # what `pip install "evermodel[EXTRA]"` installs for it

    def owns(self, obj: Any, /) -> bool: ...  # by type(obj).__module__; imports nothing
    def opens(self, path: Path, /) -> bool: ...  # by suffix and first bytes; imports nothing
    def read(self, path: Path, /, *, trust: bool = False, factory: str | None = None) -> Any: ...  # a stranger's file
    def write(self, obj: Any, to: Path, /) -> None: ...  # a file for the user, format by suffix
    def suffixes(self) -> tuple[str, ...]: ...  # of files that write() can make, the usual one first
    def save(self, obj: Any, to: Path, /) -> None: ...  # into the existing empty folder `to`
    def load(self, at: Path, /) -> Any: ...  # from such a folder
    def needs(self, obj: Any, /) -> Needs: ...
    def predict(self, obj: Any, x: Any, /) -> Array: ...  # (n, …) -> (n,), (n, 1) or (n, k), raw
    def fit(self, obj: Any, x: Any, y: Array, training: Training, /, *, fresh: bool) -> Any: ...


@runtime_checkable
class Weighted(Protocol):
    """A capability: the parameters can be read and replaced (shrink-and-perturb, averaging along one lineage)."""

    def weights(self, obj: Any, /) -> list[Array]: ...
    def with_weights(self, obj: Any, weights: Sequence[Array], /) -> Any: ...


@runtime_checkable
class Widening(Protocol):
    """A capability: more inputs or outputs, exact at the start (old rows are predicted as before)."""

    def widened(self, obj: Any, /, *, inputs: int, outputs: int) -> Any: ...


@runtime_checkable
class LeafRefit(Protocol):
    """A capability of boosters: keep the trees, learn their leaves anew on new rows."""

    def refit_leaves(self, obj: Any, x: Any, y: Array, /, *, decay: float) -> Any: ...


@runtime_checkable
class Combining(Protocol):
    """A capability: several objects of one kind become one whose raw output is their weighted mean."""

    def combined(self, objs: Sequence[Any], shares: Sequence[float], /) -> Any: ...


@runtime_checkable
class Parted(Protocol):
    """A capability: what ``combined`` put side by side last, each part as it was alone; () of any other object.

    ``parts``: their margins, (n,) log odds or values, (n, k) before a softmax; () where answers are made otherwise.
    ``apart``: the objects themselves, each with its share.
    """

    def parts(self, obj: Any, x: Any, /) -> tuple[Array, ...]: ...
    def apart(self, obj: Any, /) -> tuple[tuple[Any, float], ...]: ...


@runtime_checkable
class Logits(Protocol):
    """A capability: the raw scores before a last sigmoid or softmax, where probabilities near 1 have no digits left."""

    def logits(self, obj: Any, x: Any, /) -> Array | None: ...  # (n, 1) or (n, k); None where there are none


@runtime_checkable
class Joining(Protocol):
    """A capability: several models, each with its own transform, as one plain model behind the first one's transform.

    Predicts the weighted mean of their log odds or values. Raises BadModel where they do not fit together.
    """

    def joined(self, models: Sequence[Any], shares: Sequence[float], names: Sequence[str], /) -> Any: ...


@runtime_checkable
class Exporting(Protocol):
    """A capability: a model whose object has no one file of its own, as a plain Model of another framework that has."""

    def exported(self, model: Any, /) -> Any: ...


@runtime_checkable
class Boosting(Protocol):
    """A capability: how many rounds a training anew has, as adopted; trees put side by side do not change it."""

    def rounds(self, obj: Any, /) -> int: ...
    def with_rounds(self, obj: Any, rounds: int, /) -> Any: ...


@runtime_checkable
class Differentiable(Protocol):
    """A capability of networks: how the raw output moves with the input, the parameters standing still."""

    def input_gradient(self, obj: Any, x: Any, direction: Array, /) -> Array: ...  # of (direction * raw).sum(), like x


@runtime_checkable
class Stepping(Protocol):
    """A capability of networks: how many gradient steps the optimizer's memory counts; None where nothing counted."""

    def steps(self, obj: Any, /) -> int | None: ...


@runtime_checkable
class Tunable(Protocol):
    """A capability: hyperparameters can be read and changed.

    ``epochs``, ``batch_size`` and (where the object does not carry it) ``learning_rate`` are told to ``fit`` instead.
    """

    def hyperparameters(self, obj: Any, /) -> Values: ...  # as deployed; only those of ``dimensions``
    def dimensions(self, obj: Any, /) -> tuple[Dimension, ...]: ...  # what may vary, with the field's usual ranges
    def with_hyperparameters(self, obj: Any, values: Values, /) -> Any: ...  # a new object, to be fitted fresh


@runtime_checkable
class Layered(Protocol):
    """A capability of networks that are a chain of dense layers: those layers, as (kernel (inputs, units), bias)."""

    def layers(self, obj: Any, /) -> list[tuple[Array, Array]]: ...  # raises BadModel for any other network
    def with_layers(self, obj: Any, layers: Sequence[tuple[Array, Array]], /) -> Any: ...


@runtime_checkable
class Prunable(Protocol):
    """A capability of networks: channels can be taken out, and what is left is an ordinary, smaller network.

    ``removed``: group name -> positions of channels. Where all their weights are zero, ``without`` changes nothing.
    """

    def groups(self, obj: Any, /) -> list[Group]: ...  # raises BadModel where nothing can be taken out
    def without(self, obj: Any, removed: Mapping[str, Array], /) -> Any: ...
    def masked(self, obj: Any, removed: Mapping[str, Array], /) -> Any: ...  # same size, those weights zero


@runtime_checkable
class Truncating(Protocol):
    """A capability of boosters and forests: how many rounds or trees predict, and the model with the first of them."""

    def trees(self, obj: Any, /) -> int: ...
    def first(self, obj: Any, trees: int, /) -> Any: ...


@runtime_checkable
class Quantising(Protocol):
    """A capability of networks: weights in 8 bits. Whatever trains such a network trains its twin in floats."""

    def quantised(self, obj: Any, share: float, /) -> Any: ...  # the largest layers; raises BadModel where none fits
    def is_quantised(self, obj: Any, /) -> bool: ...

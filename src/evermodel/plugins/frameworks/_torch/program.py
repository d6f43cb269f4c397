"""A network as data: a list of operators and its tensors. Runs, trains, and is stored without anybody's code."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._torch.operators import TRAINS, argument, check_target, operator
from evermodel.plugins.frameworks._torch.optimizer_steps import USUAL

AFTER = ("softmax", "_softmax", "log_softmax", "_log_softmax", "sigmoid", "sigmoid_")
REPRESENTATIONS = ("embedding", "lstm", "gru", "rnn", "attention", "conv")
SHAPING = (
    "squeeze",
    "view",
    "reshape",
    "flatten",
    "contiguous",
    "alias",
    "clone",
    "detach",
    "unsqueeze",
    "_unsafe_view",
)


@dataclass(frozen=True)
class Node:
    """One call: what is called, its arguments (value, keyword or ""), and the names its results get."""

    target: str  # "aten.linear.default"
    given: tuple[tuple[Mapping[str, Any], str], ...]
    names: tuple[str, ...]
    several: bool = False  # the result is a tuple or list

    @property
    def short(self) -> str:
        return self.target.split(".")[1]

    def reads(self) -> list[str]:
        """The first argument's name first."""
        found = [arg["as_tensor"]["name"] for arg, _ in self.given if "as_tensor" in arg]
        return found + [one["name"] for arg, _ in self.given for one in arg.get("as_tensors", ()) if "name" in one]


def is_picture(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] in (1, 3, 4)


def picture_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(c, h, w) -> (h, w, c)."""
    return (*shape[1:], shape[0])


@dataclass(frozen=True)
class Argument:
    """One of several tensors that a program is called with: the shape of one row of it, and its type."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    keyword: bool = False  # given by its name, not by its place

    @property
    def width(self) -> int:
        return math.prod(self.shape)

    @property
    def row_shape(self) -> tuple[int, ...]:
        """As a row holds it: a picture with its channels last."""
        return picture_shape(self.shape) if is_picture(self.shape) else self.shape


ROWS = "rows of all arguments"  # stands for them where rows lie flat; no name of a program has blanks


@dataclass(frozen=True)
class Graph:
    """The calls in order, and what stands behind the names they read.

    Of a program with several ``arguments``, ``x`` is one matrix that holds their numbers side by side.
    """

    nodes: tuple[Node, ...]
    bound: Mapping[str, str]  # name in the graph -> tensor
    x: str
    output: str
    shape: tuple[int, ...]  # of one row as the network wants it: (20,), or (channels, height, width)
    dtype: str
    batch: int | None  # rows it was exported for, if it takes no other number
    width: int  # outputs
    logits: bool = False  # the output is known to be unnormalised
    arguments: tuple[Argument, ...] = ()  # () where ``x`` is the only one

    def maker(self, name: str) -> Node | None:
        """The node that makes a name."""
        return next((node for node in self.nodes if name in node.names), None)

    def represents(self) -> bool:
        """Whether it holds embeddings, recurrent, attention or convolution layers."""
        return any(word in node.short for node in self.nodes for word in REPRESENTATIONS)

    def last(self) -> tuple[str, str]:
        """The final activation ("" if there is none) and the name of what goes into it."""
        name = self.output
        while (node := self.maker(name)) is not None and node.reads():
            if node.short in AFTER:
                return node.short.strip("_"), node.reads()[0]
            if node.short not in SHAPING:
                break
            name = node.reads()[0]
        return "", self.output

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Graph:
        raw = json.loads(text)
        nodes = tuple(
            Node(check_target(n["target"]), tuple((a, k) for a, k in n["given"]), tuple(n["names"]), n["several"])
            for n in raw.pop("nodes")
        )
        arguments = tuple(Argument(**{**a, "shape": tuple(a["shape"])}) for a in raw.pop("arguments", ()))
        return cls(nodes, **{**raw, "shape": tuple(raw["shape"]), "arguments": arguments})


@dataclass(frozen=True)
class Program:
    """A graph with its tensors. ``memory``: its optimizer's state, beside the weights, to train on."""

    graph: Graph
    tensors: Mapping[str, Any]
    trainable: tuple[str, ...]
    classes: tuple[Any, ...] | None = None
    memory: Mapping[str, Any] = field(default_factory=dict)
    optimizer: str = USUAL  # a key of optimizing.STEPS


# What an operator raises for arguments that it cannot use.
FAILURES = (RuntimeError, TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, MemoryError)


def cut_arguments(graph: Graph, x: Any) -> dict[str, Any]:
    """Rows x (n, d) as what the program is called with: name -> tensor. One argument is the rows themselves."""
    if not graph.arguments:
        return {graph.x: x}
    import torch

    found, at = {}, 0
    for one in graph.arguments:
        part = x[:, at : at + one.width].reshape(-1, *one.row_shape).to(getattr(torch, one.dtype))
        found[one.name] = part.movedim(-1, 1).contiguous() if is_picture(one.shape) else part
        at += one.width
    return found


def run(graph: Graph, tensors: Mapping[str, Any], x: Any, *, training: bool = False, until: str | None = None) -> Any:
    """The output (or ``until``, a name in the graph) for a batch x. ``training``: dropout and batch statistics live.

    Out of training no buffer is changed. Raises BadModel where the program does not fit its own tensors.
    """
    return run_arguments(graph, tensors, cut_arguments(graph, x), training=training, until=until)


def run_arguments(
    graph: Graph, tensors: Mapping[str, Any], given: Mapping[str, Any], *, training: bool, until: str | None = None
) -> Any:
    """As ``run``, for the tensors that the program is called with, by name."""
    known = {name: tensors[key] for name, key in graph.bound.items()} | dict(given)
    wanted = until or graph.output
    try:
        for node in graph.nodes:
            if wanted in known:
                break
            _call(node, graph, known, training)
        return known[wanted]
    except FAILURES as error:
        raise BadModel(f"The program cannot be run ({type(error).__name__}: {str(error)[:200]}).") from None


def values_of(graph: Graph, tensors: Mapping[str, Any], x: Any) -> Mapping[str, Any]:
    """What stands behind every name of the graph for a batch x. Raises BadModel as ``run`` does."""
    known = {name: tensors[key] for name, key in graph.bound.items()} | cut_arguments(graph, x)
    try:
        for node in graph.nodes:
            _call(node, graph, known, training=False)
    except FAILURES as error:
        raise BadModel(f"The program cannot be run ({type(error).__name__}: {str(error)[:200]}).") from None
    return known


def _call(node: Node, graph: Graph, known: dict[str, Any], training: bool) -> None:
    if not training and node.short.endswith("_") and node.reads() and node.reads()[0] in graph.bound:
        known[node.names[0]] = known[node.reads()[0]]  # counts batches: not while predicting
        return
    values = [argument(arg, known) for arg, keyword in node.given if not keyword]
    named = {keyword: argument(arg, known) for arg, keyword in node.given if keyword}
    at = TRAINS.get(node.short)
    if at is not None and at < len(values):
        # One row has no batch statistics.
        values[at] = training and not (node.short == "batch_norm" and values[0].numel() == values[0].shape[1])
    result = operator(node.target)(*values, **named)
    known.update(zip(node.names, result if node.several else (result,), strict=False))

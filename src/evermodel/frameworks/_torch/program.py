"""A network as data: a list of operators and its tensors. Runs, trains, and is stored without anybody's code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evermodel.core.errors import BadModel
from evermodel.frameworks._torch.operators import TRAINS, argument, checked_target, operator
from evermodel.frameworks._torch.optimizing import USUAL

AFTER = ("softmax", "_softmax", "log_softmax", "_log_softmax", "sigmoid", "sigmoid_")
SHAPING = (
    "squeeze", "view", "reshape", "flatten", "contiguous", "alias", "clone", "detach", "unsqueeze", "_unsafe_view",
)  # fmt: skip


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


@dataclass(frozen=True)
class Graph:
    """The calls in order, and what stands behind the names they read."""

    nodes: tuple[Node, ...]
    bound: Mapping[str, str]  # name in the graph -> tensor
    x: str
    output: str
    shape: tuple[int, ...]  # of one row as the network wants it: (20,), or (channels, height, width)
    dtype: str
    batch: int | None  # rows it was exported for, if it takes no other number
    width: int  # outputs
    logits: bool = False  # the output is known to be unnormalised

    def maker(self, name: str) -> Node | None:
        """The node that makes a name."""
        return next((node for node in self.nodes if name in node.names), None)

    def last(self) -> tuple[str, str]:
        """The final activation ("" if there is none) and the name of what goes into it."""
        name = self.output
        while (node := self.maker(name)) is not None:
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
            Node(checked_target(n["target"]), tuple((a, k) for a, k in n["given"]), tuple(n["names"]), n["several"])
            for n in raw.pop("nodes")
        )
        return cls(nodes, **{**raw, "shape": tuple(raw["shape"])})


@dataclass(frozen=True)
class Program:
    """A graph with its tensors. ``memory``: its optimizer's state, beside the weights, to train on."""

    graph: Graph
    tensors: Mapping[str, Any]
    trainable: tuple[str, ...]
    classes: tuple[Any, ...] | None = None
    memory: Mapping[str, Any] = field(default_factory=dict)
    optimizer: str = USUAL  # a key of optimizing.STEPS


def run(graph: Graph, tensors: Mapping[str, Any], x: Any, *, training: bool = False, until: str | None = None) -> Any:
    """The output (or ``until``, a name in the graph) for a batch x. ``training``: dropout and batch statistics live.

    Out of training no buffer is changed. Raises BadModel where the program does not fit its own tensors.
    """
    known = {name: tensors[key] for name, key in graph.bound.items()}
    known[graph.x] = x
    wanted = until or graph.output
    try:
        for node in graph.nodes:
            if wanted in known:
                break
            _call(node, graph, known, training)
        return known[wanted]
    except (RuntimeError, TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise BadModel(f"The program cannot be run ({type(error).__name__}: {str(error)[:200]}).") from None


def values_of(graph: Graph, tensors: Mapping[str, Any], x: Any) -> Mapping[str, Any]:
    """What stands behind every name of the graph for a batch x. Raises BadModel as ``run`` does."""
    known = {name: tensors[key] for name, key in graph.bound.items()}
    known[graph.x] = x
    try:
        for node in graph.nodes:
            _call(node, graph, known, training=False)
    except (RuntimeError, TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
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
    made = operator(node.target)(*values, **named)
    known.update(zip(node.names, made if node.several else (made,), strict=False))

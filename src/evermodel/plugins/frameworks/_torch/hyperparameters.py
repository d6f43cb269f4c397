"""Hyperparameters of a program: its stack of hidden linear layers is edited as data, node by node."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evermodel.core.errors import BadModel
from evermodel.core.model.search_space import Dimension
from evermodel.core.records.search_record import Value, Values
from evermodel.plugins.frameworks._torch.optimizer_steps import STEPS
from evermodel.plugins.frameworks._torch.program import Graph, Node, Program

BESIDE = """
relu relu_ gelu silu silu_ tanh tanh_ sigmoid elu elu_ selu selu_ leaky_relu leaky_relu_ hardswish hardswish_ mish
mish_ softplus dropout dropout_
"""  # what may stand behind a hidden layer: it works on each number for itself
MOST_WIDE = 4  # times the deployed width


@dataclass(frozen=True)
class Stack:
    """Nodes in order: those before the hidden linear layers, each hidden layer with what stands beside it, the rest."""

    before: tuple[Node, ...]
    blocks: tuple[tuple[Node, ...], ...]
    after: tuple[Node, ...]


def dimensions(program: Program) -> tuple[Dimension, ...]:
    """What may vary; widths from a quarter to four times the deployed one, up to two hidden layers more."""
    found = [
        Dimension("learning_rate", "float", 1e-4, 1e-1 if program.optimizer == "sgd" else 2e-2, log=True),
        Dimension("batch_size", "int", 16, 256, log=True),
        Dimension("epochs", "int", 5, 60, log=True),
        Dimension("weight_decay", "float", 1e-6, 1e-1, log=True),
        Dimension("optimizer", "choice", choices=tuple(STEPS)),
    ]
    if program.graph.batch is not None:
        found = [d for d in found if d.name != "batch_size"]
    stack = stack_of(program.graph)
    if stack is not None:
        width = _width(program, stack)
        found += [
            Dimension("hidden_layers", "int", 1, len(stack.blocks) + 2),
            Dimension("units", "int", max(4, width // MOST_WIDE), max(16, width * MOST_WIDE), log=True),
            Dimension("dropout", "float", 0.0, 0.6),
        ]
    return tuple(found)


def hyperparameters(program: Program) -> Values:
    """As deployed; a program says how it is built and by which optimizer it trains, not how it was trained before."""
    stack = stack_of(program.graph)
    if stack is None:
        return {"optimizer": program.optimizer}
    rates = [_rate(n) for block in stack.blocks for n in block if n.short.startswith("dropout")]
    found: dict[str, Value] = {
        "optimizer": program.optimizer,
        "hidden_layers": len(stack.blocks),
        "units": _width(program, stack),
    }
    return {**found, "dropout": max(rates, default=0.0)}


def with_hyperparameters(program: Program, values: Values) -> Program:
    """A program of another structure, its new tensors drawn by their shapes; to be trained afresh."""
    if (optimizer := str(values.get("optimizer", program.optimizer))) not in STEPS:
        raise BadModel(f"A program is trained by one of {', '.join(STEPS)}. Got {optimizer!r}.")
    program = dataclasses.replace(program, optimizer=optimizer)
    changes = {k: values[k] for k in ("hidden_layers", "units", "dropout") if k in values}
    now = hyperparameters(program)
    if all(changes[k] == now.get(k) for k in changes):
        return dataclasses.replace(program, memory={})
    stack = stack_of(program.graph)
    if stack is None:
        raise BadModel(
            "The network has no stack of hidden linear layers: its structure cannot be tuned.",
            "Leave hidden_layers, units and dropout out of the space.",
        )
    return _built(program, stack, int(changes.get("hidden_layers", len(stack.blocks))), changes)


def stack_of(graph: Graph) -> Stack | None:
    """The hidden linear layers, one after another, each with its activation and dropout; None where there are none."""
    linear = [i for i, n in enumerate(graph.nodes) if n.short == "linear"]
    if len(linear) < 2:
        return None
    first, last = linear[0], linear[-1]
    blocks: list[list[Node]] = []
    previous = graph.nodes[first].reads()[0]
    for node in graph.nodes[first:last]:
        reads, readers = node.reads(), [n for n in graph.nodes if previous in n.reads() and n.short != "sym_size"]
        if reads[:1] != [previous] or len(readers) != 1 or len(node.names) != 1:
            return None
        if node.short == "linear":
            blocks.append([node])
        elif node.short in BESIDE.split() and len(reads) == 1:
            blocks[-1].append(node)
        else:
            return None
        previous = node.names[0]
    if graph.nodes[last].reads()[0] != previous:
        return None
    return Stack(graph.nodes[:first], tuple(map(tuple, blocks)), graph.nodes[last:])


def chain(program: Program) -> list[tuple[str, str]]:
    """(weight, bias) keys of each linear layer, where the network has no other parameters. Raises BadModel."""
    graph, stack = program.graph, stack_of(program.graph)
    linear = [n for n in graph.nodes if n.short == "linear"]
    keys = [(graph.bound[n.reads()[1]], graph.bound[n.reads()[2]]) for n in linear if len(n.reads()) == 3]
    if stack is None or len(keys) < len(linear) or {k for pair in keys for k in pair} != set(program.trainable):
        raise BadModel("Only a chain of linear layers with biases can be taken apart into its units.")
    return keys


def _width(program: Program, stack: Stack) -> int:
    return int(program.tensors[program.graph.bound[stack.blocks[0][0].reads()[1]]].shape[0])


def _rate(node: Node) -> float:
    given = next((a for a, _ in node.given[1:2]), {})
    return float(next(iter(given.values()), 0.0))


def _built(program: Program, stack: Stack, layers: int, changes: Mapping[str, Any]) -> Program:
    graph, tensors, bound = program.graph, dict(program.tensors), dict(program.graph.bound)
    trainable = list(program.trainable)
    nodes, previous = list(stack.before), stack.blocks[0][0].reads()[0]
    width = int(tensors[bound[stack.blocks[0][0].reads()[1]]].shape[1])
    for old in {key for block in stack.blocks for key in _keys(graph, block[0])}:
        trainable.remove(old)
        tensors.pop(old)
        bound = {name: key for name, key in bound.items() if key != old}
    for number in range(layers):
        block = stack.blocks[min(number, len(stack.blocks) - 1)]
        units = int(changes.get("units", program.tensors[graph.bound[block[0].reads()[1]]].shape[0]))
        nodes_of_block = _block(block, f"hidden_{number + 1}", previous, changes.get("dropout"))
        for part, shape in (("weight", (units, width)), ("bias", (units,)))[: len(block[0].reads()) - 1]:
            name = f"hidden_{number + 1}_{part}"
            bound[name] = f"{name}.tuned"
            tensors[f"{name}.tuned"] = _drawn(shape, width)
            trainable.append(f"{name}.tuned")
        nodes += nodes_of_block
        previous, width = nodes_of_block[-1].names[0], units
    head = stack.after[0]
    weight = graph.bound[head.reads()[1]]
    tensors[weight] = _drawn((tensors[weight].shape[0], width), width)
    head = dataclasses.replace(head, given=(_named(previous), *head.given[1:]))
    graph = dataclasses.replace(graph, nodes=(*nodes, head, *stack.after[1:]), bound=bound)
    return dataclasses.replace(program, graph=graph, tensors=tensors, trainable=tuple(trainable), memory={})


def _block(block: tuple[Node, ...], name: str, previous: str, rate: Any) -> list[Node]:
    """One hidden layer under new names, reading ``previous``; dropout as asked, added behind where there was none."""
    found: list[Node] = []
    for place, node in enumerate(block):
        given = [_named(previous), *node.given[1:]]
        if place == 0:
            parts = ("weight", "bias")[: len(node.reads()) - 1]
            given = [given[0], *(_named(f"{name}_{part}") for part in parts)]
        elif node.short.startswith("dropout") and rate is not None:
            given = [given[0], ({"as_float": float(rate)}, ""), *given[2:]]
        previous = f"{name}_{place}"
        found.append(dataclasses.replace(node, given=tuple(given), names=(previous,)))
    if rate and not any(n.short.startswith("dropout") for n in block):
        arguments = (_named(previous), ({"as_float": float(rate)}, ""), ({"as_bool": False}, ""))
        found.append(Node("aten.dropout.default", arguments, (f"{name}_dropout",)))
    return found


def _named(name: str) -> tuple[dict[str, Any], str]:
    return {"as_tensor": {"name": name}}, ""


def _keys(graph: Graph, node: Node) -> list[str]:
    return [graph.bound[name] for name in node.reads()[1:]]


def _drawn(shape: tuple[int, ...], inputs: int) -> Any:
    """PyTorch's own default for a linear layer; drawn anew when training starts afresh."""
    import torch

    bound = 1.0 / math.sqrt(max(1, inputs))
    return torch.empty(shape).uniform_(-bound, bound)

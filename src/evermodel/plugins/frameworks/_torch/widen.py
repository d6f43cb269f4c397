"""More inputs or outputs for a program, exact at the start."""

from __future__ import annotations

import dataclasses
from typing import Any

from evermodel.core.errors import BadSetting
from evermodel.plugins.frameworks._torch.program import SHAPING, Graph, Node, Program

BELOW = 10.0  # how far below the mean of the known classes a new one starts: a probability of some 0.00005


def widen_program(program: Program, *, inputs: int, outputs: int) -> Program:
    """A program with more columns (new weights 0) or classes (new rows the mean of the known, far below them)."""
    graph = program.graph
    if len(graph.shape) == 1 and inputs > graph.shape[0]:
        program = _more_inputs(program, inputs)
    if outputs > graph.width:
        program = _more_outputs(program, outputs)
    # Adam's memory has the old shapes, and speaks of the old parameters.
    return dataclasses.replace(program, memory={}) if program.graph is not graph else program


def _more_inputs(program: Program, inputs: int) -> Program:
    import torch

    graph, tensors = program.graph, dict(program.tensors)
    if graph.arguments:
        raise BadSetting("A program of several arguments takes no new columns: nothing says which they belong to.")
    readers = [node for node in graph.nodes if graph.x in node.reads()]
    sized = [node for node in readers if node.short == "sym_size"]
    if any(node.short != "linear" or node.reads()[0] != graph.x for node in readers if node not in sized):
        raise BadSetting("Only a network whose input goes straight into linear layers takes new columns.")
    for key in {graph.bound[node.reads()[1]] for node in readers if node.short == "linear"}:
        old = tensors[key]
        tensors[key] = torch.cat([old, old.new_zeros((old.shape[0], inputs - old.shape[1]))], dim=1)
    return dataclasses.replace(program, tensors=tensors, graph=dataclasses.replace(graph, shape=(inputs,)))


def _more_outputs(program: Program, outputs: int) -> Program:
    import torch

    graph, tensors = program.graph, dict(program.tensors)
    activation, _ = graph.last()
    head = _head(graph)
    weight = graph.bound[head.reads()[1]]
    bias = graph.bound[head.reads()[2]] if len(head.reads()) > 2 else ""
    w = tensors[weight]
    b = tensors[bias] if bias else w.new_zeros(w.shape[0])
    if graph.width == 1:  # a sigmoid of z is the softmax of (0, z)
        w, b = torch.cat([torch.zeros_like(w), w]), torch.cat([torch.zeros_like(b), b])
    more = outputs - w.shape[0]
    tensors[weight] = torch.cat([w, w.mean(dim=0, keepdim=True).expand(more, -1)]).contiguous()
    tensors[bias or f"{weight}.bias"] = torch.cat([b, (b.mean() - BELOW).expand(more)]).contiguous()
    trainable = program.trainable if bias else (*program.trainable, f"{weight}.bias")
    whole = _with_head(graph, head, bias or f"{weight}.bias", bool(activation), outputs)
    return dataclasses.replace(program, graph=whole, tensors=tensors, trainable=trainable)


def _head(graph: Graph) -> Node:
    """The linear layer whose output is the network's, up to an activation and its shape."""
    name = graph.last()[1]
    while (node := graph.maker(name)) is not None and node.short in SHAPING:
        name = node.reads()[0]
    shared = node is not None and sum(node.reads()[1] in other.reads() for other in graph.nodes if node.reads()[1:]) > 1
    if node is None or node.short != "linear" or node.reads()[1] not in graph.bound or shared:
        raise BadSetting("Only a network that ends in a linear layer takes new classes.", "Use the strategy 'refit'.")
    return node


def _with_head(graph: Graph, head: Node, bias: str, normalised: bool, outputs: int) -> Graph:
    """The graph up to its linear head, which now has a bias; softmax after it where the old one was normalised."""
    bound = dict(graph.bound)
    given: list[Any] = list(head.given[:2])
    name = next((n for n, key in bound.items() if key == bias), "head_bias")
    bound[name] = bias
    given.append(({"as_tensor": {"name": name}}, ""))
    nodes = [*graph.nodes[: graph.nodes.index(head)], dataclasses.replace(head, given=tuple(given))]
    output = head.names[0]
    if normalised:
        arguments: tuple[Any, ...] = (({"as_tensor": {"name": output}}, ""), ({"as_int": -1}, ""))
        nodes.append(Node("aten.softmax.int", arguments, ("widened",)))
        output = "widened"
    return dataclasses.replace(
        graph, nodes=tuple(nodes), bound=bound, output=output, width=outputs, logits=not normalised
    )

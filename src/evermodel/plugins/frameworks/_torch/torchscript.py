"""A program as TorchScript, which PyTorch's C++ library runs without Python: in Triton, or in a program of the user's.

The text is written from the list of operators that a program is, and names nothing of the program's own file: operators
are those of ``operators.py``, values are numbered, constants are numbers, types and plain words. So sizes that hang on
the number of rows stay free, which a traced network would have fixed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadModel
from evermodel.core.model.triton_model import TritonTensor
from evermodel.plugins.frameworks._torch.operators import DTYPES, FORMATS, SIZE, TRAINS, check_target, read_float
from evermodel.plugins.frameworks._torch.predict import list_tensors
from evermodel.plugins.frameworks._torch.program import Argument, Graph, Node, Program, run_arguments

SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "floordiv": "//"}
COMPARED = (1, 2, 5)  # numbers of rows on which both must answer alike
TOLERANCE = 1e-5
DATA_TYPES = {  # PyTorch's name of a type -> Triton's
    "float16": "FP16",
    "bfloat16": "BF16",
    "float32": "FP32",
    "float64": "FP64",
    "bool": "BOOL",
    "uint8": "UINT8",
    **{f"int{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
}


def write(program: Program, to: Path) -> tuple[tuple[TritonTensor, ...], TritonTensor]:
    """Writes the network; returns its inputs, in the order in which it takes them, and its output.

    Raises BadModel where it cannot be said so.
    """
    import torch

    if program.graph.batch:
        raise BadModel(
            f"The network was exported for {program.graph.batch} rows at a time; requests have any number.",
            "Export it with a free first dimension: dynamic_shapes=({0: torch.export.Dim.DYNAMIC},).",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript, which is what Triton reads
        warnings.simplefilter("ignore", FutureWarning)
        try:
            script = _hold_tensors(program)
            script.define(write_text(program))
            output = _compare(program, script)
            torch.jit.save(script.eval(), str(to))
        except (RuntimeError, ValueError, KeyError) as error:
            said = str(error).strip().partition("\n")[0][:200]
            raise BadModel(f"The network cannot be written as TorchScript ({said}).") from error
    inputs = tuple(
        TritonTensor(f"INPUT__{number}", DATA_TYPES[one.dtype], one.shape)
        for number, one in enumerate(_list_arguments(program.graph))
    )
    row, kind = tuple(output.shape[1:]), str(output.dtype).removeprefix("torch.")
    return inputs, TritonTensor("OUTPUT__0", DATA_TYPES[kind], row)


def _list_arguments(graph: Graph) -> tuple[Argument, ...]:
    return graph.arguments or (Argument(graph.x, graph.shape, graph.dtype),)


def _hold_tensors(program: Program) -> Any:
    import torch

    class Script(torch.jit.ScriptModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            for number, value in enumerate(program.tensors.values()):
                self.register_buffer(f"t{number}", value.clone())

    return Script()


def write_text(program: Program) -> str:
    """The function ``forward`` in TorchScript's language."""
    graph, places = program.graph, {key: f"self.t{number}" for number, key in enumerate(program.tensors)}
    taken = {one.name: f"x{number}" for number, one in enumerate(_list_arguments(graph))}
    names = {name: places[key] for name, key in graph.bound.items()} | taken
    lines = [f"def forward(self, {', '.join(taken.values())}):"]
    for node in graph.nodes:
        if node.short.endswith("_") and node.reads() and node.reads()[0] in graph.bound:
            names[node.names[0]] = names[node.reads()[0]]  # counts batches: not while answering
            continue
        call = _write_call(node, names)
        made = [f"v{len(names) + number}" for number in range(len(node.names))]
        names.update(zip(node.names, made, strict=True))
        lines.append(f"    {', '.join(made)} = {call}")
    return "\n".join([*lines, f"    return {names[graph.output]}", ""])


def _write_call(node: Node, names: Mapping[str, str]) -> str:
    space, name = check_target(node.target).split(".")[:2]
    values = [_write_argument(arg, names) for arg, keyword in node.given if not keyword]
    named = [f"{keyword}={_write_argument(arg, names)}" for arg, keyword in node.given if keyword]
    if space == "_operator":
        return f"(-{values[0]})" if name == "neg" else f"({values[0]} {SYMBOLS[name]} {values[1]})"
    if node.target == SIZE:
        return f"{values[0]}.size({values[1]})"
    at = TRAINS.get(name)
    if at is not None and at < len(values):
        values[at] = "False"
    return f"torch.ops.aten.{name}({', '.join([*values, *named])})"


def _write_argument(value: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The text of what a node is given; the kinds are those of ``operators.argument``."""
    kind, held = next(iter(value.items()))
    if kind in ("as_tensor", "as_name"):
        return names[held["name"] if isinstance(held, Mapping) else held]
    if kind in ("as_tensors", "as_optional_tensors", "as_nested_tensors"):
        return _write_list([names[one["name"]] if "name" in one else _write_argument(one, names) for one in held])
    if kind in ("as_sym_int", "as_sym_float", "as_sym_bool", "as_optional_tensor"):
        return _write_argument(held, names)
    if kind in ("as_sym_ints", "as_sym_floats"):
        return _write_list([_write_argument(one, names) for one in held])
    if kind in ("as_float", "as_floats"):
        texts = [_write_float(one) for one in (held if kind == "as_floats" else [held])]
        return texts[0] if kind == "as_float" else _write_list(texts)
    if kind in ("as_ints", "as_bools", "as_strings"):
        return _write_list([_write_constant(one) for one in held])
    if kind in ("as_int", "as_bool", "as_string"):
        return _write_constant(held)
    if kind == "as_scalar_type":
        return f"torch.{DTYPES[held]}"
    if kind == "as_memory_format":
        return f"torch.{FORMATS[held]}"
    return {"as_none": "None", "as_device": "x0.device", "as_layout": "torch.strided"}[kind]


def _write_list(texts: list[str]) -> str:
    return f"[{', '.join(texts)}]"


def _write_float(value: Any) -> str:
    number = read_float(value)
    return repr(number) if math.isfinite(number) else f'float("{number}")'


def _write_constant(value: Any) -> str:
    if isinstance(value, str) and not value.replace("_", "").isalnum():
        raise ValueError(f"a text of the program is no plain word: {value[:40]!r}")
    return repr(value)


def _compare(program: Program, script: Any) -> Any:
    """The output for a few rows. Raises BadModel where the script does not answer as the program does."""
    import torch

    expected = None
    for rows in COMPARED:
        given = _draw_rows(program, rows)
        with torch.no_grad():
            expected = run_arguments(program.graph, program.tensors, given, training=False)
            found = script(*given.values())
        if found.shape != expected.shape or not torch.allclose(found, expected, TOLERANCE, TOLERANCE, equal_nan=True):
            raise BadModel(f"As TorchScript the network answers {rows} rows otherwise.")
    return expected


def _draw_rows(program: Program, rows: int) -> dict[str, Any]:
    import torch

    generator = torch.Generator().manual_seed(0)
    codes = {tensor.name: tensor.codes for tensor in list_tensors(program.graph, program.tensors)}
    drawn = {}
    for one in _list_arguments(program.graph):
        shape, dtype = (rows, *one.shape), getattr(torch, one.dtype)
        if dtype.is_floating_point:
            drawn[one.name] = torch.randn(shape, generator=generator).to(dtype)
        else:
            drawn[one.name] = torch.randint(0, codes.get(one.name) or 2, shape, generator=generator).to(dtype)
    return drawn

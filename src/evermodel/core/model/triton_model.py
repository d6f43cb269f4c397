"""What Triton must be told of a model that it runs: which backend, and the tensors it takes and gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

MOST_ROWS = 65_536  # of one request, or of several that Triton answers together


@dataclass(frozen=True)
class TritonTensor:
    """An input or output: the shape of one row of it, and its type as Triton calls it ("FP32")."""

    name: str
    data_type: str
    shape: tuple[int, ...]  # -1: any length; () where a row is a number without a dimension of its own


@dataclass(frozen=True)
class TritonModel:
    """A model as Triton's ``config.pbtxt`` describes it."""

    backend: str
    inputs: tuple[TritonTensor, ...]
    outputs: tuple[TritonTensor, ...]
    platform: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    def write_config(self, name: str) -> str:
        """The text of ``config.pbtxt``: Triton serves the highest version, and answers waiting requests together."""
        lines = [f"name: {_quote(name)}", f"backend: {_quote(self.backend)}"]
        lines += [f"platform: {_quote(self.platform)}"] if self.platform else []
        lines += [f"max_batch_size: {MOST_ROWS}", "version_policy { latest { num_versions: 1 } }"]
        lines += [f"input {_describe(tensor)}" for tensor in self.inputs]
        lines += [f"output {_describe(tensor)}" for tensor in self.outputs]
        for key, value in self.parameters.items():
            lines.append(f"parameters {{ key: {_quote(key)} value {{ string_value: {_quote(value)} }} }}")
        return "\n".join([*lines, "dynamic_batching {}", ""])


def _describe(tensor: TritonTensor) -> str:
    shape = ", ".join(map(str, tensor.shape))
    # Triton knows no tensor without a dimension: one that has only its rows is told apart by `reshape`.
    dims = f"dims: [ {shape} ]" if tensor.shape else "dims: [ 1 ] reshape { shape: [ ] }"
    return f"{{ name: {_quote(tensor.name)} data_type: TYPE_{tensor.data_type} {dims} }}"


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

"""The operators of PyTorch that a program may name, and how they are called."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from evermodel.core.errors import Unsafe

# Pure arithmetic on tensors: nothing here opens a file, runs code, or reads memory it was not given.
ALLOWED = """
linear addmm mm bmm baddbmm matmul einsum conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d
batch_norm _native_batch_norm_legit_no_training layer_norm native_layer_norm group_norm native_group_norm
instance_norm rms_norm relu relu_ relu6 relu6_ gelu silu silu_ tanh tanh_ sigmoid sigmoid_ hardtanh hardtanh_
hardswish hardswish_ hardsigmoid hardsigmoid_ leaky_relu leaky_relu_ elu elu_ selu selu_ celu celu_ softplus
softsign mish mish_ prelu softmax _softmax log_softmax _log_softmax log_sigmoid softmin threshold exp log log1p
expm1 sqrt rsqrt pow abs neg reciprocal square sign sin cos erf floor ceil round clamp clamp_min clamp_max minimum
maximum add add_ sub sub_ rsub mul mul_ div div_ mean sum prod max amax min amin argmax argmin var std cumsum norm
linalg_vector_norm dropout dropout_ feature_dropout feature_dropout_ alpha_dropout alpha_dropout_ native_dropout
max_pool1d max_pool2d max_pool3d max_pool2d_with_indices avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d view reshape
_unsafe_view flatten unflatten squeeze unsqueeze permute transpose t contiguous clone cat concat stack split
split_with_sizes chunk unbind slice select narrow index_select gather expand expand_as repeat tile flip roll
embedding where eq ne lt le gt ge logical_and logical_or logical_not isnan isinf nan_to_num masked_fill
scaled_dot_product_attention lstm gru rnn_tanh rnn_relu arange zeros ones full zeros_like ones_like full_like
new_zeros new_ones new_full to _to_copy type_as detach alias lift_fresh_copy upsample_nearest2d upsample_bilinear2d
pad constant_pad_nd one_hot tril triu
"""
LARGEST = 1 << 53  # of a size
WHOLE = frozenset(("add", "sub", "mul", "floordiv", "neg"))  # arithmetic on sizes, by Python's operator module
SIZE = "aten.sym_size.int"
FACTORIES = ("arange", "zeros", "ones", "full")  # make a tensor from none
# Where an operator is told whether it trains: the position of that argument.
TRAINS = {
    "dropout": 2,
    "dropout_": 2,
    "feature_dropout": 2,
    "feature_dropout_": 2,
    "alpha_dropout": 2,
    "alpha_dropout_": 2,
    "native_dropout": 2,
    "batch_norm": 5,
    "lstm": 6,
    "gru": 6,
    "rnn_tanh": 6,
    "rnn_relu": 6,
}
DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    12: "bool",
    13: "bfloat16",
}
NOT_FINITE = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
FORMATS = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}


def check_target(target: str) -> str:
    """A node's operator as it is kept: "aten.linear.default". Raises Unsafe for one that is not known."""
    name = target.removeprefix("torch.ops.")
    parts = name.split(".")
    if len(parts) == 2 and parts[0] == "_operator" and parts[1] in WHOLE:
        return name
    if name == SIZE or (len(parts) == 3 and parts[0] == "aten" and name in list_overloads()):
        return name
    raise Unsafe(
        f"The program calls {target[:80]!r}, which is not on the list of operators known to be harmless.",
        "Give the module's own code as `factory`, MODULE:FUNCTION, and its weights as .safetensors.",
    )


@cache
def list_overloads() -> Mapping[str, Any]:
    """Every overload that a program may call, by its full name: "aten.add.Tensor" -> PyTorch's own object.

    A name from a file is only ever looked up here; it never becomes an attribute access, because an operator's
    attributes lead to the interpreter (``aten.linear.__getattr__`` reaches ``exec``). Overloads that write into an
    argument they are given (``out=``), and those that work on no tensor at all (on lists, on text), are left out.
    """
    import torch

    resolved: dict[str, Any] = {}
    for name in ALLOWED.split():
        packet = getattr(torch.ops.aten, name, None)
        for overload in packet.overloads() if isinstance(packet, torch._ops.OpOverloadPacket) else ():
            function = getattr(packet, overload)
            if isinstance(function, torch._ops.OpOverload) and _is_harmless(name, function._schema):
                resolved[f"aten.{name}.{overload}"] = function
    return resolved


def _is_harmless(name: str, schema: Any) -> bool:
    takes_tensors = any("Tensor" in str(a.type) for a in schema.arguments)
    writes = any(a.alias_info is not None and a.alias_info.is_write for a in schema.arguments)
    return (takes_tensors or name in FACTORIES) and (not writes or name.endswith("_"))


def operator(target: str) -> Any:
    """The function behind a target. Raises Unsafe for one that is not allowed, whoever asks."""
    import operator as python

    name = check_target(target)
    if name.startswith("_operator."):
        function = getattr(python, name.split(".")[1])  # one of five names, see WHOLE
        return lambda *values: _compute_size(function, *values)
    if name == SIZE:
        return lambda tensor, dim: tensor.shape[dim]
    return list_overloads()[name]


def _compute_size(function: Callable[..., Any], *values: Any) -> Any:
    """Arithmetic on sizes. Raises ValueError for anything that is no size: texts and huge numbers fill the memory."""
    if not all(isinstance(value, (int, float)) and abs(value) < LARGEST for value in values):
        raise ValueError("arithmetic on something that is no size")
    return function(*values)


def read_float(value: Any) -> float:
    """A constant as it is kept: JSON has no word for what is not finite, so PyTorch writes those as texts."""
    return NOT_FINITE[value] if isinstance(value, str) else float(value)


def argument(value: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    """What a node is given: a tensor or size computed before (by name, out of ``known``), or a constant."""
    import torch

    (kind, schema_parts), *_ = ((k, v) for k, v in value.items())
    if kind in ("as_tensor", "as_name"):
        return known[schema_parts["name"] if isinstance(schema_parts, Mapping) else schema_parts]
    if kind in ("as_tensors", "as_optional_tensors", "as_nested_tensors"):
        return [known[one["name"]] if "name" in one else argument(one, known) for one in schema_parts]
    if kind in ("as_sym_int", "as_sym_float", "as_sym_bool", "as_optional_tensor"):
        return argument(schema_parts, known)
    if kind in ("as_sym_ints", "as_sym_floats"):
        return [argument(one, known) for one in schema_parts]
    if kind == "as_float":
        return read_float(schema_parts)
    if kind == "as_floats":
        return [read_float(one) for one in schema_parts]
    if kind in ("as_int", "as_bool", "as_ints", "as_bools", "as_string", "as_strings"):
        return schema_parts
    if kind == "as_none":
        return None
    if kind == "as_scalar_type":
        return getattr(torch, DTYPES[schema_parts])
    if kind == "as_memory_format":
        return getattr(torch, FORMATS[schema_parts])
    if kind == "as_device":
        return torch.device("cpu")
    if kind == "as_layout":
        return torch.strided
    raise ValueError(f"an argument of the kind {str(kind)[:40]!r}")

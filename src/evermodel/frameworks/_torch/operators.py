"""The operators of PyTorch that a program may name, and how they are called."""

from __future__ import annotations

from collections.abc import Mapping
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
WHOLE = frozenset(("add", "sub", "mul", "floordiv", "neg"))  # arithmetic on sizes, by Python's operator module
# Where an operator is told whether it trains: the position of that argument.
TRAINS = {
    "dropout": 2, "dropout_": 2, "feature_dropout": 2, "feature_dropout_": 2, "alpha_dropout": 2, "alpha_dropout_": 2,
    "native_dropout": 2, "batch_norm": 5, "lstm": 6, "gru": 6, "rnn_tanh": 6, "rnn_relu": 6,
}  # fmt: skip
DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64", 12: "bool",
    13: "bfloat16",
}  # fmt: skip
FORMATS = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}


def checked_target(target: str) -> str:
    """A node's operator as it is kept: "aten.linear.default". Raises Unsafe for one that is not known."""
    said = target.removeprefix("torch.ops.")
    parts = said.split(".")
    if len(parts) == 3 and parts[0] == "aten" and (parts[1] in ALLOWED.split() or said == "aten.sym_size.int"):
        return said
    if len(parts) == 2 and parts[0] == "_operator" and parts[1] in WHOLE:
        return said
    raise Unsafe(
        f"The program calls {target[:80]!r}, which is not on the list of operators known to be harmless.",
        "Give the module's own code with --factory module:function and its weights as .safetensors.",
    )


def operator(target: str) -> Any:
    """The function behind a checked target. Raises AttributeError if this PyTorch does not have it."""
    import operator as python

    import torch

    parts = target.split(".")
    if parts[0] == "_operator":
        return getattr(python, parts[1])
    if target == "aten.sym_size.int":
        return lambda tensor, dim: tensor.shape[dim]
    return getattr(getattr(torch.ops.aten, parts[1]), parts[2])


def argument(value: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    """What a node is given: a tensor or size computed before (by name, out of ``known``), or a constant."""
    import torch

    (kind, said), *_ = ((k, v) for k, v in value.items())
    if kind in ("as_tensor", "as_name"):
        return known[said["name"] if isinstance(said, Mapping) else said]
    if kind in ("as_tensors", "as_optional_tensors", "as_nested_tensors"):
        return [known[one["name"]] if "name" in one else argument(one, known) for one in said]
    if kind in ("as_sym_int", "as_sym_float", "as_sym_bool", "as_optional_tensor"):
        return argument(said, known)
    if kind in ("as_sym_ints", "as_sym_floats"):
        return [argument(one, known) for one in said]
    if kind in ("as_int", "as_float", "as_bool", "as_ints", "as_floats", "as_bools", "as_string", "as_strings"):
        return said
    if kind == "as_none":
        return None
    if kind == "as_scalar_type":
        return getattr(torch, DTYPES[said])
    if kind == "as_memory_format":
        return getattr(torch, FORMATS[said])
    if kind == "as_device":
        return torch.device("cpu")
    if kind == "as_layout":
        return torch.strided
    raise ValueError(f"an argument of the kind {str(kind)[:40]!r}")

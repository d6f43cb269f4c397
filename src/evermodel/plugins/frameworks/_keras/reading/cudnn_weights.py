"""Weights of ``CuDNNLSTM`` and ``CuDNNGRU`` of Keras 1 and 2, laid out as LSTM and GRU keep them.

cuDNN takes each gate's input kernel as (units, inputs), each recurrent one transposed, and two biases; the layers kept
them so, in variables of the usual shapes.
"""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array

LSTM_GATES, GRU_GATES = 4, 3


def convert_cudnn_weights(shapes: list[tuple[int, ...]], arrays: list[Array]) -> list[Array]:
    """The arrays, in which a kernel, a recurrent kernel and a bias of cuDNN fit ``shapes``, those of the layer."""
    converted = list(arrays)
    for at in range(2, len(arrays)):
        wanted, (kernel, recurrent, bias) = shapes[at] if at < len(shapes) else (), arrays[at - 2 : at + 1]
        n_units = _count_units(recurrent)
        if not n_units:
            continue
        if wanted == (LSTM_GATES * n_units,) and bias.shape == (2 * LSTM_GATES * n_units,):
            converted[at - 2 : at + 1] = _convert(kernel, recurrent, np.add(*np.split(bias, 2)), LSTM_GATES)
        elif wanted == (2, GRU_GATES * n_units) and bias.shape == (2 * GRU_GATES * n_units,):
            converted[at - 2 : at + 1] = _convert(kernel, recurrent, bias.reshape(2, -1), GRU_GATES)
    return converted


def _count_units(recurrent: Array) -> int:
    """Of a recurrent kernel (units, gates x units); 0 where it is none."""
    is_kernel = recurrent.ndim == 2 and recurrent.shape[0] > 0 and recurrent.shape[1] % recurrent.shape[0] == 0
    return int(recurrent.shape[0]) if is_kernel else 0


def _convert(kernel: Array, recurrent: Array, bias: Array, n_gates: int) -> list[Array]:
    inputs = [part.reshape(part.shape[::-1]).T for part in map(np.ascontiguousarray, np.hsplit(kernel, n_gates))]
    states = [part.T for part in np.hsplit(recurrent, n_gates)]
    return [np.hstack(inputs), np.hstack(states), bias]

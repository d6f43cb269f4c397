"""The Open Inference Protocol, version 2: tensors in, tensors out, a model's inputs and outputs described."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Contract
from evermodel.core.data.target_column import class_text
from evermodel.core.errors import BadData
from evermodel.server.binary_tensors import ALL_WANTED, DTYPES, SIZE, WANTED, TensorBytes, encode_tensor
from evermodel.server.checked_rows import SHOWN
from evermodel.server.prepared_model import Predicted, PreparedModel
from evermodel.server.request_body import RequestRows, TooManyRows

DATATYPES = tuple(DTYPES)
SHARED_MEMORY, CLASSES = "shared_memory_region", "classification"  # parameters of extensions that there are not
PREDICTION, PROBABILITIES = "prediction", "probabilities"


class RequestInput(msgspec.Struct):
    """One input tensor."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None  # None where its values are bytes behind the JSON
    parameters: dict[str, Any] = {}


class RequestOutput(msgspec.Struct):
    """An output tensor that is wanted."""

    name: str
    parameters: dict[str, Any] = {}


class InferenceRequest(msgspec.Struct):
    """The body of ``/infer``."""

    inputs: list[RequestInput]
    id: str = ""
    outputs: list[RequestOutput] = []
    parameters: dict[str, Any] = {}

    def wants_bytes(self, name: str) -> bool:
        """Whether an output is to be bytes behind the JSON: as it says, or as the request says of all."""
        own = next((output.parameters for output in self.outputs if output.name == name), {})
        return own.get(WANTED, self.parameters.get(ALL_WANTED, False)) is True


_decoder = msgspec.json.Decoder(InferenceRequest)


def read_request(body: bytes) -> InferenceRequest:
    """The request in a body. Raises BadData."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadData(f"The body is no inference request: {error}.") from None


def read_tensors(request: InferenceRequest, names: Sequence[str], most_rows: int, behind: bytes = b"") -> RequestRows:
    """The columns of a request: a tensor a column, or one tensor (n, d) with all columns in the model's order.

    ``behind``: the bytes behind the JSON, where tensors are sent so.
    """
    tensors, held = request.inputs, TensorBytes(behind)
    for tensor in tensors:
        _check_tensor(tensor)
    if not tensors:
        raise BadData("The request has no inputs.")
    rows = tensors[0].shape[0]
    if rows > most_rows:
        raise TooManyRows(f"A request may have at most {most_rows:,} rows. It has {rows:,}.", "Send them in parts.")
    if not rows:
        raise BadData("The request has no rows.")
    values = [_read_values(tensor, held) for tensor in tensors]
    held.check_end()
    if len(tensors) == 1 and tensors[0].name not in names and tensors[0].shape[1:] == [len(names)]:
        width = len(names)
        return RequestRows({name: values[0][at::width] for at, name in enumerate(names)}, rows)
    columns: dict[str, Sequence[Any]] = {}
    for tensor, column in zip(tensors, values, strict=True):
        if math.prod(tensor.shape) != rows:
            raise BadData(
                f"The tensor {tensor.name[:SHOWN]!r} must have the shape [{rows}] or [{rows}, 1]: one value a row. "
                f"It has {tensor.shape}."
            )
        columns[tensor.name] = column
    return RequestRows(columns, rows)


def _check_tensor(tensor: RequestInput) -> None:
    if not tensor.shape or any(size < 0 for size in tensor.shape):
        raise BadData(f"The shape of {tensor.name[:SHOWN]!r} must be one or more sizes. Got {tensor.shape}.")
    if tensor.datatype not in (*DATATYPES, "BYTES"):
        raise BadData(f"The datatype {tensor.datatype[:SHOWN]!r} is none of the protocol's.")
    if SHARED_MEMORY in tensor.parameters:
        raise BadData("There is no shared memory with this server.", "Send the values of the tensor.")


def _read_values(tensor: RequestInput, held: TensorBytes) -> Sequence[Any]:
    """The values of a tensor, one after another: a list, or an array where it came as the bytes of numbers."""
    name, size = tensor.name[:SHOWN], tensor.parameters.get(SIZE)
    values: Any
    if size is not None:
        values = held.read(name, tensor.datatype, tensor.shape, size)
    elif tensor.data is None:
        raise BadData(f"The tensor {name!r} has no data.")
    else:
        values = _flatten(tensor.data)
    if len(values) != math.prod(tensor.shape):
        raise BadData(
            f"The tensor {name!r} has {len(values):,} values, and its shape {tensor.shape} "
            f"needs {math.prod(tensor.shape):,}."
        )
    return values  # type: ignore[no-any-return]


def _flatten(data: list[Any]) -> list[Any]:
    """The values of a tensor, which may be given as lists in lists."""
    while data and isinstance(data[0], list):
        if not all(isinstance(part, list) for part in data):
            raise BadData("The data of a tensor must be lists of one depth.")
        data = [value for part in data for value in part]
    return data


def build_response(
    request: InferenceRequest, prepared: PreparedModel, predicted: Predicted, identity: str
) -> tuple[bytes, int | None]:
    """The body of the answer, and how long its JSON is where there are bytes behind it.

    Raises BadData where an output is asked for that the model does not have.
    """
    outputs = build_outputs(prepared, predicted)
    wanted = [output.name for output in request.outputs]
    unknown = next((name for name in wanted if name not in outputs), None)
    if unknown is not None:
        raise BadData(f"There is no output {unknown[:SHOWN]!r}. There is: {', '.join(outputs)}.")
    for output in request.outputs:
        if SHARED_MEMORY in output.parameters or CLASSES in output.parameters:
            raise BadData("The only extension of the protocol here is binary_tensor_data.", "Ask for the output alone.")
    given = {name: tensor for name, tensor in outputs.items() if not wanted or name in wanted}
    behind = []
    for name, tensor in given.items():
        if request.wants_bytes(name):
            behind.append(encode_tensor(tensor["datatype"], tensor.pop("data")))
            tensor["parameters"] = {SIZE: len(behind[-1])}
    head = msgspec.json.encode(
        {
            "model_name": prepared.name,
            "model_version": prepared.version,
            "id": request.id or identity,
            "parameters": {"prediction_id": identity},
            "outputs": list(given.values()),
        }
    )
    return (b"".join([head, *behind]), len(head)) if behind else (head, None)


def build_outputs(prepared: PreparedModel, predicted: Predicted) -> dict[str, Any]:
    """The output tensors by name: the prediction, of a classifier the probabilities, and each further answer's."""
    labels = [] if predicted.codes is None else [class_text(label) for label in predicted.labels]
    found = _build_tensors("", np.asarray(predicted.raw), labels)
    for output in prepared.contract.outputs:
        if not output.primary:
            p = predicted.others[output.target]
            labels = [output.classes[code] for code in p.argmax(axis=1).tolist()] if output.classes else []
            found |= _build_tensors(f"_{output.target}", p, labels)
    return found


def _build_tensors(suffix: str, raw: Array, labels: list[str]) -> dict[str, Any]:
    """One answer: numbers or texts (n,), or labels and their probabilities (n, k)."""
    prediction, probabilities = PREDICTION + suffix, PROBABILITIES + suffix
    if raw.dtype == object:
        return {prediction: _tensor(prediction, "BYTES", [len(raw)], raw.tolist())}
    if raw.ndim == 1:
        return {prediction: _tensor(prediction, "FP64", [len(raw)], raw.tolist())}
    return {
        prediction: _tensor(prediction, "BYTES", [len(labels)], labels),
        probabilities: _tensor(probabilities, "FP64", list(raw.shape), raw.ravel().tolist()),
    }


def _tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def describe_model(prepared: PreparedModel) -> dict[str, Any]:
    """The model's metadata: a tensor a column, its outputs, the classes in the order of the probabilities."""
    contract = prepared.contract
    outputs = _describe_answer("", len(contract.classes), writes=contract.task == "text")
    for output in contract.outputs:
        if not output.primary:
            outputs += _describe_answer(f"_{output.target}", len(output.classes))
    return {
        "name": prepared.name,
        "versions": [prepared.version],
        "platform": prepared.model.framework.__name__.rsplit(".", 1)[-1],
        "inputs": describe_inputs(contract),
        "outputs": outputs,
        "parameters": {"classes": [class_text(label) for label in contract.classes]},
    }


def _describe_answer(suffix: str, classes: int, *, writes: bool = False) -> list[dict[str, Any]]:
    datatype = "BYTES" if classes or writes else "FP64"
    outputs: list[dict[str, Any]] = [{"name": PREDICTION + suffix, "datatype": datatype, "shape": [-1]}]
    if classes:
        outputs.append({"name": PROBABILITIES + suffix, "datatype": "FP64", "shape": [-1, classes]})
    return outputs


def describe_inputs(contract: Contract) -> list[dict[str, Any]]:
    """An input tensor a column."""
    kinds = {"number": "FP64", "boolean": "BOOL"}
    return [{"name": c.name, "datatype": kinds.get(c.kind, "BYTES"), "shape": [-1, 1]} for c in contract.columns]

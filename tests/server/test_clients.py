"""Clients that others wrote call the server as they call their own: Triton's over HTTP, and MLflow's."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.server.binary_tensors import LENGTH_HEADER
from tests.server.conftest import expected
from tests.updating.conftest import rows

ROWS, SEED = 40, 7


@pytest.fixture
def url(registry) -> Iterator[str]:
    with evermodel.serve("m", port=0, registry=registry) as server:
        yield server.url


@pytest.fixture
def triton(url) -> Iterator[Any]:
    module = pytest.importorskip("tritonclient.http")
    client = module.InferenceServerClient(urlsplit(url).netloc)
    yield client
    client.close()


def build_inputs(binary: bool, numbers: str = "FP64") -> list[Any]:
    """The columns as Triton's client sends them, which is as bytes unless it is told otherwise."""
    from tritonclient.http import InferInput

    frame, inputs = rows(ROWS, SEED), []
    for name, kind in (("a", numbers), ("b", numbers), ("kind", "BYTES")):
        dtype = {"FP64": np.float64, "FP32": np.float32, "BYTES": np.object_}[kind]
        values = frame[name].to_numpy().astype(dtype)[:, None]
        inputs.append(InferInput(name, list(values.shape), kind).set_data_from_numpy(values, binary_data=binary))
    return inputs


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client_asks_and_understands(triton, registry, binary):
    from tritonclient.http import InferRequestedOutput

    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("m")
    assert "binary_tensor_data" in triton.get_server_metadata()["extensions"]
    described = triton.get_model_metadata("m")["inputs"]
    assert [(i["name"], i["datatype"]) for i in described] == [
        ("a", "FP64"),
        ("b", "FP64"),
        ("kind", "BYTES"),
    ]
    outputs = [InferRequestedOutput(name, binary_data=binary) for name in ("probabilities", "prediction")]
    answer = triton.infer("m", build_inputs(binary), outputs=outputs, request_id="42")
    right = expected(ROWS, SEED, registry, "v1")
    assert np.abs(answer.as_numpy("probabilities")[:, 1] - right["p_1"].to_numpy()).max() < 1e-7
    labels = [label.decode() if binary else label for label in answer.as_numpy("prediction")]
    assert [int(label) for label in labels] == right["prediction"].to_list()
    assert (answer.get_response()["id"], answer.get_response()["model_version"]) == ("42", "v1")


def test_without_outputs_named_all_come_as_bytes(triton, registry):
    answer = triton.infer("m", build_inputs(True))
    assert all("data" not in output for output in answer.get_response()["outputs"])
    right = expected(ROWS, SEED, registry, "v1")["p_1"].to_numpy()
    assert np.abs(answer.as_numpy("probabilities")[:, 1] - right).max() < 1e-7


def test_bytes_behind_and_values_within_the_json_go_together(triton, registry):
    mixed = [*build_inputs(True)[:1], *build_inputs(False)[1:2], *build_inputs(True)[2:]]
    right = expected(ROWS, SEED, registry, "v1")["p_1"].to_numpy()
    assert np.abs(triton.infer("m", mixed).as_numpy("probabilities")[:, 1] - right).max() < 1e-7


def test_a_request_of_bytes_is_logged_as_any_other(registry):
    module = pytest.importorskip("tritonclient.http")
    with evermodel.serve("m", port=0, registry=registry) as server:
        client = module.InferenceServerClient(urlsplit(server.url).netloc)
        client.infer("m", build_inputs(True))
        client.close()
    (file,) = (registry / "predictions" / "m" / "rows").glob("*.parquet")  # an ending server hands its rows over
    logged, sent = pl.read_parquet(file), rows(ROWS, SEED)
    assert logged.select("a", "b", "kind").equals(sent.select("a", "b", "kind"))


def test_an_error_reaches_tritons_client_in_words(triton):
    from tritonclient.http import InferInput, InferRequestedOutput
    from tritonclient.utils import InferenceServerException

    with pytest.raises(InferenceServerException, match="missing: 'b'") as refused:
        triton.infer("m", build_inputs(True)[:1])
    assert refused.value.status() == "422"
    with pytest.raises(InferenceServerException, match="no shared memory"):
        triton.infer("m", [InferInput("a", [1, 1], "FP64").set_shared_memory("region", 8)])
    with pytest.raises(InferenceServerException, match="only extension"):
        triton.infer("m", build_inputs(True), outputs=[InferRequestedOutput("probabilities", class_count=1)])
    with pytest.raises(InferenceServerException, match="compressed"):
        triton.infer("m", build_inputs(True), request_compression_algorithm="gzip")
    with pytest.raises(InferenceServerException, match="not served here"):
        triton.infer("other", build_inputs(True))


A = {"name": "a", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}
KIND = {"name": "kind", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 7}}
B = {"name": "b", "shape": [1], "datatype": "FP64", "data": [1.0]}
EIGHT, RED = struct.pack("<d", 0.5), struct.pack("<I", 3) + b"red"
WRONG = {
    "too few bytes": ([A, B, KIND], EIGHT + RED[:-1], None),
    "too many bytes": ([A, B, KIND], EIGHT + RED + b"x", None),
    "a text that does not end": ([A, B, KIND], EIGHT + struct.pack("<I", 9) + b"red", None),
    "a length that does not end": ([A, B, KIND | {"parameters": {"binary_data_size": 2}}], EIGHT + b"ab", None),
    "two texts for one": ([A, B, KIND | {"parameters": {"binary_data_size": 8}}], EIGHT + bytes(8), None),
    "another size": ([A | {"parameters": {"binary_data_size": 4}}, B, KIND], EIGHT[:4] + RED, None),
    "no size": ([A | {"parameters": {"binary_data_size": "8"}}, B, KIND], EIGHT + RED, None),
    "a size below zero": ([A | {"parameters": {"binary_data_size": -8}}, B, KIND], EIGHT + RED, None),
    "a true size": ([A | {"parameters": {"binary_data_size": True}}, B, KIND], EIGHT + RED, None),
    "no data at all": ([A | {"parameters": {}}, B, KIND], RED, None),
    "longer json than body": ([A, B, KIND], EIGHT + RED, b"999999"),
    "a length that is no number": ([A, B, KIND], EIGHT + RED, b"-1"),
    "a length without end": ([A, B, KIND], EIGHT + RED, b"9" * 5000),
    "a huge shape": ([A | {"shape": [2**40]}, B, KIND], EIGHT + RED, None),
}


def post(client: httpx.Client, tensors: Any, behind: bytes, length: bytes | None) -> httpx.Response:
    head = json.dumps({"inputs": tensors}).encode()
    headers = {LENGTH_HEADER: str(len(head)).encode() if length is None else length}
    return client.post("/v2/models/m/infer", content=head + behind, headers=headers)


@pytest.fixture(scope="module")
def shared(two_versions) -> Iterator[httpx.Client]:
    """A server that keeps no log, so that the registry of the session stays as it is."""
    with (
        evermodel.serve("m", port=0, registry=two_versions, log="off") as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        yield client


@pytest.mark.parametrize("what", WRONG)
def test_wrong_bytes_are_refused_in_words(shared, what):
    answer = post(shared, *WRONG[what])
    assert answer.status_code in (400, 413), answer.text
    assert len(answer.json()["error"]) > 20
    assert post(shared, [A, B, KIND], EIGHT + RED, None).status_code == 200


def test_every_type_of_number_is_read(shared):
    from evermodel.server.binary_tensors import DTYPES

    plain = post(shared, [A, B, KIND], struct.pack("<d", 1.0) + RED, None).json()["outputs"][1]["data"]
    for datatype, dtype in DTYPES.items():
        one = np.ones(1, dtype).tobytes()
        tensor = A | {"datatype": datatype, "parameters": {"binary_data_size": len(one)}}
        assert post(shared, [tensor, B, KIND], one + RED, None).json()["outputs"][1]["data"] == plain, datatype


def test_bytes_that_are_no_text_refuse_their_row(shared):
    answer = post(shared, [A, B, KIND], EIGHT + struct.pack("<I", 3) + b"\xff\xfe\xfd", None)
    assert answer.status_code == 422
    assert answer.json()["refused"] == [{"row": 0, "column": "kind", "reason": "must be one value, and is bytes"}]


def test_mlflows_client_asks_and_understands(url, registry):
    pytest.importorskip("mlflow")
    from mlflow.deployments import PredictionsResponse
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    address = urlsplit(url)
    client = ScoringServerClient(address.hostname, address.port)
    client.wait_server_ready(timeout=60)
    frame = rows(ROWS, SEED).select("a", "b", "kind").to_pandas()
    right = expected(ROWS, SEED, registry, "v1")
    answer = client.invoke(frame)
    assert isinstance(answer, PredictionsResponse)
    assert answer.get_predictions()[0].to_list() == right["prediction"].to_list()
    assert answer.get_predictions("ndarray").tolist() == right["prediction"].to_list()
    assert np.allclose(np.array(json.loads(answer.to_json())["probabilities"])[:, 1], right["p_1"].to_numpy())


def test_mlflows_client_passes_an_error_on(url):
    pytest.importorskip("mlflow")
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    address = urlsplit(url)
    client = ScoringServerClient(address.hostname, address.port)
    with pytest.raises(Exception, match=r"error code 422.*INVALID_PARAMETER_VALUE.*missing: 'b', 'kind'"):
        client.invoke(rows(1, 1).select("a").to_pandas())

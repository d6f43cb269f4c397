"""KServe gets a manifest of its own kind, behind which Triton's repository lies; a running release is its canary."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import evermodel
from evermodel.core.errors import BadSetting
from evermodel.testing.publishers import CHECKS, check_publisher
from tests.server.conftest import SOURCE, wait_for
from tests.server.test_publishers import ROW, name_version, places, publications
from tests.server.test_triton import newest, read_config, read_forest

URI = "pvc://models/served"
# What an InferenceService of v1beta1 takes, as far as it is used here: a field that is not named is an error.
TEXT: dict[str, Any] = {"type": "string"}


def shape(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required.split(), "additionalProperties": False}


MODEL = shape(
    "modelFormat storageUri",
    modelFormat=shape("name", name=TEXT, version=TEXT),
    runtimeVersion=TEXT,
    protocolVersion={"enum": ["v1", "v2", "grpc-v2"]},
    storageUri={"type": "string", "pattern": "^(pvc|s3|gs|https|hdfs)://"},
)
PERCENT = {"type": "integer", "minimum": 1, "maximum": 100}
SERVICE = shape(
    "apiVersion kind metadata spec",
    apiVersion={"const": "serving.kserve.io/v1beta1"},
    kind={"const": "InferenceService"},
    metadata=shape(
        "name",
        name={"type": "string", "pattern": "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"},
        annotations={"type": "object", "additionalProperties": TEXT},
    ),
    spec=shape("predictor", predictor=shape("model", canaryTrafficPercent=PERCENT, model=MODEL)),
)


def read_service(file: Path) -> Any:
    """The manifest, checked."""
    jsonschema = pytest.importorskip("jsonschema")
    service = yaml.safe_load(file.read_text())
    jsonschema.validate(service, SERVICE)
    return service


def test_kserve_keeps_its_promises(two_versions, tmp_path):
    pytest.importorskip("treelite")
    both = publications(two_versions, tmp_path / "files")
    x = both[0].model.transform(ROW.select("a", "b", "kind"))
    known = {v: evermodel.predict("m", ROW, version=v, registry=two_versions)["p_1"].to_numpy() for v in ("v1", "v2")}

    def read(to: str) -> str:
        """As KServe does: what lies at the URI is Triton's repository."""
        file, _, uri = to.partition("@")
        model = read_service(Path(file))["spec"]["predictor"]["model"]
        assert model["storageUri"].startswith(uri)
        place = Path(file).parent / model["storageUri"].removeprefix(f"{uri}/") / "m"
        config = read_config((place / "config.pbtxt").read_text())
        return name_version(read_forest(newest(place), config, x)[:, 0], known)

    new_place = places(tmp_path)
    assert check_publisher("kserve", both, read, lambda: f"{new_place()}/m.yaml@{URI}") == len(CHECKS)


def test_a_running_release_is_the_canary_until_it_ends(registry, tmp_path):
    file = tmp_path / "cluster" / "m.yaml"
    to = f"kserve:{file}@{URI}/"

    def publish() -> tuple[Any, Any, str]:
        result = evermodel.publish("m", to=to, registry=registry, proof=False)
        predictor = read_service(file)["spec"]["predictor"]
        return predictor.get("canaryTrafficPercent"), predictor["model"]["storageUri"], str(result)

    assert publish() == (None, f"{URI}/m/v1", f"published m v1: {file}")
    evermodel.begin_release("m", "v2", share=0.05, registry=registry)
    percent, uri, told = publish()
    assert (percent, uri) == (5, f"{URI}/m/v2")
    assert told == f"published m v2 for 5 % of the requests: {file} (was v1)"
    evermodel.abort_release("m", registry=registry)
    assert publish()[:2] == (None, f"{URI}/m/v1")
    evermodel.begin_release("m", "v2", share=0.001, registry=registry)
    assert publish()[0] == 1  # KServe knows whole percents
    evermodel.publish("m", to=f"folder:{tmp_path}", registry=registry, proof=False)
    assert (tmp_path / "m" / "current").readlink().name == "v1"  # readers of all requests get the champion


def test_follow_publishes_a_release_and_its_end(registry, tmp_path):
    file = tmp_path / "m.yaml"
    words = ["publish", "m", "--to", f"kserve:{file}@{URI}", "--no-proof", "--follow", "--registry", str(registry)]
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from evermodel.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_for(lambda: file.exists() and "/m/v1" in file.read_text(), 60)
        evermodel.begin_release("m", "v2", share=0.25, registry=registry)
        wait_for(lambda: "canaryTrafficPercent: 25" in file.read_text() and "/m/v2" in file.read_text(), 60)
        evermodel.abort_release("m", registry=registry)
        wait_for(lambda: "canary" not in file.read_text() and "/m/v1" in file.read_text(), 60)
    finally:
        process.kill()
        _, errors = process.communicate()
    assert b"Traceback" not in errors


def test_a_file_of_somebody_else_stays(registry, tmp_path):
    file = tmp_path / "other.yaml"
    file.write_text("kind: InferenceService\n")
    with pytest.raises(BadSetting, match="not the file of m"):
        evermodel.publish("m", to=f"kserve:{file}@{URI}", registry=registry, proof=False)
    assert file.read_text() == "kind: InferenceService\n"


@pytest.mark.parametrize("place", ["m.yaml", "m.yaml@models", "@pvc://models", 'm.yaml@pvc://a"b', "m.yaml@pvc://a b"])
def test_a_place_without_a_uri_is_refused(registry, place):
    with pytest.raises(BadSetting, match="kserve:FILE@URI"):
        evermodel.publish("m", to=f"kserve:{place}", registry=registry)


@pytest.mark.parametrize(("name", "expected"), [("Churn_Model", "churn-model"), ("7days", "m-7days"), ("m", "m")])
def test_names_become_names_of_kubernetes(two_versions, tmp_path, name, expected):
    import dataclasses

    from evermodel.core.publication import PUBLISHERS

    one, _ = publications(two_versions, tmp_path / "files")
    file = tmp_path / "to" / "m.yaml"
    PUBLISHERS.load("kserve")(dataclasses.replace(one, name=name), f"{file}@{URI}")
    service = read_service(file)
    assert service["metadata"]["name"] == expected
    assert service["metadata"]["annotations"] == {"evermodel/model": name, "evermodel/version": "v1"}
    assert json.loads(json.dumps(service))["spec"]["predictor"]["model"]["runtimeVersion"] == "26.06-py3"

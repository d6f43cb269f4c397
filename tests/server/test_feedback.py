"""Labels over HTTP, and HTTPS: the ways into a server that answers beyond its machine."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

import httpx
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import BadSetting
from tests.cli.ground import ask
from tests.server.conftest import records
from tests.updating.conftest import rows


@pytest.fixture
def answered(client):
    """Ten predictions, and the labels of their rows."""
    identity = client.post("/invocations", json={"dataframe_records": records(10)}).json()["prediction_id"]
    labels = rows(10, 5)["y"].to_list()
    return [{"prediction_id": f"{identity}-{row}", "y": y} for row, y in enumerate(labels)]


def test_labels_join_the_predictions_that_were_answered(client, registry, answered):
    strange = {"prediction_id": "nobody's", "y": 1}
    done = client.post("/models/m/feedback", json={"dataframe_records": [*answered, strange]})
    assert (done.status_code, done.json()) == (200, {"labels": 11, "joined": 10, "unmatched": 1, "unusable": 0})
    again = client.post("/models/m/feedback", content=_csv(answered), headers={"Content-Type": "text/csv"})
    assert again.json()["joined"] == 10
    assert evermodel.label("m", pl.DataFrame(answered[:1]), registry=registry).labelled_rows == 10


def _csv(labels: list[dict]) -> str:
    return "prediction_id,y\n" + "".join(f"{row['prediction_id']},{row['y']}\n" for row in labels)


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        ({"json": {"dataframe_records": [{"prediction_id": "x"}]}}, 422, "no column 'y'"),
        ({"json": {"dataframe_records": [{"y": 1}]}}, 400, "cannot be joined"),
        ({"json": {"dataframe_records": []}}, 400, "rows"),
        ({"json": [1, 2]}, 400, "JSON object"),
        ({"json": {"dataframe_records": [{"prediction_id": {"a": [1]}, "y": [[2]]}]}}, 400, ""),
        ({"content": b"\xff\xfe", "headers": {"Content-Type": "text/csv"}}, 400, ""),
        ({"content": b"x", "headers": {"Content-Type": "text/html"}}, 415, "text/html"),
        ({"content": b"x" * (33 << 20)}, 413, "bytes"),
    ],
)
def test_labels_that_cannot_be_taken_are_refused_in_words(client, answered, sent, status, says):
    answer = client.post("/models/m/feedback", **sent)
    assert (answer.status_code, says in answer.json()["message"]) == (status, True), answer.text
    assert len(answer.json()["message"].split()) > 3


def test_labels_of_a_model_that_is_not_served(client):
    assert client.post("/models/zz/feedback", json={"dataframe_records": [{"y": 1}]}).status_code == 404
    assert client.get("/models/m/feedback").status_code == 405
    assert "/models/m/feedback" in client.get("/openapi.json").json()["paths"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    """A certificate for localhost that is signed by its own key, and the key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder, key = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*form))
    return folder / "cert.pem", folder / "key.pem"


def test_with_a_certificate_the_server_speaks_https_alone(registry, certificate):
    cert, key = certificate
    with evermodel.serve("m", port=0, tls_certificate=cert, tls_key=key, registry=registry) as server:
        assert server.url.startswith("https://")
        url = f"https://localhost:{server.port}"
        with httpx.Client(base_url=url, verify=ssl.create_default_context(cafile=cert), trust_env=False) as client:
            answer = client.post("/invocations", json={"dataframe_records": records(3)})
            assert len(answer.json()["predictions"]) == 3
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://localhost:{server.port}/ping", trust_env=False)


def test_a_certificate_without_its_key_is_refused(registry, certificate, tmp_path):
    cert, _ = certificate
    (tmp_path / "other.pem").write_text("no key")
    for given in ({"tls_certificate": cert}, {"tls_certificate": cert, "tls_key": tmp_path / "other.pem"}):
        with pytest.raises(BadSetting, match="TLS"):
            evermodel.serve("m", port=0, registry=registry, **given)
    answer = ask(["serve", "m", "--port", "0", "--tls-certificate", str(cert), "--tls-key", "nowhere.pem"], registry)
    assert answer.code == 2
    assert "TLS cannot be set up" in answer.err
    assert "'nowhere.pem'" in answer.err

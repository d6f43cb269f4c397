"""Signed versions: only what a trusted key signed is loaded, where signatures are demanded."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import evermodel
from evermodel.core.errors import NotSigned
from evermodel.registry.lookup import open_store
from evermodel.registry.upkeep.version_signature import SIGN_KEY, SIGNATURE_NAME, VERIFY_KEY
from tests.cli.ground import ask, make_ground
from tests.updating.conftest import rows

pytest.importorskip("cryptography")


def make_key(folder: Path, name: str) -> tuple[str, str]:
    """A private and a public Ed25519 key, as files in PEM."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private, public = folder / name, folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    return str(private), str(public)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder, name) for name in ("ours", "theirs")}


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    return make_ground(tmp_path_factory.mktemp("ground"))  # its model "m" is not signed


@pytest.fixture(scope="module")
def signed(ground, keys, tmp_path_factory):
    """A registry whose model "m" has a signed v1 and v2."""
    registry = tmp_path_factory.mktemp("signed") / "registry"
    typed = ["adopt", str(ground.model), "--data", str(ground.reference), "--target", "y", "--time", "when"]
    assert ask([*typed, "--name", "m", "--sign", keys["ours"][0]], registry).code == 0
    new = ground.csv(rows(1500, 3, angle=0.8))
    assert ask(["update", "m", new, "--with", "refit", "--sign", keys["ours"][0]], registry).code == 0
    return registry


@pytest.fixture
def registry(signed, tmp_path):
    return Path(shutil.copytree(signed, tmp_path / "registry"))


def predict(registry: Path, ground) -> tuple[int, str]:
    data = ground.csv(rows(20, 9).drop("y"), "some.csv")
    answer = ask(["predict", "m", data, "--to", str(registry.parent / "p.csv")], registry)
    assert "Traceback" not in answer.err
    return answer.code, answer.err


def test_what_our_key_signed_is_loaded(registry, ground, keys, monkeypatch):
    assert predict(registry, ground)[0] == 0, "nobody demands a signature"
    monkeypatch.setenv(VERIFY_KEY, keys["ours"][1])
    assert predict(registry, ground)[0] == 0
    monkeypatch.setenv(VERIFY_KEY, f"{keys['theirs'][1]}:{keys['ours'][1]}")
    assert predict(registry, ground)[0] == 0, "one of several keys"
    assert evermodel.doctor(registry=registry).healthy


def test_another_key_is_refused(registry, ground, keys, monkeypatch):
    monkeypatch.setenv(VERIFY_KEY, keys["theirs"][1])
    code, err = predict(registry, ground)
    assert code == 2 and "not signed by a key" in err
    assert "not signed by a key" in str(evermodel.doctor(registry=registry))


def test_an_unsigned_version_is_refused(ground, keys, monkeypatch):
    monkeypatch.setenv(VERIFY_KEY, keys["ours"][1])
    code, err = predict(ground.registry, ground)
    assert code == 2 and "m v1 is not signed" in err
    with pytest.raises(NotSigned):
        evermodel.open(ground.registry)["m"].champion.load()


def replace_file(registry: Path, path: str, data: bytes) -> None:
    """What somebody who can write to the registry would do: the file, its hash on the card, the copies."""
    import hashlib
    import json
    import sqlite3

    (registry / "versions" / "m" / "v2" / path).write_bytes(data)
    db = sqlite3.connect(registry / "evermodel.db")
    card = json.loads(db.execute("SELECT card FROM versions WHERE number = 2").fetchone()[0])
    card["files"][path] = hashlib.sha256(data).hexdigest()
    db.execute("UPDATE versions SET card = ? WHERE number = 2", (json.dumps(card),))
    db.commit()
    db.close()


def test_a_file_that_was_changed_with_its_hash_is_refused(registry, ground, keys, monkeypatch):
    at = registry / "versions" / "m" / "v2" / "model" / "model.txt"
    replace_file(registry, "model/model.txt", re.sub(rb"(leaf_value=-?0\.\d)\d", rb"\g<1>7", at.read_bytes()))
    assert predict(registry, ground)[0] == 0, "the hashes agree; nothing but the signature can tell"
    monkeypatch.setenv(VERIFY_KEY, keys["ours"][1])
    code, err = predict(registry, ground)
    assert code == 2 and "not signed by a key" in err


def test_another_versions_signature_is_refused(registry, ground, keys, monkeypatch):
    replace_file(registry, SIGNATURE_NAME, (registry / "versions/m/v1" / SIGNATURE_NAME).read_bytes())
    monkeypatch.setenv(VERIFY_KEY, keys["ours"][1])
    assert predict(registry, ground)[0] == 2


@pytest.mark.parametrize("text", [b"", b"{}", b'{"signature": 5}', b'{"signature": "%%"}', b"[" * 50_000, b"\xff\xfe"])
def test_a_signature_that_is_none_is_refused(registry, ground, keys, monkeypatch, text):
    replace_file(registry, SIGNATURE_NAME, text)
    monkeypatch.setenv(VERIFY_KEY, keys["ours"][1])
    code, err = predict(registry, ground)
    assert code == 2 and "signature" in err


def test_a_file_that_the_card_does_not_name_is_refused(registry, ground, keys, monkeypatch):
    (registry / "versions/m/v2/model/more.json").write_text("{}")
    monkeypatch.setenv(VERIFY_KEY, keys["ours"][1])
    code, err = predict(registry, ground)
    assert code == 2 and "more.json" in err


def test_where_signatures_are_demanded_nothing_unsigned_is_stored(registry, ground, keys, monkeypatch):
    monkeypatch.setenv(VERIFY_KEY, keys["ours"][1])
    new = ground.csv(rows(900, 4, angle=0.8))
    answer = ask(["update", "m", new, "--with", "refit"], registry)
    assert answer.code == 2 and "--sign KEY" in answer.err
    assert len(open_store(registry).list_cards("m")) == 2
    monkeypatch.setenv(SIGN_KEY, keys["ours"][0])
    assert ask(["update", "m", new, "--with", "refit"], registry).code in (0, 10, 11)


def test_a_model_that_waits_for_rows_is_signed_too(ground, keys, monkeypatch, tmp_path):
    registry = tmp_path / "registry"
    assert ask(["adopt", str(ground.model), "--target", "y", "--name", "w"], registry).code == 0
    monkeypatch.setenv(VERIFY_KEY, keys["ours"][1])
    monkeypatch.setenv(SIGN_KEY, keys["ours"][0])
    answer = ask(["update", "w", ground.csv(rows(900, 4))], registry)
    assert answer.code == 2 and "w v1 is not signed" in answer.err


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no private key"),
        (b"noise" * 100, "no private key"),
        (None, "cannot be read"),
        ("theirs.pub", "no private key"),
        ("rsa", "must be an Ed25519 key"),
    ],
)
def test_a_key_that_is_none_is_said_before_anything_is_stored(ground, keys, tmp_path, data, says):
    at = tmp_path / "key"
    if data == "rsa":
        subprocess.run(["openssl", "genrsa", "-out", at, "2048"], check=True, capture_output=True)
    elif isinstance(data, str):
        shutil.copy(keys["theirs"][1], at)
    elif data is not None:
        at.write_bytes(data)
    typed = ["adopt", str(ground.model), "--data", str(ground.reference), "--target", "y", "--sign", str(at)]
    answer = ask(typed, tmp_path / "registry")
    assert answer.code == 2 and says in answer.err and "Traceback" not in answer.err
    assert not (tmp_path / "registry" / "versions").exists()

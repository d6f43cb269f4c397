"""Signed versions: who stores a version signs its files with an Ed25519 key; who loads it may demand a known key.

Hashes find damage. A signature finds somebody who can write to the registry and may not put a model into service.
``EVERMODEL_SIGN_KEY`` (or ``--sign``) names the private key, ``EVERMODEL_VERIFY_KEY`` the public keys that are trusted.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from evermodel.core.errors import BadSetting, MissingExtra, NotFound, NotSigned
from evermodel.core.files import digest_file
from evermodel.core.records.version_card import VersionCard

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGN_KEY, VERIFY_KEY = "EVERMODEL_SIGN_KEY", "EVERMODEL_VERIFY_KEY"
SIGNATURE_NAME = "signature.json"  # in a version's folder
SIGNING_KEY: ContextVar[str | None] = ContextVar("signing key", default=None)  # of --sign
MAKE = "openssl genpkey -algorithm ed25519 -out KEY; openssl pkey -in KEY -pubout -out KEY.pub"
MOST = 100_000  # bytes of a key or a signature


def sign_if_asked(staged: Path, card: VersionCard) -> None:
    """Writes the signature of the files in ``staged`` beside them, where a key is set.

    Raises BadSetting where signatures are demanded here and there is no key to sign with: such a version could not be
    loaded.
    """
    check_signing_key()
    named = SIGNING_KEY.get() or os.environ.get(SIGN_KEY)
    if named:
        key = _read_private_key(Path(named).expanduser())
        files = {p.relative_to(staged).as_posix(): digest_file(p) for p in staged.rglob("*") if p.is_file()}
        signature = base64.b64encode(key.sign(_statement(card, files))).decode()
        (staged / SIGNATURE_NAME).write_text(json.dumps({"algorithm": "ed25519", "signature": signature}))


def check_signing_key() -> None:
    """Before anything is trained: the key to sign with can be used, or none is needed.

    Raises BadSetting, NotFound, MissingExtra.
    """
    named = SIGNING_KEY.get() or os.environ.get(SIGN_KEY)
    if named:
        _read_private_key(Path(named).expanduser())
    elif os.environ.get(VERIFY_KEY):
        raise BadSetting(
            f"{VERIFY_KEY} demands signed versions, and there is no key to sign this one with.",
            f"Give --sign KEY, or set {SIGN_KEY}.",
        )


def verify_version(at: Path, card: VersionCard) -> None:
    """Checks that one of the trusted keys signed exactly the files in ``at``, whose hashes were checked before.

    Raises NotSigned where it is not so; BadSetting, NotFound where the trusted keys cannot be read.
    """
    trusted = os.environ.get(VERIFY_KEY, "")
    if not trusted:
        return
    keys = [_read_public_key(Path(part).expanduser()) for part in trusted.split(os.pathsep) if part]
    what = f"{card.name} {card.version}"
    hint = "Store it again with --sign KEY, or serve a version that is signed: evermodel rollback"
    if SIGNATURE_NAME not in card.files:
        raise NotSigned(f"{what} is not signed, and {VERIFY_KEY} demands it.", hint)
    there = {p.relative_to(at).as_posix() for p in at.rglob("*") if p.is_file()}
    if there != set(card.files):
        raise NotSigned(f"{what} has files that its card does not name: {sorted(there ^ set(card.files))[0]!r}.", hint)
    signature = _read_signature(at / SIGNATURE_NAME, what)
    statement = _statement(card, {path: digest for path, digest in card.files.items() if path != SIGNATURE_NAME})
    if not any(_is_signed(key, signature, statement) for key in keys):
        raise NotSigned(f"{what} is not signed by a key that {VERIFY_KEY} names.", hint)


def _statement(card: VersionCard, files: Mapping[str, str]) -> bytes:
    """What is signed: the model's name, its framework, and the path and SHA-256 of every file."""
    told = {"name": card.name, "framework": card.framework, "files": dict(files)}
    return b"evermodel version 1\n" + json.dumps(told, sort_keys=True).encode()


def _is_signed(key: Ed25519PublicKey, signature: bytes, statement: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, statement)
    except InvalidSignature:
        return False
    return True


def _read_signature(at: Path, what: str) -> bytes:
    try:
        told = json.loads(at.read_bytes()[:MOST])
        return base64.b64decode(told["signature"], validate=True)
    except (OSError, ValueError, KeyError, TypeError, binascii.Error, RecursionError):
        message = f"The signature of {what} cannot be read."
        raise NotSigned(message, "Store the version again with --sign KEY.") from None


def _read_private_key(at: Path) -> Ed25519PrivateKey:
    data = _read_key(at)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    load = serialization.load_ssh_private_key if b"OPENSSH" in data[:40] else serialization.load_pem_private_key
    try:
        key = load(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadSetting(f"{at} is no private key that can be used ({type(error).__name__}).", MAKE) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadSetting(f"{at} must be an Ed25519 key. Got {type(key).__name__}.", MAKE)
    return key


def _read_public_key(at: Path) -> Ed25519PublicKey:
    data = _read_key(at)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    load = serialization.load_ssh_public_key if data.startswith(b"ssh-") else serialization.load_pem_public_key
    try:
        key = load(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadSetting(f"{at} is no public key that can be used ({type(error).__name__}).", MAKE) from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadSetting(f"{at} must be an Ed25519 key. Got {type(key).__name__}.", MAKE)
    return key


def _read_key(at: Path) -> bytes:
    try:
        import cryptography  # noqa: F401 - for the message only

        with at.open("rb") as file:
            return file.read(MOST)
    except ModuleNotFoundError:
        raise MissingExtra.for_package("cryptography", "sign", "A signed version") from None
    except OSError as error:
        raise NotFound(f"The key {str(at)!r} cannot be read ({error.strerror}).", MAKE) from None

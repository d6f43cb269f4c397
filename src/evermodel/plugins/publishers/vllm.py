"""vLLM's adapters: a pretrained network that is served once, and the adapter of each version as a folder beside it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from evermodel.core.errors import BadModel, BadSetting, NotDelivered
from evermodel.core.model.capabilities import AdapterExport
from evermodel.core.publication import Publication
from evermodel.plugins.publishers._current_link import point_to, read_current, write_whole
from evermodel.plugins.publishers._numbered_folders import write_or_refuse
from evermodel.plugins.publishers._vllm_server import AdapterServer

__all__ = ["find_published", "vllm"]
PLACE = re.compile(r"(?P<folder>[^@]+?)(?:@(?P<url>https?://[^@]+))?")


def find_published(name: str, to: str, /) -> str:
    """The version whose adapter the server has under this name; without a server, the one ``current`` leads to."""
    folder, server = _read_place(to)
    if server is None:
        return read_current(folder / name)
    loaded = server.find_adapter(name)
    return "" if loaded is None else Path(loaded).name


def vllm(publication: Publication, to: str, /) -> str:
    """``DIR/NAME/VERSION`` with the adapter as PEFT and vLLM read it, and ``DIR/NAME/base-…``, the network it is for.

    ``vllm:DIR`` moves ``DIR/NAME/current`` to the version. ``vllm:DIR@URL`` tells the vLLM at URL first, by ``POST
    URL/v1/load_lora_adapter``, to answer under the model's name with this adapter; the server must see DIR at the same
    path. A version without an adapter gets one that changes nothing, so that a rollback is published like any other.

    Example:
        $ vllm serve /srv/adapters/intents/base-1f3c5a7e9b2d --enable-lora    # as the answer of publish names it
        $ evermodel publish intents --to vllm:/srv/adapters@http://localhost:8000
    """
    folder, server = _read_place(to)
    framework, place = publication.model.framework, (folder / publication.name).absolute()
    if not isinstance(framework, AdapterExport):
        raise BadModel(
            f"{publication.name} is a model of {publication.framework}, and vLLM takes adapters of language models.",
            "Publish it with folder: or mlflow:.",
        )
    version = place / publication.version
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not version.exists():
            _write_version(publication, framework, version)
        if server is not None and server.find_adapter(publication.name) != str(version):
            server.load_adapter(publication.name, str(version))
        if read_current(place) != publication.version:
            point_to(version)
    except OSError as error:
        raise NotDelivered(f"{place} cannot be written to: {error.strerror}.", "Is it a folder of yours?") from error
    return str(version)


def _write_version(publication: Publication, framework: AdapterExport, version: Path) -> None:
    """The network first, named by its bytes, so that versions share it; then the adapter, which names the network."""
    obj, place = publication.model.obj, version.parent
    refusal = f"{publication.name} {publication.version} cannot be written for vLLM"
    staged = place / f".base-of-{version.name}"
    if not staged.exists():  # left by a failure it is whole, and of this version
        write_whole(staged, lambda at: write_or_refuse(lambda: framework.write_base(obj, at), refusal))
    base = place / f"base-{_digest(staged)}"
    if not base.exists():
        staged.rename(base)
    else:
        for file in staged.iterdir():
            file.unlink()
        staged.rmdir()
    write_whole(
        version, lambda at: write_or_refuse(lambda: framework.write_adapter(obj, at, f"../{base.name}"), refusal)
    )


def _digest(folder: Path) -> str:
    """Of all files of a folder, by name and contents."""
    found = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        with file.open("rb") as opened:
            found.update(f"{file.name}:{hashlib.file_digest(opened, 'sha256').hexdigest()}\n".encode())
    return found.hexdigest()[:12]


def _read_place(to: str) -> tuple[Path, AdapterServer | None]:
    match = PLACE.fullmatch(to)
    if match is None or to.startswith(("http://", "https://")):
        raise BadSetting(
            f"`to` must be vllm:DIR or vllm:DIR@URL: the server reads the adapter from the folder. Got {to!r}.",
            "For example vllm:/srv/adapters@http://localhost:8000.",
        )
    return Path(match["folder"]), None if match["url"] is None else AdapterServer(match["url"].rstrip("/"))

"""A GGUF file, as llama.cpp and the programs around it read it; the adapter is added to the weights."""

from __future__ import annotations

import tempfile
from pathlib import Path

from evermodel.core.errors import BadModel, NotDelivered
from evermodel.core.files import sync_file, sync_folder
from evermodel.core.model.capabilities import GgufExport
from evermodel.core.publication import Publication
from evermodel.plugins.publishers._numbered_folders import write_or_refuse

__all__ = ["find_published", "gguf"]
OWNER = "evermodel."  # of the entry that names the version
HEAD = 65_536  # bytes in which that entry stands: it is written first


def find_published(name: str, to: str, /) -> str:
    """The version that the file names; "" where it is another model's, or none of ours."""
    try:
        with Path(to).open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return ""
    found = head.partition(f"{OWNER}version=".encode())[2].partition(b";")
    owner = head.partition(f"{OWNER}model=".encode())[2].partition(b";")
    return found[0].decode(errors="replace") if owner[0] == name.encode() else ""


def gguf(publication: Publication, to: str, /) -> str:
    """FILE, with matrices of 16 bits and vectors of 32; it is read back, and must answer as the version does.

    Llamas (SmolLM2 among them) whose tokenizer splits bytes as GPT-2 or SmolLM does; others are refused.

    Example:
        $ evermodel publish intents --to gguf:/srv/intents.gguf
    """
    framework, file = publication.model.framework, Path(to)
    if not isinstance(framework, GgufExport):
        raise BadModel(
            f"{publication.name} is a model of {publication.framework}, and GGUF files hold language models.",
            "Publish it with folder: or mlflow:.",
        )
    if find_published(publication.name, to) == publication.version:
        return str(file)
    note = f"{OWNER}model={publication.name};{OWNER}version={publication.version};"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".publishing-", dir=file.parent) as folder:
            staged = Path(folder) / "model.gguf"
            refusal = f"{publication.name} {publication.version} cannot be written as GGUF"
            write_or_refuse(lambda: framework.write_gguf(publication.model.obj, staged, note), refusal)
            sync_file(staged)
            staged.replace(file)
            sync_folder(file.parent)
    except OSError as error:
        raise NotDelivered(f"{file} cannot be written: {error.strerror}.", "Is its folder one of yours?") from error
    return str(file)

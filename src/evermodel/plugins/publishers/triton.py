"""Triton's model repository: numbered folders beside one ``config.pbtxt``; it serves the highest number."""

from __future__ import annotations

import json
from pathlib import Path

from evermodel.core.errors import BadModel, NotDelivered
from evermodel.core.files import write_text
from evermodel.core.model.capabilities import TritonExport
from evermodel.core.model.triton_model import TritonModel
from evermodel.core.publication import Publication
from evermodel.plugins.publishers._numbered_folders import (
    add_note,
    add_numbered,
    list_numbers,
    read_newest,
    write_or_refuse,
)

__all__ = ["find_published", "read_backend", "triton"]
NOTE, CONFIG = "evermodel.json", "config.pbtxt"


def find_published(name: str, to: str, /) -> str:
    """The version in the folder with the highest number, which is the one that is served."""
    return read_newest(Path(to) / name, NOTE)


def triton(publication: Publication, to: str, /) -> str:
    """``TO/NAME/NUMBER`` with the model's file, one number above the highest, and ``TO/NAME/config.pbtxt``.

    LightGBM and XGBoost run in its backend of trees, PyTorch as TorchScript, Keras as a SavedModel; other models are
    refused. The model takes what it took before: rows that are encoded and scaled. Its transform is beside it.

    Example:
        $ evermodel publish churn --to triton:/srv/triton
    """
    model = publication.export_model()
    framework = model.framework
    if not isinstance(framework, TritonExport):
        raise BadModel(
            f"Triton has no backend for {publication.name}, a model of {publication.framework}.",
            "It runs LightGBM, XGBoost, PyTorch and Keras. Publish it with folder: or mlflow:.",
        )
    place = Path(to) / publication.name
    if find_published(publication.name, to) == publication.version:
        return str(place / str(list_numbers(place)[-1]))

    def write(version: Path) -> None:
        version.mkdir()
        described: list[TritonModel] = []
        refusal = f"{publication.name} cannot be written for Triton"
        write_or_refuse(lambda: described.append(framework.write_triton(model.obj, version)), refusal)
        add_note(version / NOTE, publication)
        config = described[0].write_config(publication.name)
        (version / CONFIG).write_text(config)
        _put_config(config, place)

    try:
        place.mkdir(parents=True, exist_ok=True)
        return str(add_numbered(place, write))
    except OSError as error:
        raise NotDelivered(f"{place} cannot be written to: {error.strerror}.", "Is it a folder of yours?") from error


def read_backend(place: Path) -> str:
    """The backend that ``config.pbtxt`` names, as it was written by us."""
    return str(json.loads((place / CONFIG).read_text().partition("\nbackend: ")[2].partition("\n")[0]))


def _put_config(text: str, place: Path) -> None:
    """The one configuration of all versions; one that is there stays, with what was added to it by hand.

    Raises BadModel where it describes other tensors. What each version needs is kept in its own folder.
    """
    numbers, config = list_numbers(place), place / CONFIG
    before = place / str(numbers[-1]) / CONFIG if numbers else config
    if not numbers or not config.exists():
        write_text(config, text)
    elif not before.exists() or before.read_text() != text:
        raise BadModel(
            f"{config} describes another model than this version is, and Triton reads one for all versions.",
            "Publish it to another folder, or remove that of the older versions first.",
        )

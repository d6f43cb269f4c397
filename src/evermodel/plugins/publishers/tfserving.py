"""TensorFlow Serving: numbered folders of SavedModels, of which it serves the one with the highest number."""

from __future__ import annotations

from pathlib import Path

from evermodel.core.errors import BadModel, NotDelivered
from evermodel.core.model.capabilities import SavedModelExport
from evermodel.core.publication import Publication
from evermodel.plugins.publishers._numbered_folders import (
    add_note,
    add_numbered,
    list_numbers,
    read_newest,
    write_or_refuse,
)

__all__ = ["find_published", "tfserving"]
NOTE = "assets.extra/evermodel.json"  # TensorFlow keeps this folder for whoever made the model


def find_published(name: str, to: str, /) -> str:
    """The version in the folder with the highest number, which is the one that is served."""
    return read_newest(Path(to) / name, NOTE)


def tfserving(publication: Publication, to: str, /) -> str:
    """``TO/NAME/NUMBER`` with a SavedModel, one number above the highest: a rollback gets a new number as well.

    The network takes what it took before: rows that are encoded and scaled. ``assets.extra`` holds the version's name
    and its transform.

    Example:
        $ evermodel publish churn --to tfserving:/srv/tensorflow
    """
    model = publication.export_model()
    framework = model.framework
    if not isinstance(framework, SavedModelExport):
        raise BadModel(
            f"TensorFlow Serving reads SavedModels, and {publication.name} is a model of {publication.framework}.",
            "Publish it with folder: or mlflow:.",
        )
    place = Path(to) / publication.name
    if find_published(publication.name, to) == publication.version:
        return str(place / str(list_numbers(place)[-1]))

    def write(version: Path) -> None:
        refusal = f"{publication.name} cannot be written as a SavedModel"
        write_or_refuse(lambda: framework.write_saved_model(model.obj, version), refusal)
        add_note(version / NOTE, publication)

    try:
        place.mkdir(parents=True, exist_ok=True)
        return str(add_numbered(place, write))
    except OSError as error:
        raise NotDelivered(f"{place} cannot be written to: {error.strerror}.", "Is it a folder of yours?") from error

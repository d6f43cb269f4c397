"""KServe: an ``InferenceService`` that Triton serves, its model beside the file; a running release is its canary."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path

from evermodel.core.errors import BadSetting, NotDelivered
from evermodel.core.files import sync_folder, write_text
from evermodel.core.publication import Publication
from evermodel.plugins.publishers.triton import read_backend, triton

__all__ = ["SPLITS_REQUESTS", "find_published", "kserve"]
SPLITS_REQUESTS = True
HEAD = "# Written by `evermodel publish`, and written anew each time: changes of your own belong in an overlay.\n"
PLACE = re.compile(r"(?P<file>[^@]+)@(?P<uri>[a-z][a-z0-9+.-]*://[^\s\"']+)")
NOTES = re.compile(r'^ +evermodel/(model|version): "(.+)"$', re.MULTILINE)
# Images of Triton: the last one with the backend, or one that reads what our frameworks write.
IMAGES, IMAGE = {"tensorflow": "25.02-py3"}, "26.06-py3"


def find_published(name: str, to: str, /) -> str:
    """The version that the file names; "" where it names another model."""
    file, _ = _read_place(to)
    notes = _read_notes(file)
    return notes.get("version", "") if notes.get("model") == name else ""


def kserve(publication: Publication, to: str, /) -> str:
    """``FILE@URI``: the ``InferenceService`` as FILE, and the model in Triton's form in ``NAME/VERSION`` beside it.

    URI is where the cluster finds the folder of FILE, such as ``pvc://CLAIM/PATH`` for a volume that is mounted there.
    ``kubectl apply -f FILE`` puts it in service. While a release runs, KServe gives its version the release's share,
    in whole percents, and the rest to the version before.

    Example:
        $ evermodel publish churn --to kserve:/mnt/models/churn.yaml@pvc://models
    """
    file, uri = _read_place(to)
    notes = _read_notes(file)
    if notes.get("model") != publication.name and file.exists():
        raise BadSetting(
            f"{file} is not the file of {publication.name}: it was written otherwise, or for another model.",
            "Name another file.",
        )
    folder = file.parent / publication.name / publication.version
    try:
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            _write_repository(publication, folder)
        backend = read_backend(folder / publication.name)
        service = _describe(publication, f"{uri.rstrip('/')}/{publication.name}/{publication.version}", backend)
        if not file.exists() or file.read_text() != service:
            write_text(file, service)
    except OSError as error:
        raise NotDelivered(f"{file} cannot be written: {error.strerror}.", "Is its folder one of yours?") from error
    return str(file)


def _read_place(to: str) -> tuple[Path, str]:
    match = PLACE.fullmatch(to)
    if match is None:
        raise BadSetting(
            f"`to` must be kserve:FILE@URI, with the URI at which the cluster finds the folder of FILE. Got {to!r}.",
            "For example kserve:/mnt/models/churn.yaml@pvc://models, where the claim `models` is mounted.",
        )
    return Path(match["file"]), match["uri"]


def _read_notes(file: Path) -> dict[str, str]:
    try:
        return dict(NOTES.findall(file.read_text()))
    except (OSError, ValueError):
        return {}


def _write_repository(publication: Publication, folder: Path) -> None:
    """A repository of Triton's with this one version, whole or not at all."""
    staged = Path(tempfile.mkdtemp(prefix=".publishing-", dir=folder.parent))
    try:
        (staged / "repository").mkdir()  # the folder of mkdtemp is closed to others
        triton(publication, str(staged / "repository"))
        (staged / "repository").rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _describe(publication: Publication, uri: str, backend: str) -> str:
    """The manifest. KServe gives the rest of the requests to what it served before."""
    name = re.sub(r"[^a-z0-9]+", "-", publication.name.lower()).strip("-")
    name = name if name[:1].isalpha() else f"m-{name}"
    lines = ["apiVersion: serving.kserve.io/v1beta1", "kind: InferenceService", "metadata:", f"  name: {name[:63]}"]
    notes = {"model": publication.name, "version": publication.version}
    lines += ["  annotations:", *(f"    evermodel/{key}: {json.dumps(text)}" for key, text in notes.items())]
    lines += ["spec:", "  predictor:"]
    if publication.share is not None:
        lines.append(f"    canaryTrafficPercent: {max(1, round(100 * publication.share))}")
    lines += [
        "    model:",
        "      modelFormat:",
        "        name: triton",
        '        version: "2"',
        f'      runtimeVersion: "{IMAGES.get(backend, IMAGE)}"',
        "      protocolVersion: v2",
        f"      storageUri: {json.dumps(uri)}",
    ]
    return HEAD + "\n".join([*lines, ""])

"""Opens a stranger's ``.h5`` or ``.keras`` and checks the container before anything in it is used.

HDF5 can point at other files, be a picture of data that is not there, or contain itself; zip can do the same. Here:
hard links only, plain numbers only, sizes that the file on disk can hold, the members Keras writes and no others.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from evermodel.core.errors import BadModel, NotFound, Unsafe
from evermodel.plugins.frameworks._file_contents import HDF5, ZIP, first_bytes

HEAD = 4_096  # bytes of an HDF5 file in which the attributes of its root are named
ATTRIBUTES = (b"model_config", b"keras_version")
_MEMBERS = {"config.json": 1 << 28, "metadata.json": 1 << 20, "model.weights.h5": 1 << 40}  # name -> most bytes
_ASSETS = "assets/"
_VOCABULARY = re.compile(rf"{_ASSETS}(layers/[a-z0-9_]+/)+(_lookup_layer/)?vocabulary\.txt")
_WORDS = 1 << 26  # most bytes of one vocabulary
_EXPANSION = 100  # most times a compressed part may grow; Keras itself writes uncompressed
_FREE = 1 << 20  # bytes that may be declared without being there
_FILTERS = {1, 2, 3, 4, 6, 32000}  # deflate, shuffle, fletcher32, szip, scaleoffset, lzf: shipped with HDF5 and h5py
_DEEPEST = 64
# What h5py raises on bytes that are not what they should be, and what damaged contents make of code that reads them.
_DAMAGE = (OSError, KeyError, RuntimeError, AttributeError, TypeError, ValueError, OverflowError, MemoryError)
_AGAIN = "Copy the file again from where it was saved; it may have been cut off."


@dataclass(frozen=True)
class Contents:
    """What a checked file holds. The HDF5 groups live as long as the file is open."""

    model: Any  # configuration, not yet checked
    training: dict[str, Any] | None  # arguments of compile, not yet checked
    version: str  # of the Keras that wrote it
    groups: Any = None  # .h5: weights by layer
    optimizer: Any = None  # .h5: slots by name
    tree: bytes | None = None  # .keras: the checked model.weights.h5
    vocabularies: Mapping[str, str] = field(default_factory=dict)  # .keras: folder of a layer -> its words, one a line


@contextmanager
def open_archive(path: Path) -> Iterator[Contents]:
    """The checked contents of a model file. Raises NotFound, BadModel (broken, or no model) or Unsafe (an attack)."""
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", "Check the path.")
    start = first_bytes(path, 8)
    if start == HDF5:
        with _hdf5(path, path.name) as file:
            yield _from_h5(file, path)
    elif start.startswith(ZIP):
        yield _from_zip(path)
    elif start.startswith(b"\x80"):
        raise BadModel(f"{path.name} is a Python pickle, not a Keras file.", "Save it with model.save('model.keras').")
    else:
        raise BadModel(f"{path.name} is neither HDF5 nor a .keras archive.", _AGAIN)


@contextmanager
def _hdf5(source: Path | BinaryIO, name: str) -> Iterator[Any]:
    import h5py

    try:
        file = h5py.File(source, "r")
    except (OSError, RuntimeError, ValueError, OverflowError) as error:
        raise BadModel(f"{name} cannot be read as HDF5: {error}", _AGAIN) from None
    with file:
        try:
            _check_group(file, "", set(), 0)
            yield file
        except _DAMAGE as error:
            raise BadModel(f"{name} is damaged: {error}", _AGAIN) from None


def _check_group(group: Any, at: str, visited: set[int], depth: int) -> None:
    """Walks every link; the HDF5 library follows none of them on its own here."""
    import h5py

    if depth > _DEEPEST:
        raise Unsafe(f"The file's groups are nested more than {_DEEPEST} deep at {at}.", _AGAIN)
    for name in group:
        here = f"{at}/{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise Unsafe(f"The file holds a link that leads elsewhere at {here}.", "Do not use this file.")
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in visited:
            raise Unsafe(f"The file contains itself at {here}.", "Do not use this file.")
        visited.add(address)
        if isinstance(item, h5py.Group):
            _check_group(item, here, visited, depth + 1)
        elif isinstance(item, h5py.Dataset):
            _check_dataset(item, here)
        else:
            raise Unsafe(f"The file holds something that is no array at {here}.", "Do not use this file.")


def _check_dataset(data: Any, at: str) -> None:
    if data.is_virtual or data.external:
        raise Unsafe(f"The array at {at} takes its numbers from another file.", "Do not use this file.")
    if data.dtype.kind not in "fiub" and str(data.dtype) != "bfloat16":
        raise Unsafe(f"The array at {at} holds {data.dtype}, not numbers.", "Do not use this file.")
    plan = data.id.get_create_plist()
    for i in range(plan.get_nfilters()):
        if plan.get_filter(i)[0] not in _FILTERS:
            raise Unsafe(f"The array at {at} needs a foreign HDF5 filter.", "Save it without compression.")
    if data.shape is None:
        raise BadModel(f"The array at {at} has no shape.", _AGAIN)
    declared = data.dtype.itemsize
    for side in data.shape:
        declared *= int(side)
    stored = data.id.get_storage_size()
    if declared > _FREE + _EXPANSION * stored:
        raise Unsafe(f"The array at {at} claims {declared} bytes and holds {stored}.", "Do not use this file.")


def _from_h5(file: Any, path: Path) -> Contents:
    raw = _text(file.attrs.get("model_config"))
    if raw is None:
        raise BadModel(
            f"{path.name} holds no model structure (model_config); it may be weights only.",
            "Save the whole model: model.save('model.keras').",
        )
    if "model_weights" not in file:
        raise BadModel(f"{path.name} holds a structure but no weights.", _AGAIN)
    training = _text(file.attrs.get("training_config"))
    slots = file.get("evermodel_optimizer", file.get("optimizer_weights"))
    return Contents(
        model=_json(raw, path.name),
        training=None if training is None else _json(training, path.name),
        version=_text(file.attrs.get("keras_version")) or "1",
        groups=file["model_weights"],
        optimizer=slots,
    )


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return None if value is None else str(value)


def _json(raw: str, name: str) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise BadModel(f"The configuration in {name} is not JSON.", _AGAIN) from None


def _from_zip(path: Path) -> Contents:
    try:
        with zipfile.ZipFile(path) as archive:
            members = _checked_members(archive)
            config = _json(_member(archive, members, "config.json").decode("utf-8", errors="replace"), path.name)
            about: Any = {}
            if "metadata.json" in members:
                about = _json(_member(archive, members, "metadata.json").decode("utf-8", errors="replace"), path.name)
            tree = _member(archive, members, "model.weights.h5")
            words = {
                name.removeprefix(_ASSETS).rpartition("/")[0]: _member(archive, members, name).decode("utf-8")
                for name in members
                if _VOCABULARY.fullmatch(name)
            }
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise BadModel(f"{path.name} is not a whole .keras archive: {error}.", _AGAIN) from None
    with _hdf5(BytesIO(tree), path.name):
        pass
    training = config.get("compile_config") if isinstance(config, dict) else None
    version = str(about.get("keras_version", "3")) if isinstance(about, dict) else "3"
    return Contents(model=config, training=training, version=version, tree=tree, vocabularies=words)


def _checked_members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename
        if name.startswith(("/", "\\")) or ".." in Path(name).parts or (info.external_attr >> 28) == 0xA:
            raise Unsafe(f"The archive's member {name!r} leads out of the archive.", "Do not use this file.")
        if name == "assets/" or name in members:
            raise Unsafe(f"The archive holds the member {name!r} twice or as a folder.", "Do not use this file.")
        most = _WORDS if _VOCABULARY.fullmatch(name) else _MEMBERS.get(name)
        if most is None:
            raise Unsafe(
                f"The archive holds the unexpected member {name!r}.",
                "Only config.json, metadata.json, model.weights.h5 and vocabularies are read.",
            )
        if info.file_size > most or info.file_size > _FREE + _EXPANSION * info.compress_size:
            raise Unsafe(f"The member {name!r} unpacks to {info.file_size} bytes.", "Do not use this file.")
        members[name] = info
    return members


def _member(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str) -> bytes:
    if name not in members:
        raise BadModel(f"The archive lacks {name}.", _AGAIN)
    with archive.open(members[name]) as file:
        data = file.read(members[name].file_size + 1)  # one byte more than promised tells a liar
    if len(data) > members[name].file_size:
        raise Unsafe(f"The member {name!r} is larger than it says.", "Do not use this file.")
    return data

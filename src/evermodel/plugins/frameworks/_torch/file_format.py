"""Which of PyTorch's file formats a file has, and whether its pickle names code; nothing in the file is executed."""

from __future__ import annotations

import pickletools
import zipfile
from enum import Enum
from pathlib import Path

from evermodel.plugins.frameworks._file_contents import ZIP, first_bytes, zip_names
from evermodel.plugins.frameworks._pickles import PROTOCOLS

LARGEST_HEADER = 100 * 2**20  # bytes of a safetensors file's header, as safetensors itself allows
LARGEST_PICKLE = 512 * 2**20  # bytes of the pickle in an archive: it holds names and shapes, not weights
# Modules that a pickle of weights alone refers to: tensors, their storages and dtypes, ordered dictionaries.
MODULES_OF_WEIGHTS = ("torch", "torch._utils", "torch.storage", "torch._tensor", "torch.nn.parameter", "collections")


class FileFormat(Enum):
    """A file format of PyTorch."""

    PROGRAM = "an archive of torch.export"
    SAFETENSORS = "weights as safetensors"
    SCRIPT = "a module as torch.jit.save writes it"
    PICKLE = "weights or a module as torch.save pickles them"


FORMAT_OF_SUFFIX = {
    ".pt2": FileFormat.PROGRAM,
    ".safetensors": FileFormat.SAFETENSORS,
    ".pt": FileFormat.PICKLE,
    ".pth": FileFormat.PICKLE,
}


def file_format(path: Path) -> FileFormat | None:
    """By the contents of the file; None where they do not say."""
    start = first_bytes(path, 16)
    if start.startswith(ZIP):
        names = zip_names(path)
        if any(name.startswith("models/") and name.endswith(".json") for name in names):
            return FileFormat.PROGRAM
        if "constants.pkl" in names and any(name.startswith("code/") for name in names):
            return FileFormat.SCRIPT
        return FileFormat.PICKLE if "data.pkl" in names else None
    if len(start) > 9 and start[8:10] == b'{"' and int.from_bytes(start[:8], "little") <= LARGEST_HEADER:
        return FileFormat.SAFETENSORS
    return None


def names_foreign_code(path: Path) -> bool:
    """Whether unpickling the file would import anything but what weights alone are made of."""
    try:
        return any(module not in MODULES_OF_WEIGHTS for module in _modules(_pickle_of(path)))
    except (ValueError, OSError, KeyError, zipfile.BadZipFile, NotImplementedError, IndexError):
        return False  # torn: loading it, with weights alone allowed, says so


def _pickle_of(path: Path) -> bytes:
    if not first_bytes(path, 4).startswith(ZIP):
        with path.open("rb") as file:
            return file.read(LARGEST_PICKLE) if first_bytes(path, 2) in PROTOCOLS else b""
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.split("/")[-1] == "data.pkl")
        return archive.read(name) if archive.getinfo(name).file_size <= LARGEST_PICKLE else b""


def _modules(pickled: bytes) -> set[str]:
    """The modules that the pickle's instructions import from, in one pickle or several one after another."""
    found: set[str] = set()
    texts: list[str] = []  # the strings so far: the last two before STACK_GLOBAL are module and name
    for instruction, argument, _ in pickletools.genops(pickled):
        if instruction.name == "GLOBAL" or instruction.name == "INST":
            found.add(str(argument).split(" ")[0])
        elif instruction.name == "STACK_GLOBAL":
            found.add(texts[-2])
        elif isinstance(argument, str):
            texts.append(argument)
    return found

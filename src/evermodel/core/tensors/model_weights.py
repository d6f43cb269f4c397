"""All weights of a model folder: one safetensors file, or several with an index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evermodel.core.errors import BadModel
from evermodel.core.files import read_limited
from evermodel.core.tensors.tensor_file import StoredTensor, TensorFile, read_tensor_file

LARGEST_INDEX = 100_000_000  # bytes
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


@dataclass(frozen=True)
class ModelWeights:
    """The tensors of a model by name, and the files in which they stand, in the order of the files."""

    tensors: Mapping[str, StoredTensor]
    files: tuple[TensorFile, ...]
    index: Path | None = None  # of several files

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that belongs to the weights, the index too."""
        return (*(file.path for file in self.files), *([self.index] if self.index else []))


def has_weights(folder: Path) -> bool:
    """Whether the folder holds safetensors weights under their usual names."""
    return (folder / SINGLE).is_file() or (folder / INDEX).is_file()


def read_model_weights(source: Path) -> ModelWeights:
    """The weights of a folder, or of a single file; headers alone are read.

    Raises BadModel for files that are missing, cut, or disagree with their index.
    """
    if source.is_file():
        return _join((read_tensor_file(source),), None)
    if (source / SINGLE).is_file():
        return _join((read_tensor_file(source / SINGLE),), None)
    index = source / INDEX
    if not index.is_file():
        raise BadModel(f"There is no {SINGLE} in {source.name}, and no index of several files.")
    placed = _read_index(index)
    names = sorted(set(placed.values()))
    missing = [name for name in names if not (source / name).is_file()]
    if missing:
        raise BadModel(
            f"{index.name} names {len(names)} files, and {len(missing)} of them are missing: {', '.join(missing[:3])}.",
            "Copy the missing files too.",
        )
    weights = _join(tuple(read_tensor_file(source / name) for name in names), index)
    wrong = [n for n, file in placed.items() if n not in weights.tensors or weights.tensors[n].file.name != file]
    if wrong or len(placed) != len(weights.tensors):
        named = wrong[0] if wrong else next(n for n in weights.tensors if n not in placed)
        raise BadModel(f"{index.name} and the files do not agree on where {named!r} stands.", "Copy the folder again.")
    return weights


def _read_index(index: Path) -> dict[str, str]:
    try:
        placed = json.loads(read_limited(index, LARGEST_INDEX))["weight_map"]
        found = {str(name): str(file) for name, file in placed.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadModel(f"{index.name} cannot be read: it is no index of safetensors files.") from None
    outside = [f for f in found.values() if Path(f).name != f or not f.endswith(".safetensors")]
    if outside:
        raise BadModel(f"{index.name} names {outside[0][:80]!r}, which is no safetensors file beside it.")
    return found


def _join(files: tuple[TensorFile, ...], index: Path | None) -> ModelWeights:
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        for name, tensor in file.tensors.items():
            if name in tensors:
                raise BadModel(f"{name!r} stands in two files: {tensors[name].file.name} and {file.path.name}.")
            tensors[name] = tensor
    return ModelWeights(tensors, files, index)

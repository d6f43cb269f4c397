"""Merge the weights of model folders into a new folder."""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core.arrays import Array
from evermodel.core.errors import BadSetting
from evermodel.core.settings import read_settings
from evermodel.core.tensors.model_weights import read_model_weights
from evermodel.core.tensors.tensor_file import StoredTensor
from evermodel.registry.results import Result
from evermodel.searching.merge.compatible_models import MergeSource, check_compatible, check_integers, read_source
from evermodel.searching.merge.float_parts import OpenFiles, TensorParts
from evermodel.searching.merge.merge_methods import METHODS, NEEDS_BASE
from evermodel.searching.merge.merged_folder import check_output, copy_other_files, stage_folder, write_file

RECORD = "merge.json"


@dataclass(frozen=True)
class MergeFilesResult(Result):
    """What was merged, and where it is."""

    to: str
    method: str
    models: tuple[str, ...]
    weights: tuple[float, ...]
    base: str | None
    tensors: int
    parameters: int
    bytes: int
    seconds: float

    def lines(self) -> list[str]:
        of = ", ".join(f"{weight:g} x {model}" for weight, model in zip(self.weights, self.models, strict=True))
        return [
            f"merged {len(self.models)} models by {self.method} into {self.to}",
            f"  models   {of}" + ("" if self.base is None else f"; base {self.base}"),
            f"  written  {self.tensors:,} tensors, {self.parameters / 1e6:,.1f} million parameters, "
            f"{self.bytes / 1e6:,.1f} MB, in {self.seconds:.1f} s",
            f"  next     evermodel adopt {self.to} --data ROWS --target COLUMN",
        ]


def merge_files(
    models: Sequence[str | Path],
    *,
    to: str | Path,
    method: str = "linear",
    weights: Sequence[float] | None = None,
    base: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> MergeFilesResult:
    """Merge the weights of model folders, or of single safetensors files, into a new folder.

    The models are read a part at a time and summed in float32, so that memory stays below 256 MB at any size; what
    comes out has the types, the files and the configuration of the first model. Whether they fit together is checked
    before the first byte is written, and the folder is there whole or not at all. The result is judged when it is
    adopted, or by an update.

    Args:
        models: at least two folders with ``model.safetensors``, or with several files and their index.
        to: the folder to write, which must not be there yet.
        method: "linear" (a mean), "slerp" (two models along an arc), or, of what each learnt since ``base``,
            "task_arithmetic" (a sum), "ties" (the largest changes that agree in sign) or "dare" (random ones).
        weights: one number for each model; by default 1 each.
        base: the model that all of them were trained from, for ties, dare and task_arithmetic.
        settings: ``density`` of ties and dare, ``scale`` of these and task_arithmetic.
        seed: what dare draws.

    Raises:
        BadModel: a file is damaged, or the models differ in architecture, shapes, labels, tokenizer or chat template.
        BadSetting: an unknown method or setting, or a target that is there already.
        OutOfSpace: the disk has no room for the result.

    Example:
        $ evermodel fuse --files ./one ./other --with linear --to ./merged
    """
    began = time.monotonic()
    if method not in METHODS:
        raise BadSetting(f"Files are merged by {', '.join(METHODS)}. Got {method!r}.")
    told = read_settings(METHODS[method], settings or {})
    shares = _read_weights(method, models, weights)
    if (base is not None) is not (method in NEEDS_BASE):
        raise BadSetting(
            f"{method} needs the model that the others were trained from."
            if base is None
            else f"{method} takes no base: it does not ask what the models learnt since.",
            "Name it with --base." if base is None else "Leave --base out.",
        )
    sources = tuple(read_source(Path(model)) for model in models)
    ancestor = None if base is None else read_source(Path(base))
    everything = sources if ancestor is None else (*sources, ancestor)
    for place, source in enumerate(everything):
        check_compatible(source, everything[place + 1 :])
    target = Path(to)
    size = sum(t.stop - t.start for t in sources[0].weights.tensors.values())
    check_output(target, everything, size)
    with OpenFiles() as files:
        check_integers(files, everything)
        with stage_folder(target) as staged:
            _write(sources, ancestor, staged, files, method, shares, told, seed)
    names = tuple(str(model) for model in models)
    tensors = sources[0].weights.tensors.values()
    parameters = sum(tensor.size for tensor in tensors)
    where = None if base is None else str(base)
    seconds = time.monotonic() - began
    return MergeFilesResult(str(to), method, names, tuple(shares), where, len(tensors), parameters, size, seconds)


def _write(
    sources: tuple[MergeSource, ...],
    base: MergeSource | None,
    staged: Path,
    files: OpenFiles,
    method: str,
    weights: Sequence[float],
    settings: Mapping[str, Any],
    seed: int,
) -> None:
    def merge_tensor(tensor: StoredTensor) -> Iterator[Array]:
        same = [source.weights.tensors[tensor.name] for source in sources]
        under = None if base is None else base.weights.tensors[tensor.name]
        key = zlib.crc32(f"{seed} {tensor.name}".encode())
        return METHODS[method](TensorParts(files, same, under), weights, key, **settings)

    first = sources[0]
    if first.folder is not None:
        copy_other_files(first.folder, staged)
    for file in first.weights.files:
        name = file.path.name if first.folder is not None else "model.safetensors"
        write_file(file, staged / name, files, merge_tensor)
    record = {
        "method": method,
        "models": [str(source.path) for source in sources],
        "weights": list(weights),
        "base": None if base is None else str(base.path),
        "settings": dict(settings),
        "seed": seed,
    }
    (staged / RECORD).write_text(json.dumps(record, indent=1))
    read_model_weights(staged)


def _read_weights(method: str, models: Sequence[str | Path], given: Sequence[float] | None) -> list[float]:
    if len(models) < 2 or (method == "slerp" and len(models) != 2):
        count = "two models" if method == "slerp" else "at least two models"
        raise BadSetting(f"{method} merges {count}. Got {len(models)}.")
    weights = [1.0] * len(models) if given is None else [float(weight) for weight in given]
    if len(weights) != len(models):
        raise BadSetting(f"`weights` has {len(weights)} numbers for {len(models)} models.", "Give one for each.")
    if not all(map(math.isfinite, weights)):
        raise BadSetting(f"`weights` must be numbers. Got {weights}.")
    if method in ("linear", "slerp") and (sum(weights) <= 0 or (method == "slerp" and min(weights) < 0)):
        raise BadSetting(f"The weights of {method} must add up to more than 0. Got {weights}.")
    return weights

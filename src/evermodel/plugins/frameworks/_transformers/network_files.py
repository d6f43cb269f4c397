"""The files of a network of transformers: weights as safetensors, the tokenizer's files, links instead of copies."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.errors import BadModel, EvermodelError, MissingExtra
from evermodel.core.tensors.model_weights import SINGLE
from evermodel.plugins.frameworks._transformers.folder_check import CONFIG

logger = logging.getLogger(__name__)
ADAPTER = "adapter"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."  # of the names in an adapter's file, as PEFT writes them


def read_network(path: Path, auto_class: str, **more: Any) -> Any:
    """The network of a folder whose files were checked, by one of transformers' own classes for a kind of head.

    In float32 and evaluation mode. Raises BadModel where weights are missing or no numbers.
    """
    transformers = import_transformers()
    with refuse_broken(str(more.get("gguf_file", path.name))):
        network, found = getattr(transformers, auto_class).from_pretrained(
            path,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            dtype="float32",
            **more,
        )
    missing = sorted(found["missing_keys"])
    if missing:
        raise BadModel(
            f"{path.name} lacks {len(missing)} weights of the network, such as {missing[0]}: they would be random.",
            "Give the folder of a model that was trained with its head, whole.",
        )
    differing = sorted(map(str, found.get("mismatched_keys") or ()))
    if differing:
        raise BadModel(f"The weights in {path.name} have other shapes than {CONFIG} says: {differing[0][:120]}.")
    bad = [name for name, tensor in network.state_dict().items() if not np.isfinite(float(tensor.float().sum()))]
    if bad:
        raise BadModel(f"The weights of {path.name} are not all numbers: {bad[0]} holds NaN or infinity.")
    return network.eval().requires_grad_(False)


@contextmanager
def refuse_broken(what: str) -> Iterator[None]:
    """Raises BadModel in one sentence where transformers cannot read a stranger's file, however its reader fails."""
    try:
        yield
    except (EvermodelError, MemoryError):
        raise
    except Exception as error:  # a changed byte ends in any kind of error
        logger.info("%s could not be read.", what, exc_info=True)
        said = " ".join(str(error).split())[:200]
        raise BadModel(f"{what} cannot be read ({type(error).__name__}: {said}).") from error


def write_weights(network: Any, to: Path) -> None:
    """All weights in one file; of several names for one tensor the first, as transformers writes them."""
    tensors, seen = {}, set()
    for name, tensor in network.state_dict().items():
        if tensor.data_ptr() not in seen or not tensor.numel():
            tensors[name] = tensor.detach().clone().contiguous()
        seen.add(tensor.data_ptr())
    import_safetensors().save_file(tensors, to, metadata={"format": "pt"})


def share_weights(files: tuple[Path, ...], kept: bool, network: Any, to: Path) -> None:
    """The weights of ``network`` in the folder ``to``: links to files of another version that hold them, which nobody
    changes (``kept``), else copies of the user's, else written anew.
    """
    share = _link if kept else _copy
    if not files or not all(share(file, to / file.name) for file in files):
        for left in to.glob("model*.safetensors*"):
            left.unlink()
        write_weights(network, to / SINGLE)


def write_adapter(trained: Mapping[str, Any], to: Path) -> None:
    """The tensors of an adapter, by the names that PEFT gives them."""
    tensors = {f"{PREFIX}{name}": tensor.contiguous() for name, tensor in trained.items()}
    import_safetensors().save_file(tensors, to / ADAPTER_WEIGHTS, metadata={"format": "pt"})


def read_adapter(at: Path) -> dict[str, Any]:
    """The tensors of a version's adapter; none where it has none."""
    weights = at / ADAPTER / ADAPTER_WEIGHTS
    trained = import_safetensors().load_file(weights) if weights.is_file() else {}
    return {name.removeprefix(PREFIX): tensor for name, tensor in trained.items()}


@contextmanager
def write_whole_folder(to: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of ``to`` at the end: that is old or new, never half."""
    staged = to.parent / f".writing-{to.name}-{os.getpid()}"
    staged.mkdir(parents=True)
    try:
        yield staged
        if to.is_dir():
            shutil.rmtree(to)
        staged.replace(to)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def write_tokenizer(files: Mapping[str, bytes], to: Path) -> None:
    for name, content in files.items():
        (to / name).write_bytes(content)


def _link(file: Path, to: Path) -> bool:
    """A second name for the same bytes, or a copy where the disk is another; False where the file is gone."""
    try:
        os.link(file, to)
    except FileNotFoundError:
        return False
    except OSError:  # another disk, or one that knows no links
        return _copy(file, to)
    return True


def _copy(file: Path, to: Path) -> bool:
    try:
        shutil.copyfile(file, to)
    except FileNotFoundError:
        return False
    return True


def import_safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError:
        raise MissingExtra.for_package("safetensors", "transformers", "A model of transformers") from None
    return safetensors.torch


def import_transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise MissingExtra.for_package("transformers", "transformers", "A model of transformers") from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers

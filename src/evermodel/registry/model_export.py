"""Write a version back as a model file of its own framework."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from evermodel.core.errors import BadModel, BadSetting, NotFound
from evermodel.core.files import write_text
from evermodel.core.model.capabilities import Exportable, WeightFiles
from evermodel.core.model.framework import Framework
from evermodel.core.model.model import Model
from evermodel.registry.embedding import embed_preprocessing
from evermodel.registry.file_proof import FileProof, prove_file, read_proof_rows
from evermodel.registry.lookup import card_of, open_store
from evermodel.registry.results import SaveResult
from evermodel.registry.versions import load_version


def save(
    name: str,
    *,
    to: str | Path,
    version: str | None = None,
    proof: bool = True,
    with_preprocessing: bool = False,
    registry: str | Path | None = None,
) -> SaveResult:
    """Write a version (by default the champion) back as a model file of its own framework, and prove the file.

    Its transform is written beside it as JSON. A folder as target gets everything under the usual names. A clean
    process loads the file with its framework alone and answers a few rows: this costs what that import does.

    Args:
        name: the name of the model.
        to: the file to write; its suffix says the format (.h5, .keras, .skops, …); or a folder.
        version: the version to write, for example ``"v2"``.
        proof: load the file in a clean process, without Evermodel, and compare its answers with the version's.
        with_preprocessing: put the transform into the file (.keras, .skops), so that it takes raw columns by name and
            answers as ``predict`` does.
        registry: the location of the registry.

    Raises:
        BadSetting: the framework writes no file with this suffix; the message lists those it writes.
        BadModel: its framework alone does not answer as the version does, or its transform cannot be put into a file;
            nothing is written then.
        NotFound: there is no such model, version or folder.

    Example:
        $ evermodel save churn --to updated_model.h5
    """
    store = open_store(registry)
    card = card_of(store, name, version)
    model = load_version(store, card)
    rows = read_proof_rows(store, card) if proof else None
    if with_preprocessing:
        check_target(Path(to))
        model = embed_preprocessing(model, Path(to), read_proof_rows(store, card))
    files, found = _write_proven(model, Path(to), rows)
    return SaveResult(name, card.version, tuple(str(f) for f in files), found)


def _write_proven(model: Model, target: Path, rows: pl.DataFrame | None) -> tuple[list[Path], FileProof | None]:
    """Writes the model's files; with ``rows`` only once a clean process answered them as the model does."""
    check_target(target, model)
    if rows is None or not _is_one_file(model):
        return write_model(model, target), None
    is_folder = target.is_dir() or not target.suffix
    place = target if is_folder else target.parent
    place.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".evermodel-", dir=place) as staged:
        written = write_model(model, Path(staged) if is_folder else Path(staged) / target.name)
        proof = prove_file(_export(model), written[0], rows)
        return [_put_in_place(file, place / file.name) for file in written], proof


def _put_in_place(staged: Path, to: Path) -> Path:
    """Moves a staged file, or the folder of a model that is a folder, to where an older one may stand."""
    if staged.is_dir() and to.is_dir():
        shutil.rmtree(to)
    return staged.replace(to)


def _is_one_file(model: Model) -> bool:
    try:
        return not isinstance(_export(model).framework, Exportable)
    except BadModel:
        return False


def _export(model: Model) -> Model:
    """A model made of several as one plain model. Raises BadModel where they do not fit together."""
    return model.framework.export_model(model) if isinstance(model.framework, Exportable) else model


def check_target(target: Path, model: Model | None = None) -> None:
    """Raises NotFound or BadSetting where a model could not be written to ``target``; call it before long work."""
    existing = next(p for p in target.absolute().parents if p.exists())
    if not existing.is_dir():
        raise NotFound(f"{existing} is a file, not a folder.", "Name another place to write to.")
    check_format(target, None if model is None else model.framework)


def check_format(target: Path | None, framework: Framework | None) -> None:
    """Raises BadSetting where ``framework`` writes no file with the suffix of ``target``; a folder always works."""
    if target is None or framework is None or target.is_dir() or not target.suffix:
        return
    if isinstance(framework, Exportable):
        return
    formats = framework.suffixes()
    if formats == ("",):
        raise BadSetting(f"This model is written as a folder. Got {target.name!r}.", "Name a folder, without a suffix.")
    if target.suffix not in formats:
        raise BadSetting(f"`to` must end in {' or '.join(formats)}. Got {target.name!r}.")


def weights_suffixes(framework: Framework) -> tuple[str, ...]:
    """Suffixes of files that hold weights alone: the code that builds the network is the user's own."""
    return framework.WEIGHTS if isinstance(framework, WeightFiles) else ()


def write_model(model: Model, target: Path) -> list[Path]:
    """Write the model's file, and beside it NAME.transform.json with contract, transform and output.

    A model made of several is written as one of their framework where they fit together, else only into a folder.
    """
    check_target(target)
    is_folder = target.is_dir() or not target.suffix
    if isinstance(model.framework, Exportable):
        try:
            model = _export(model)
        except BadModel:
            if not is_folder:
                raise
            target.mkdir(parents=True, exist_ok=True)
            model.framework.save(model.obj, target)
            return sorted(p for p in target.rglob("*") if p.is_file())
        if target.suffix in weights_suffixes(model.framework):
            raise BadSetting(
                f"{target.suffix} holds weights alone, and these belong to several networks side by side: no module "
                "of yours has them.",
                f"Save as {model.framework.suffixes()[0]}, or into a folder.",
            )
    if is_folder:
        target.mkdir(parents=True, exist_ok=True)
        target = target / f"model{model.framework.suffixes()[0]}"
    check_target(target, model)
    model.framework.write_file(model.obj, target)
    return [target, _write_transform(model, target.with_suffix(".transform.json"))]


def _write_transform(model: Model, at: Path) -> Path:
    texts = {
        "transform": model.transform.to_json(),
        "output": model.output.to_json(),
        "contract": model.contract.to_json(),
    }
    write_text(at, json.dumps({key: json.loads(text) for key, text in texts.items()}, indent=1))
    return at

"""A model adopted without rows: read safely, checked and kept until its first labelled rows come."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import AskedWrongly, BadModel, BadSetting
from evermodel.core.files import reports_full_registry
from evermodel.core.model.framework import Framework, Signature
from evermodel.core.records.adoption_record import AdoptionRecord
from evermodel.core.records.column_roles import Roles
from evermodel.core.records.event import Adopted, EventKind
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Move, Store
from evermodel.registry.adoption.options import AdoptionOptions, parse_task
from evermodel.registry.adoption.signatures.named_inputs import find_list_layouts
from evermodel.registry.adoption.signatures.signature_file import read_signature_file
from evermodel.registry.lookup import event, now
from evermodel.registry.results import PendingAdoption
from evermodel.registry.upkeep.version_signature import sign_if_asked
from evermodel.registry.versions import package_versions

TRANSFORM = "given.transform.json"  # what the user gave as `transform`, as plain data
SIGNATURE = "signature.toml"  # the user's signature file, kept with a model that waits
PARITY = 1e-5  # largest accepted difference between the file's predictions and the version's


@reports_full_registry
def store_pending_model(
    store: Store, name: str, obj: Any, framework: Framework, options: AdoptionOptions
) -> PendingAdoption:
    """Keeps an opened model, and what was asked of it, until its first labelled rows come.

    Raises AskedWrongly, BadModel.
    """
    if store.resolve_alias(name, "waiting") is not None:
        raise AskedWrongly(
            f"There is a model {name!r} already; it waits for its first rows.",
            f"'evermodel update {name} DATA' completes it, or give this one another name.",
        )
    if options.task != "auto":
        parse_task(options.task)
    needs = framework.read_signature(obj)
    _check_width(needs, options.roles)
    staged = store.staging_folder()
    (staged / "model").mkdir()
    framework.save(obj, staged / "model")
    parity = _measure_parity(framework, obj, framework.load(staged / "model"), needs)
    if options.transform is not None:
        (staged / TRANSFORM).write_text(options.transform.to_json())
    if options.signature is not None:
        find_list_layouts(needs, read_signature_file(options.signature))
        shutil.copyfile(options.signature, staged / SIGNATURE)
    kind = framework.__name__.rsplit(".", 1)[-1]
    card = VersionCard(
        name,
        "",
        strategy="wait",
        framework=kind,
        created=now(),
        packages=package_versions(),
        source=options.source,
        source_digest=options.source_digest,
        shuffled=options.shuffled,
        adoption=AdoptionRecord(request=options.to_request()),
    )
    sign_if_asked(staged, card)
    card = store.add_version(staged, card)
    notes = (
        *options.notes,
        "no training rows were given: the exact scaler and the memory of the past cannot be known",
        f"'evermodel update {name} DATA' completes the adoption: the oldest of its rows stand in for them",
    )
    pending = event(name, EventKind.ADOPTION_PENDING, Adopted(card.version, notes=notes))
    store.commit_moves(name, [Move("waiting", card.version, None)], [pending])
    return PendingAdoption(
        name, card.version, kind, str(options.roles.target), needs.shape, needs.outputs, parity, notes
    )


def _check_width(needs: Signature, roles: Roles) -> None:
    """Raises BadSetting where ``inputs`` names more columns than the model takes numbers: then no encoding fits."""
    width = needs.shape[0] if needs.shape is not None and needs.layout == "matrix" else None
    if width is not None and roles.inputs is not None and len(roles.inputs) > width:
        raise BadSetting(f"`inputs` names {len(roles.inputs)} columns; the model takes {width} numbers.")


def _draw_rows(needs: Signature, shape: tuple[int, ...]) -> Array:
    """64 random rows: whole numbers that every table of codes holds where an input takes such, and numbers as texts."""
    random = np.random.default_rng(0)
    if not needs.inputs:
        return random.normal(size=(64, *shape)).astype(np.float32)
    parts = [
        random.integers(0, tensor.codes or 2, (64, tensor.width))
        if tensor.is_whole
        else random.normal(size=(64, tensor.width))
        for tensor in needs.inputs
    ]
    holds_texts = any(tensor.dtype == "string" for tensor in needs.inputs)
    return np.concatenate(parts, axis=1).astype(object if holds_texts else np.float64)


def _measure_parity(framework: Framework, obj: Any, stored: Any, needs: Signature) -> float:
    """Largest difference between the file's predictions and the stored model's, on random input; NaN if none fits it.

    Raises BadModel where they differ: no row is needed to see that.
    """
    if needs.shape is None or needs.layout == "frame":
        return float("nan")
    x = _draw_rows(needs, needs.shape)
    first, second = framework.predict(obj, x), framework.predict(stored, x)
    difference = float(np.abs(second - first).max())
    if not difference <= PARITY * max(1.0, float(np.abs(first).max())):
        raise BadModel(f"The stored version predicts otherwise than the file: they differ by up to {difference:.2g}.")
    return difference

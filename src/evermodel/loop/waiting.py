"""A model adopted without rows: read safely, checked and kept until its first labelled rows come."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.errors import AskedWrongly, BadModel, BadSetting, NotFound
from evermodel.core.files import disk_space
from evermodel.core.framework import Framework, Needs
from evermodel.core.store import Card, Move, Store
from evermodel.core.table import Roles
from evermodel.loop.asked import Asked, checked_task
from evermodel.loop.home import event, now
from evermodel.loop.results import Waiting
from evermodel.loop.versions import package_versions

PARITY = 1e-5  # largest accepted difference between the file's predictions and the version's


@disk_space(Path("the home"))
def wait(store: Store, called: str, obj: Any, framework: Framework, asked: Asked) -> Waiting:
    """Keeps an opened model, and what was asked, until its first labelled rows come. Raises AskedWrongly, BadModel."""
    if store.at(called, "waiting") is not None:
        raise AskedWrongly(
            f"There is a model {called!r} already; it waits for its first rows.",
            f"'evermodel update {called} DATA' completes it, or give another --name.",
        )
    if asked.task != "auto":
        checked_task(asked.task)
    needs = framework.needs(obj)
    _check_width(needs, asked.roles)
    staged = store.stage()
    (staged / "model").mkdir()
    framework.save(obj, staged / "model")
    parity = _parity(framework, obj, framework.load(staged / "model"), needs)
    if asked.transform is not None:
        if not asked.transform.is_file():
            raise NotFound(f"There is no transform file {str(asked.transform)!r}.", "Give the path of a file.")
        shutil.copyfile(asked.transform, staged / f"given{''.join(asked.transform.suffixes)}")
    facts = {"source": asked.source, "source_digest": asked.source_digest, "asked": asked.facts()}
    kind = framework.__name__.rsplit(".", 1)[-1]
    card = Card(called, "", change="wait", framework=kind, created=now(), packages=package_versions(), facts=facts)
    card = store.put(staged, card)
    notes = (
        "no training rows were given: the exact scaler and the memory of the past cannot be known",
        f"'evermodel update {called} DATA' completes the adoption: the oldest of its rows stand in for them",
    )
    told = {"version": card.version, "notes": notes}
    store.point(called, [Move("waiting", card.version, None)], [event(called, "waits", told)])
    return Waiting(called, card.version, kind, str(asked.roles.target), needs.shape, needs.outputs, parity, notes)


def waits(store: Store, name: str) -> bool:
    """Whether a model of that name was adopted without rows, and has had none since."""
    return store.at(name, "champion") is None and store.at(name, "waiting") is not None


def _check_width(needs: Needs, roles: Roles) -> None:
    """Raises BadSetting where --inputs names more columns than the model takes numbers: then no encoding fits."""
    width = needs.shape[0] if needs.shape is not None and needs.layout == "matrix" else None
    if width is not None and roles.inputs is not None and len(roles.inputs) > width:
        raise BadSetting(f"--inputs names {len(roles.inputs)} columns; the model takes {width} numbers.")


def _parity(framework: Framework, obj: Any, stored: Any, needs: Needs) -> float:
    """Largest difference between the file's predictions and the stored model's, on random input; NaN if none fits it.

    Raises BadModel where they differ: no row is needed to see that.
    """
    if needs.shape is None or needs.layout == "frame":
        return float("nan")
    x = np.random.default_rng(0).normal(size=(64, *needs.shape)).astype(np.float32)
    first, second = framework.predict(obj, x), framework.predict(stored, x)
    difference = float(np.abs(second - first).max())
    if not difference <= PARITY * max(1.0, float(np.abs(first).max())):
        raise BadModel(f"The stored version predicts otherwise than the file: they differ by up to {difference:.2g}.")
    return difference

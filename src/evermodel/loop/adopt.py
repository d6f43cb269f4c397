"""Take in a deployed model: read it safely, find what it expects, prove parity, put version v1 in service."""

from __future__ import annotations

import dataclasses
import time as clock
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.cleaning import Cleaned, clean
from evermodel.core.contract import Contract
from evermodel.core.errors import AskedWrongly, BadModel, ContractBroken
from evermodel.core.files import digest_file, disk_space
from evermodel.core.framework import Framework, Needs
from evermodel.core.learning import learn_contract
from evermodel.core.model import Model
from evermodel.core.profile import profile
from evermodel.core.reading import scan
from evermodel.core.store import Card, Move, Store
from evermodel.core.table import Roles, Table
from evermodel.core.transform import Transform
from evermodel.loop.asked import Asked, checked_task
from evermodel.loop.expectation import Tried, expected_input, refuse_blind
from evermodel.loop.given_transform import read_transform
from evermodel.loop.home import checked_name, event, now, open_home
from evermodel.loop.memory import Memory, past_rows, remember
from evermodel.loop.opening import open_model
from evermodel.loop.results import Adopted, Waiting
from evermodel.loop.scale_and_shift import with_learnt_scaling
from evermodel.loop.scoring import scores_of
from evermodel.loop.versions import framework_name, load_folder, package_versions, put_version
from evermodel.loop.waiting import PARITY, wait


def adopt(
    model: Any,
    *,
    target: str,
    data: Any = None,
    name: str | None = None,
    task: str = "auto",
    time: str | None = None,
    entity: str | None = None,
    weight: str | None = None,
    inputs: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    slices: Sequence[str] = (),
    transform: str | Path | None = None,
    trust: str | Path | None = None,
    factory: str | None = None,
    shuffled: bool = False,
    home: str | Path | None = None,
    stands_in: bool = False,
) -> Adopted | Waiting:
    """Take in a deployed model, with rows like those it was trained on; version v1 is in service afterwards.

    ``model`` is a file or a live object, ``data`` a file, URL or frame of labelled reference rows; without them the
    model waits, and its first update completes the adoption. What it expects of its input is found by its score,
    unless ``transform`` says it. ``shuffled``: the order of rows means nothing. Raises BadModel, Unsafe, BadData;
    then nothing is changed.

        $ evermodel adopt existing_model.h5 --data reference.csv --target subscribed
    """
    began = clock.monotonic()
    called = checked_name(name or _stem(model))
    store = open_home(home)
    if store.at(called, "champion") is not None:
        raise AskedWrongly(f"There is a model {called!r} already.", "Give another --name, or 'evermodel update' it.")
    obj, framework = open_model(model, trust=trust, factory=factory)
    file = Path(model) if isinstance(model, (str, Path)) else None
    asked = Asked(
        Roles(target, time, entity, weight, tuple(slices), tuple(inputs) if inputs else None, tuple(drop)),
        task,
        shuffled,
        Path(transform) if transform is not None else None,
        file.name if file else "",
        digest_file(file) if file else "",
        stands_in,
    )
    if data is None:
        return wait(store, called, obj, framework, asked)
    return take(store, called, obj, framework, data, asked, began)


def take(store: Store, called: str, obj: Any, framework: Framework, data: Any, asked: Asked, began: float) -> Adopted:
    """An opened model becomes version and champion ``called``, with the reference rows ``data``."""
    bare, cleaned = fit_contract(obj, framework, data, asked.roles, asked.task)
    table = cleaned.collect()
    fed, tried = _fed(bare, table, asked.transform)
    saved = 0.0
    if asked.stands_in and asked.transform is None and fed.needs.network:
        fed, saved = with_learnt_scaling(fed, table)
    card = Card(
        called,
        "",
        framework=framework_name(fed),
        created=now(),
        packages=package_versions(),
        data={"reference": str(data) if isinstance(data, (str, Path)) else "live rows"},
        facts={
            "shuffled": asked.shuffled,
            "stands_in": asked.stands_in,
            "source": asked.source,
            "source_digest": asked.source_digest,
            "cleaning": cleaned.as_json(),
            "learnt_scaling": saved,
            "tried": [dataclasses.asdict(t) for t in tried[:8]],
            "profile": profile(table.frame.lazy(), fed.contract),
        },
    )
    return _put(store, fed, table, card, cleaned, tried, began)


def fit_contract(obj: Any, framework: Framework, data: Any, roles: Roles, task: str) -> tuple[Model, Cleaned]:
    """The model with a contract learnt from ``data``, its transform still open, and the rows cleaned to it."""
    needs = framework.needs(obj)
    if needs.names is not None and roles.inputs is None:
        roles = dataclasses.replace(roles, inputs=needs.names)
    frame = scan(data)
    said = checked_task(task) if task != "auto" else needs.task or "auto"
    contract = _with_classes_of(learn_contract(frame, roles, task=said), needs)
    return Model(contract, Transform(()), obj, framework), clean(frame, contract, labelled=True)


def _with_classes_of(contract: Contract, needs: Needs) -> Contract:
    """The model's own labels, where it knows them; or the whole numbers 0 … k-1 where it has k outputs."""
    if contract.task == "regression":
        return contract
    if needs.classes is not None:
        unknown = [c for c in contract.classes if c not in needs.classes]
        if unknown:
            raise ContractBroken(
                f"The model knows the classes {list(needs.classes)[:10]}; the target holds {unknown[:5]} as well.",
                "Check --target; rows of new classes belong into an update.",
            )
        return dataclasses.replace(contract, classes=needs.classes)
    width = max(needs.outputs or 0, 2)
    if needs.outputs is None or len(contract.classes) == width:
        return contract
    numbered = all(isinstance(c, int) and 0 <= c < width for c in contract.classes)
    if len(contract.classes) > width or not numbered:
        raise ContractBroken(
            f"The model gives {width} classes, the target holds {len(contract.classes)}: {list(contract.classes)[:9]}.",
            "Check --target, or adopt with reference rows in which every class occurs.",
        )
    return dataclasses.replace(contract, classes=tuple(range(width)), task="binary" if width == 2 else "multiclass")


def _fed(bare: Model, table: Table, given: Path | None) -> tuple[Model, tuple[Tried, ...]]:
    if given is not None:
        told = dataclasses.replace(bare, transform=read_transform(given, bare))
        fed, tried = expected_input(told, table, only=told.transform)
    else:
        fed, tried = expected_input(bare, table)
    refuse_blind(tried, len(table))
    return fed, tried


@disk_space(Path("the home"))
def _put(
    store: Store, fed: Model, table: Table, card: Card, cleaned: Cleaned, tried: Sequence[Tried], began: float
) -> Adopted:
    past = past_rows(table, seed=0)
    memory = remember(store, Memory(), table, past, "reference")
    scores = scores_of(fed.target(table), fed.predict(table.frame), fed.contract.task)
    card = put_version(store, fed, dataclasses.replace(card, scores={"reference": scores}), table.frame)
    parity = _parity(store, fed, card, table)
    notes = (*cleaned.notes, *_notes(fed, card))
    facts = {"version": card.version, "rows": len(table), "notes": notes}
    moves = [Move("champion", card.version, None), Move("memory", memory.digest, None)]
    store.point(card.name, moves, [event(card.name, "adopted", facts)])
    expects = f"{tried[0].scaling} scaling, {tried[0].encoding} (skill {tried[0].skill:.2f})" if tried else "given"
    if card.facts["learnt_scaling"]:
        expects += "; a scale and a shift a column learnt"
    return Adopted(
        card.name, card.version, card.framework, fed.contract.task, len(table), expects,
        scores, parity, notes, clock.monotonic() - began,
    )  # fmt: skip


def _parity(store: Store, fed: Model, card: Card, table: Table) -> float:
    """Largest difference between the adopted object's predictions and those of the version as stored."""
    sample = table.frame.head(1_000)
    stored = load_folder(store.get(card.name, card.version), card.framework)
    difference = float(np.abs(stored.predict(sample) - fed.predict(sample)).max())
    scale = max(1.0, float(np.abs(fed.predict(sample)).max()))
    if not difference <= PARITY * scale:
        raise BadModel(f"The stored version predicts otherwise than the file: they differ by up to {difference:.2g}.")
    return difference


def _notes(fed: Model, card: Card) -> tuple[str, ...]:
    found = []
    if card.facts["stands_in"]:
        found.append("no training rows were given: the oldest new rows stand in; the exact scaler cannot be known")
    if card.facts["learnt_scaling"]:
        share = f"{100 * card.facts['learnt_scaling']:.0f} %"
        found.append(f"a scale and a shift a column, learnt before the network, saved {share} of the held-out loss")
    if fed.output.kind == "value" and fed.output.scale != 1.0:
        found.append(
            f"the model was trained on a scaled target: {fed.output.scale:.4g} * output + {fed.output.shift[0]:.4g}"
        )
    return tuple(found)


def _stem(model: Any) -> str:
    return Path(model).stem if isinstance(model, (str, Path)) else type(model).__name__.lower()

"""Which classes a model knows and which of its outputs stands for which: stated, in the file, proven, or asked for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.data.contract import Contract
from evermodel.core.data.table import Table
from evermodel.core.data.target_column import class_text, fold_label
from evermodel.core.data.values import FALSE, TRUE
from evermodel.core.errors import Ambiguous, BadSetting, ContractBroken
from evermodel.core.model.framework import Signature
from evermodel.core.model.model import Model
from evermodel.core.records.adoption_record import Basis, Inference, Subject
from evermodel.registry.adoption.readings.class_order import ClassOrder, find_class_order
from evermodel.registry.adoption.readings.reading import Reading

# Pairs of words that everybody writes in this order: the second one is what the single output stands for.
NEGATIVE = (*FALSE, "negative", "neg", "off", "absent", "normal")
POSITIVE = (*TRUE, "positive", "pos", "on", "present", "abnormal")


@dataclass(frozen=True)
class SettledClasses:
    """The contract with the classes that the model knows; ``basis`` is None where their order is still open."""

    contract: Contract
    basis: Basis | None


def settle_classes(contract: Contract, needs: Signature, named: tuple[str, ...]) -> SettledClasses:
    """What the user and the file say about the classes. Raises BadSetting, ContractBroken where they contradict."""
    if contract.task in ("regression", "text"):
        if named:
            kind = "free text" if contract.task == "text" else "a number"
            raise BadSetting(f"`classes` is for a classifier, and the target is {kind}.", "Say `task` multiclass.")
        return SettledClasses(contract, Basis.FILE)
    codes = needs.classes is not None and list(needs.classes) == list(range(len(needs.classes)))
    width = max(len(needs.classes or ()), needs.outputs or 0, 2) if needs.classes or needs.outputs else 0
    if named:
        return SettledClasses(_name_classes(contract, needs, named, width, codes=codes), Basis.GIVEN)
    if needs.classes is not None:
        matched = _match_classes(contract, needs.classes)
        if matched is not None:
            return SettledClasses(matched, Basis.FILE)
        if not codes and needs.network and _numbers_outputs(contract, width):
            return SettledClasses(_number_names(contract, needs.classes), Basis.USUAL)
        if not codes:
            unknown = [c for c in contract.classes if fold_label(c) not in set(map(fold_label, needs.classes))]
            raise ContractBroken(
                f"The model knows the classes {list(needs.classes)[:10]}; the target holds {unknown[:5]} as well.",
                "Check the target; rows of new classes belong into an update.",
            )
    if not width or len(contract.classes) == width:
        return SettledClasses(contract, Basis.USUAL if _is_numbered(contract) else None)
    numbered = _numbers_outputs(contract, width)
    if len(contract.classes) > width or not numbered:
        raise ContractBroken(
            f"The model gives {width} classes, the target holds {len(contract.classes)}: {list(contract.classes)[:9]}.",
            "Check the target, or name all classes in the order of the model's outputs as `classes`.",
        )
    return SettledClasses(_with_classes(contract, tuple(range(width))), Basis.USUAL)


def order_classes(
    model: Model, table: Table, reading: Reading, basis: Basis | None, rows: int
) -> tuple[Model, Table, Inference | None]:
    """The model and its rows with the classes in the order of the model's outputs, and on which ground.

    Raises Ambiguous where the rows do not prove an order of words, or contradict the usual order of numbers.
    """
    contract = model.contract
    if contract.task == "regression":
        return model, table, None
    if basis is Basis.FILE:
        return model, table, Inference(Subject.CLASSES, _spell(contract.classes), basis)
    order = reading.order or find_class_order(reading.answers, reading.y)
    if basis is Basis.GIVEN:
        if order.given_is_refuted:
            raise explain_contradiction(contract, order)
        return model, table, _describe(contract, order, basis, rows, usual=True)
    if basis is Basis.USUAL or _is_usual_pair(contract.classes):
        return _keep_usual(model, table, order, rows)
    if not order.proven:
        raise Ambiguous(
            f"Which output of the model is which class is not known: the rows favour {_spell_order(contract, order)} "
            f"by only {order.lead:.1f} nats over {_spell_runner_up(contract, order)}.",
            "Name the classes in the order of the model's outputs as `classes`, or give the deployed model's answers "
            "for these rows as `predictions`.",
        )
    inference = _describe(contract, order, Basis.PROVEN, rows)
    if order.is_given:
        return model, table, inference
    return *_apply_order(model, table, order), inference


def explain_contradiction(contract: Contract, order: ClassOrder) -> Ambiguous:
    """The error for a model under which the rows are far likelier in another order of the classes."""
    return Ambiguous(
        f"The model contradicts the order {_spell(contract.classes)}: the rows are far likelier "
        f"({order.lead_over_given:.1f} nats) if its outputs are {_spell_order(contract, order)}.",
        "Name the classes in the order of the model's outputs as `classes` if that is so; or check the target.",
    )


def _keep_usual(model: Model, table: Table, order: ClassOrder, rows: int) -> tuple[Model, Table, Inference]:
    contract = model.contract
    if not order.is_given and order.given_is_refuted:
        raise explain_contradiction(contract, order)
    basis = Basis.PROVEN if order.is_given and order.proven else Basis.USUAL
    return model, table, _describe(contract, order, basis, rows, usual=True)


def _describe(contract: Contract, order: ClassOrder, basis: Basis, rows: int, *, usual: bool = False) -> Inference:
    choice = _spell(contract.classes) if usual else _spell_order(contract, order)
    second = _spell_runner_up(contract, order) if order.is_given or not usual else _spell_order(contract, order)
    return Inference(Subject.CLASSES, choice, basis, runner_up=second, lead=order.lead, rows=rows)


def _apply_order(model: Model, table: Table, order: ClassOrder) -> tuple[Model, Table]:
    """Class codes become positions of outputs, in the contract and in the rows."""
    classes: list[Any] = [None] * len(order.columns)
    for code, column in enumerate(order.columns):
        classes[column] = model.contract.classes[code]
    contract = dataclasses.replace(model.contract, classes=tuple(classes))
    target = contract.roles.target or ""
    codes = np.asarray(order.columns)[table.frame[target].to_numpy()]
    frame = table.frame.with_columns(pl.Series(target, codes, dtype=table.frame.schema[target]))
    return dataclasses.replace(model, contract=contract), dataclasses.replace(table, frame=frame)


def _name_classes(contract: Contract, needs: Signature, named: tuple[str, ...], width: int, *, codes: bool) -> Contract:
    folded = [fold_label(n) for n in named]
    if len(set(folded)) < len(folded):
        raise BadSetting(f"`classes` names a class twice. Got {', '.join(named)}.")
    if width and len(named) != width:
        raise BadSetting(f"The model gives {width} classes; `classes` names {len(named)}: {', '.join(named[:9])}.")
    unnamed = [c for c in contract.classes if fold_label(c) not in folded]
    if unnamed:
        raise BadSetting(
            f"The target holds {', '.join(map(class_text, unnamed[:5]))}, which `classes` does not name.",
            "Name every class, in the order of the model's outputs.",
        )
    if needs.classes is not None and not codes and folded != [fold_label(c) for c in needs.classes]:
        raise BadSetting(
            f"The model file says the order {_spell(needs.classes)}; `classes` says {', '.join(named)}.",
            "Leave `classes` out.",
        )
    known = {fold_label(c): c for c in contract.classes}
    numbers = all(type(c) is int for c in contract.classes)
    return _with_classes(
        contract,
        tuple(
            known.get(f, int(n) if numbers and n.lstrip("-").isdigit() else n)
            for f, n in zip(folded, named, strict=True)
        ),
    )


def _match_classes(contract: Contract, own: tuple[Any, ...]) -> Contract | None:
    """The file's own labels, where each of the target's is one of them in some spelling."""
    if all(c in own for c in contract.classes):
        return _with_classes(contract, own)
    folded = [fold_label(c) for c in own]
    if len(set(folded)) == len(folded) and all(fold_label(c) in folded for c in contract.classes):
        return _with_classes(contract, own)
    return None


def _numbers_outputs(contract: Contract, width: int) -> bool:
    """Whether the target holds whole numbers that can be places of the model's outputs."""
    return all(type(c) is int and 0 <= c < width for c in contract.classes)


def _number_names(contract: Contract, own: tuple[Any, ...]) -> Contract:
    """The numbers of the outputs as classes, as data sets hold them whose labels are named elsewhere."""
    shown = ", ".join(f"{place} {name}" for place, name in enumerate(own[:5])) + (", …" if len(own) > 5 else "")
    note = f"the target holds numbers; they stand for the model's labels in its own order: {shown}"
    contract = dataclasses.replace(contract, notes=(*contract.notes, note))
    return _with_classes(contract, tuple(range(len(own))))


def _with_classes(contract: Contract, classes: tuple[Any, ...]) -> Contract:
    return dataclasses.replace(contract, classes=classes, task="binary" if len(classes) == 2 else "multiclass")


def _is_numbered(contract: Contract) -> bool:
    """Whether the classes are numbers or truth values, which have an order of their own."""
    return all(isinstance(c, (bool, int, float)) for c in contract.classes)


def _is_usual_pair(classes: tuple[Any, ...]) -> bool:
    folded = [fold_label(c) for c in classes]
    return len(folded) == 2 and folded[0] in NEGATIVE and folded[1] in POSITIVE


def _spell(classes: tuple[Any, ...]) -> str:
    return ", ".join(map(class_text, classes[:20])) + (", …" if len(classes) > 20 else "")


def _spell_order(contract: Contract, order: ClassOrder) -> str:
    return _spell_columns(contract, order.columns)


def _spell_runner_up(contract: Contract, order: ClassOrder) -> str:
    return _spell_columns(contract, order.runner_up)


def _spell_columns(contract: Contract, columns: tuple[int, ...]) -> str:
    classes: list[Any] = [""] * len(columns)
    for code, column in enumerate(columns):
        classes[column] = contract.classes[code]
    return _spell(tuple(classes))

"""Adopt a deployed model: read it safely, settle what it expects, prove parity, put version v1 in service."""

from __future__ import annotations

import dataclasses
import time as clock
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.contracts.column_profile import profile_columns
from evermodel.core.contracts.inference import learn_contract
from evermodel.core.contracts.total_rows import find_total_row
from evermodel.core.data.cleaning import Cleaned, clean
from evermodel.core.data.scan import scan
from evermodel.core.data.source import find_stated_dialect
from evermodel.core.data.table import Table
from evermodel.core.errors import AskedWrongly, BadData, BadModel, BadSetting
from evermodel.core.files import digest_source, reports_full_registry
from evermodel.core.model.capabilities import LabelNaming
from evermodel.core.model.framework import Framework
from evermodel.core.model.model import Model
from evermodel.core.model.several_outputs import select_head
from evermodel.core.model.transform import Transform
from evermodel.core.records.adoption_record import AdoptionRecord, Basis, Inference, Parity, TriedInput
from evermodel.core.records.column_roles import Roles
from evermodel.core.records.event import Adopted, EventKind
from evermodel.core.records.model_signature import RowFormat
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Move, Store
from evermodel.judging.task_metrics import compute_metrics
from evermodel.registry.adoption.classes import order_classes, settle_classes
from evermodel.registry.adoption.deployed_predictions import (
    DeployedPredictions,
    attach_predictions,
    is_near,
    is_same,
    measure_parity,
    take_predictions,
    uses_estimates,
)
from evermodel.registry.adoption.free_text import (
    choose_scored_rows,
    describe_text_rows,
    learn_writing,
    settle_task,
)
from evermodel.registry.adoption.given_transform import AS_THEY_ARE, TextVectorizer, join_vectorizer, read_transform
from evermodel.registry.adoption.known_columns import (
    check_kinds,
    check_known_values,
    choose_picture_column,
    find_known_columns,
    match_columns,
)
from evermodel.registry.adoption.model_file import open_model
from evermodel.registry.adoption.options import AdoptionOptions, drop_order, parse_target_output, parse_task
from evermodel.registry.adoption.own_labels import compare_labels
from evermodel.registry.adoption.pending_adoption import PARITY, store_pending_model
from evermodel.registry.adoption.readings.column_choices import find_numbering, take_columns
from evermodel.registry.adoption.readings.encoded_names import read_encoded_names
from evermodel.registry.adoption.readings.input_inference import Choice, Stated, infer_reading
from evermodel.registry.adoption.readings.learned_scaling import learn_scaling
from evermodel.registry.adoption.settled_readings import describe_input, describe_target
from evermodel.registry.adoption.signatures.named_inputs import (
    assign_columns,
    find_list_layouts,
    keep_learnt,
    know_columns,
    name_list_columns,
    take_flat_input,
)
from evermodel.registry.adoption.signatures.named_outputs import (
    assign_outputs,
    assign_roles,
    check_others,
    describe_others,
    score_others,
)
from evermodel.registry.adoption.signatures.signature_file import read_signature_file
from evermodel.registry.adoption.stated_scaling import is_scaling, parse_scaling
from evermodel.registry.adoption.trusted_files import Trust, split_trust
from evermodel.registry.adoption.wording import describe_bursts, describe_notes, describe_numbering
from evermodel.registry.lookup import check_name, event, now, open_store
from evermodel.registry.results import AdoptResult, PendingAdoption
from evermodel.registry.row_memory import RowMemory, choose_retention_rows, remember_rows
from evermodel.registry.versions import framework_name, load_folder, package_versions, put_version

PROVEN_ROWS, PROVEN_TEXTS = 1_000, 16  # that the stored version answers as well


@dataclasses.dataclass(frozen=True)
class Understood:
    """A model with everything settled that it expects, its reference rows, and on which grounds."""

    model: Model
    table: Table
    choice: Choice | None  # None of free text, which is read in one way
    inferences: tuple[Inference, ...]
    parity: Parity | None = None


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
    classes: Sequence[str] = (),
    target_transform: str | None = None,
    signature: str | Path | None = None,
    predictions: Any = None,
    transform: Any = None,
    trust: Trust = None,
    factory: str | None = None,
    object_path: str | None = None,
    shuffled: bool = False,
    registry: str | Path | None = None,
    reference_is_stand_in: bool = False,
) -> AdoptResult | PendingAdoption:
    """Adopt a deployed model, with rows like those it was trained on; version v1 is in service afterwards.

    ``model`` is a file or a live object, ``data`` a file, URL or frame of labelled reference rows; without them the
    model waits, and its first update completes the adoption. What the model expects is stated (``transform``,
    ``classes``, ``target_transform``), proven by the deployed model's own answers (``predictions``: a column, a file or
    an array), or shown by the reference rows; where they leave it open, Ambiguous says what to state. ``shuffled``: the
    order of rows means nothing. Raises BadModel, Unsafe, BadData, Ambiguous; then nothing is changed.

        $ evermodel adopt existing_model.h5 --data reference.csv --target subscribed
    """
    began = clock.monotonic()
    model_name = check_name(name or _name_after(model))
    store = open_store(registry)
    if store.resolve_alias(model_name, "champion") is not None:
        raise AskedWrongly(
            f"There is a model {model_name!r} already.", "Give this one another name, or update the one there is."
        )
    unscaled = isinstance(transform, str) and transform == AS_THEY_ARE
    trusted, trust = split_trust(trust, transform)
    scaling = transform if is_scaling(transform) and not unscaled else ""
    given = None if transform is None or unscaled or scaling else read_transform(transform, trust=trusted)
    if scaling:
        parse_scaling(scaling)
    opened = open_model(model, trust=trust, factory=factory, object_path=object_path)
    if isinstance(given, TextVectorizer):
        opened = join_vectorizer(given, opened)
        given = None
    file = Path(model) if isinstance(model, (str, Path)) else None
    parse_target_output(target_transform or "")
    options = AdoptionOptions(
        Roles(target, time, entity, weight, tuple(slices), tuple(inputs) if inputs else None, tuple(drop)),
        task,
        shuffled,
        given,
        unscaled,
        tuple(str(c) for c in classes),
        target_transform or "",
        Path(signature) if signature is not None else None,
        predictions,
        file.name if file else "",
        digest_source(file) if file else "",
        reference_is_stand_in,
        opened.notes,
        scaling,
        find_stated_dialect(data),
    )
    if data is None:
        if predictions is not None:
            raise BadSetting("`predictions` are answers for reference rows, and there are none.", "Give `data` too.")
        return store_pending_model(store, model_name, opened.obj, opened.framework, options)
    return adopt_with_rows(store, model_name, opened.obj, opened.framework, data, options, began)


def adopt_with_rows(
    store: Store, name: str, obj: Any, framework: Framework, data: Any, options: AdoptionOptions, began: float
) -> AdoptResult:
    """An opened model becomes version and champion of ``name``, with the reference rows ``data``."""
    options, unordered = drop_order(options, data)
    bare, cleaned, carried, basis = fit_contract(obj, framework, data, options)
    reference = cleaned.collect()
    by_place = options.transform is None or not options.transform.is_flat
    unknown = check_known_values(bare.contract, bare.signature, reference.frame) if by_place else ()
    bursts = describe_bursts(reference) if unordered else ()
    cleaned = dataclasses.replace(cleaned, notes=(*options.notes, *cleaned.notes, *unknown, *bursts))
    understood = understand_model(bare, reference, options, carried, basis)
    fed, table, saved = understood.model, understood.table, 0.0
    taken = describe_numbering(find_numbering(fed.contract, table.frame))
    cleaned = dataclasses.replace(cleaned, notes=(*cleaned.notes, *taken, *compare_labels(fed, table)))
    if fed.contract.outputs:
        check_others(fed, table)
        others = describe_others(score_others(fed, table), "the reference rows")
        cleaned = dataclasses.replace(cleaned, notes=(*cleaned.notes, *others))
    stated = options.unscaled or bool(options.scaling) or options.transform is not None
    if options.reference_is_stand_in and not stated and fed.signature.network:
        fed, saved = learn_scaling(fed, table)
    readings = () if understood.choice is None else understood.choice.readings
    card = VersionCard(
        name,
        "",
        framework=framework_name(fed),
        created=now(),
        packages=package_versions(),
        data={"reference": str(data) if isinstance(data, (str, Path)) else "live rows"},
        source=options.source,
        source_digest=options.source_digest,
        shuffled=options.shuffled,
        reference_is_stand_in=options.reference_is_stand_in,
        adoption=AdoptionRecord(
            cleaning=cleaned.summary(),
            tried=tuple(TriedInput(r.model.transform.scaling, r.encoding, r.skill) for r in readings[:8]),
            inferences=understood.inferences,
            parity=understood.parity,
            learned_scaling=saved,
        ),
        profile=profile_columns(table.frame.lazy(), fed.contract),
    )
    return _put_in_service(store, fed, table, card, cleaned, began)


def fit_contract(
    obj: Any, framework: Framework, data: Any, options: AdoptionOptions
) -> tuple[Model, Cleaned, tuple[str, ...], Basis | None]:
    """The model with a contract learned from ``data``, its transform still open, and the rows cleaned to it.

    Also the columns in which the deployed model's answers travel with the rows, and on which basis the order of the
    classes stands; None where it is open.
    """
    needs, roles = framework.read_signature(obj), options.roles
    roles, given = take_flat_input(needs, roles, read_signature_file(options.signature))
    lists = find_list_layouts(needs, given)
    frame, carried = scan(data, RowFormat(lists)), tuple[str, ...]()
    roles = name_list_columns(roles, frame)
    outputs = assign_outputs(needs, roles, frame, given)
    if outputs:
        needs, roles = select_head(needs, outputs), assign_roles(roles, outputs)
    prepared, encoded = options.transform, None
    if prepared is not None and prepared.is_flat:
        prepared = prepared.name_columns(roles.inputs or roles.input_columns(frame.collect_schema().names()))
        roles = dataclasses.replace(roles, inputs=roles.inputs or prepared.columns)
    else:
        prepared = None
    if needs.names is not None and roles.inputs is None:
        encoded = read_encoded_names(needs.names, frame, roles)
        roles = dataclasses.replace(roles, inputs=needs.names if encoded is None else encoded.columns)
    roles = choose_picture_column(frame, roles, needs)
    frame = match_columns(frame, roles)
    if options.predictions is not None:
        frame, carried, sources = attach_predictions(frame, options.predictions)
        roles = dataclasses.replace(roles, drop=tuple(dict.fromkeys((*roles.drop, *sources, *carried))))
    task = settle_task(
        framework, needs, "auto" if options.task == "auto" else parse_task(options.task), frame, roles.target
    )
    inputs = assign_columns(needs, roles, frame, given)
    if prepared is not None:  # what the model knows of its columns is of those that the transform makes
        known = prepared.find_known_columns()
    elif encoded is None:
        known = find_known_columns(frame, roles, needs) | know_columns(inputs, frame)
    else:
        known = dict(encoded.known)
    if len(inputs) > 1 or given.inputs:
        roles = dataclasses.replace(roles, inputs=tuple(column for part in inputs for column in part.columns))
    contract = learn_contract(frame, roles, task=task, known=known)
    inputs = keep_learnt(inputs, contract)
    if encoded is None and prepared is None:
        check_kinds(contract, needs)
    total = find_total_row(contract, frame)
    if total is not None:
        raise BadData(
            f"Reference row {total.row:,} is a row of totals, no observation: {total.column!r} holds {total.value!r}.",
            "Remove it.",
        )
    contract = dataclasses.replace(contract, outputs=outputs, row_format=RowFormat(lists, options.dialect))
    own_roles = dataclasses.replace(contract.roles, drop=tuple(d for d in contract.roles.drop if d not in carried))
    settled = settle_classes(dataclasses.replace(contract, roles=own_roles), needs, options.classes)
    cleaned, basis = clean(frame, settled.contract, labelled=True, keep=carried), settled.basis
    if isinstance(framework, LabelNaming) and needs.classes is None and settled.contract.classes:
        obj, basis = framework.name_labels(obj, settled.contract.classes), Basis.FILE
    features = () if encoded is None else encoded.features
    return Model(settled.contract, Transform(features, inputs=inputs), obj, framework), cleaned, carried, basis


def understand_model(
    bare: Model,
    table: Table,
    options: AdoptionOptions,
    carried: tuple[str, ...] = (),
    basis: Basis | None = Basis.USUAL,
) -> Understood:
    """Everything that the model expects, each on its ground. Raises Ambiguous, BadModel, ContractBroken."""
    table, deployed = take_predictions(table, carried, bare.contract)
    if bare.contract.task == "text" and (options.predictions is not None or options.transform is not None):
        raise BadSetting("`predictions` and `transform` say nothing of a model of free text.", "Leave them out.")
    if options.target_transform and bare.contract.task != "regression":
        raise BadSetting("`target_transform` is for a regression, and the target holds classes.", "Leave it out.")
    if bare.contract.task == "text":
        written, grounds = learn_writing(bare, table)
        return Understood(written, table, None, grounds)
    stated = Stated(
        None if options.transform is None else options.transform.complete(bare.contract.names, bare.signature),
        options.unscaled,
        parse_scaling(options.scaling, bare.contract.names) if options.scaling else None,
        parse_target_output(options.target_transform),
        classes=basis is not None,
        deployed=deployed,
        stand_in=options.reference_is_stand_in,
    )
    choice = infer_reading(bare, table, stated)
    table = take_columns(table, bare.contract, choice.best.model.contract)
    fed, ordered, classes = order_classes(choice.best.model, table, choice.best, basis, choice.rows)
    parity = None if deployed is None else _prove_parity(choice, table, deployed)
    inferences = [describe_input(choice, stated, parity=parity)]
    if fed.contract.task == "regression":
        inferences.append(describe_target(choice, stated, parity=parity))
    elif classes is not None:
        inferences.append(classes)
    return Understood(fed, ordered, choice, tuple(inferences), parity)


def _prove_parity(choice: Choice, table: Table, deployed: DeployedPredictions) -> Parity:
    """How near the answers for all reference rows are to the deployed model's. Raises BadModel if they are others."""
    best = choice.best
    answers = best.model.predict(table.frame)
    if best.order is not None:
        answers = answers[:, list(best.order.columns)]
    parity, estimated = measure_parity(answers, deployed, best.order), uses_estimates(best.model, table.frame)
    if is_same(parity, deployed) or is_near(parity, deployed, estimated=estimated):
        return dataclasses.replace(parity, same=is_same(parity, deployed), estimated=estimated)
    differ = (
        f"{parity.different_labels:,} of {parity.rows:,} labels differ"
        if deployed.labels is not None
        else f"they differ by {parity.mean:.3g} in the mean and by up to {parity.largest:.3g}"
    )
    raise BadModel(
        "No reading of the model gives the answers of the deployed one: under the nearest, "
        f"{best.description}, {differ}.",
        "State what you know of it: its scaler as `transform`, its columns in order as `inputs`, the order of its "
        "outputs as `classes`, `target_transform`; or check that `predictions` belong to these rows. If the service "
        "loads the file with another version of its framework, save it again with that version and adopt the new file.",
    )


@reports_full_registry
def _put_in_service(
    store: Store, fed: Model, table: Table, card: VersionCard, cleaned: Cleaned, began: float
) -> AdoptResult:
    past = choose_retention_rows(table, seed=0)
    memory = remember_rows(store, RowMemory(), table, past, "reference")
    scored = choose_scored_rows(fed, table)
    answers = fed.answer_rows(scored)
    scores = compute_metrics(fed.target(scored), answers, fed.contract.task)
    record = dataclasses.replace(card.adoption or AdoptionRecord(), scores=scores)
    card = put_version(store, fed, dataclasses.replace(card, adoption=record), table.frame)
    stored = _compare_with_stored(store, answers, card, scored)
    notes = (*cleaned.notes, *describe_notes(fed, card), *describe_text_rows(fed, table, len(scored)))
    adopted = event(card.name, EventKind.ADOPTED, Adopted(card.version, len(table), notes))
    moves = [Move("champion", card.version, None), Move("memory", memory.digest, None)]
    store.commit_moves(card.name, moves, [adopted])
    return AdoptResult(
        card.name,
        card.version,
        card.framework,
        fed.contract.task,
        len(table),
        record.inferences,
        scores,
        stored,
        tuple(feature.column for feature in fed.transform.features),
        record.parity,
        record.learned_scaling,
        notes,
        clock.monotonic() - began,
    )


def _compare_with_stored(store: Store, answers: Array, card: VersionCard, table: Table) -> float:
    """Largest difference between the adopted object's answers to the rows and those of the version as stored."""
    stored = load_folder(store.version_folder(card.name, card.version), card.framework)
    most = PROVEN_TEXTS if stored.contract.task == "text" else PROVEN_ROWS
    sample = stored.answer_rows(table.rows(np.arange(min(most, len(table)))))
    difference = float(np.abs(sample - answers[: len(sample)]).max())
    scale = max(1.0, float(np.abs(answers[: len(sample)]).max()))
    if not difference <= PARITY * scale:
        raise BadModel(f"The stored version predicts otherwise than the file: they differ by up to {difference:.2g}.")
    return difference


def _name_after(model: Any) -> str:
    return Path(model).stem if isinstance(model, (str, Path)) else type(model).__name__.lower()

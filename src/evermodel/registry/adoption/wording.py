"""The words for what an adoption settled; nothing is decided on them."""

from __future__ import annotations

from collections.abc import Sequence

from evermodel.core.data.contract import Contract
from evermodel.core.data.source import BURST
from evermodel.core.data.table import Table
from evermodel.core.model.model import Model
from evermodel.core.records.adoption_record import AdoptionRecord, Basis, Inference, Parity, Subject
from evermodel.core.records.model_signature import ListLayout, ModelSignature, NamedInput, NamedOutput, TableDialect
from evermodel.core.records.version_card import VersionCard

MOST_COLUMNS = 12  # named in one line
_SUBJECTS = {
    Subject.INPUT: "input",
    Subject.CLASSES: "classes",
    Subject.TARGET: "target",
    Subject.OUTPUT: "output",
    Subject.ANSWER: "answer",
}
_BASES = {
    Basis.GIVEN: "as you said",
    Basis.FILE: "as the file says",
    Basis.PREDICTIONS: "proven by the deployed model's answers",
    Basis.NEAREST: "nearest to the deployed model's answers",
    Basis.PROVEN: "shown by the reference rows",
    Basis.USUAL: "the usual order, which nothing contradicts",
}


def describe_inference(inference: Inference) -> str:
    """One settled thing with its ground and its runner-up, in one line."""
    choice = inference.choice
    if inference.subject is Subject.TARGET and choice == "none":
        choice = "in its own units"
    elif inference.subject is Subject.TARGET:
        choice = f"the model was trained on {choice} of it"
    basis = _BASES[inference.basis]
    if inference.basis is Basis.USUAL and inference.subject is Subject.INPUT:
        basis = "the usual form; the rows do not tell"
    elif inference.basis is Basis.USUAL and inference.subject is not Subject.CLASSES:
        basis = "which the rows confirm"
    line = f"{choice} ({basis}"
    if inference.skill is not None:
        line += f", skill {inference.skill:.2f}"
    if inference.runner_up:
        line += f"; next: {inference.runner_up}"
        if inference.runner_up_skill is not None:
            line += f", skill {inference.runner_up_skill:.2f}"
        elif inference.lead is not None:
            line += f", {inference.lead:.0f} nats behind"
    return line + ")"


def name_subject(inference: Inference) -> str:
    """What was settled, in one word."""
    return _SUBJECTS[inference.subject]


def describe_parity(parity: Parity | None, stored: float, task: str = "") -> str:
    """How near the answers are to the deployed model's own; or that there were none to compare with."""
    if parity is None and task == "text":
        return f"the stored version finds the reference answers as likely as the file does, to within {stored:.1e}"
    if parity is None:
        return (
            f"the stored version answers as the file does, to within {stored:.1e}; not compared with the deployed "
            "model's answers (give predictions)"
        )
    if parity.different_labels and parity.largest == 1.0:  # labels alone were given
        return f"{parity.different_labels:,} of {parity.rows:,} labels differ from the deployed model's"
    if not parity.same:
        labels = f", {parity.different_labels:,} of {parity.rows:,} labels differ" if parity.different_labels else ""
        why = (
            "; the numbers of the scaling are learnt from these rows: give the fitted scaler as `transform`"
            if parity.estimated
            else ", as where the service computes in fewer digits"
        )
        return (
            f"near the deployed model's answers and not equal: they differ by {parity.mean:.2g} in the mean and by up "
            f"to {parity.largest:.2g}{labels}{why}"
        )
    return (
        f"{parity.rows:,} answers of the deployed model reproduced, to within {parity.largest:.1e} "
        f"({parity.mean:.1e} in the mean)"
    )


def list_columns(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - MOST_COLUMNS:,} more" if len(names) > MOST_COLUMNS else ""
    return ", ".join(names[:MOST_COLUMNS]) + more


def describe_record(record: AdoptionRecord) -> dict[str, str]:
    """What 'evermodel show' says about an adoption: one row for each thing that was settled."""
    rows = {name_subject(i): describe_inference(i) for i in record.inferences}
    if record.parity is not None:
        rows["parity"] = describe_parity(record.parity, 0.0)
    return rows


def describe_signature(signature: ModelSignature | None) -> dict[str, str]:
    """What 'evermodel show' says about named inputs and outputs: one row for each."""
    return (
        {}
        if signature is None
        else {
            **{f"input {part.name}": _describe_input(part, signature.row_format.lists) for part in signature.inputs},
            **{f"output {one.name}": _describe_output(one) for one in signature.outputs},
            **_describe_dialect(signature.row_format.dialect),
        }
    )


def _describe_input(part: NamedInput, lists: Sequence[ListLayout]) -> str:
    shape = " x ".join(map(str, part.shape)) or "1"
    columns = list_columns(part.columns)
    table = "" if part.codes is None else f", whole numbers from 0 to {part.codes - 1:,}"
    layout = next((layout for layout in lists if layout.places == part.columns), None)
    if layout is not None:
        columns = f"the lists in {layout.column}, {_describe_layout(layout)}"
    return f"{part.dtype}, {shape} a row{table}, of {columns}"


def _describe_dialect(dialect: TableDialect) -> dict[str, str]:
    stated = dialect.stated
    return {"text tables": ", ".join(f"{name} {value}" for name, value in stated.items())} if stated else {}


def _describe_layout(layout: ListLayout) -> str:
    cut = "not cut" if layout.cut_side is None else f"cut on the {layout.cut_side}"
    return f"padded with {layout.pad:g} on the {layout.pad_side}, {cut}"


def _describe_output(output: NamedOutput) -> str:
    classes = f" of {', '.join(output.classes)}" if output.classes else ""
    return f"{output.task}{classes}, target {output.target}" + (
        ", the one that is judged" if output.primary else "" if output.guard else ", not guarded"
    )


def describe_notes(model: Model, card: VersionCard) -> tuple[str, ...]:
    """Sentences on what a user should know of this adoption."""
    notes = [*model.contract.notes[:MOST_COLUMNS], *_describe_single_pictures(model.contract)]
    record = card.adoption or AdoptionRecord()
    if card.reference_is_stand_in:
        scaler = "" if model.contract.task == "text" else "; the exact scaler cannot be known"
        notes.append(f"no training rows were given: the oldest new rows stand in{scaler}")
    if record.learned_scaling:
        share = f"{100 * record.learned_scaling:.0f} %"
        notes.append(f"a scale and a shift a column, learned before the network, saved {share} of the held-out loss")
    for inference in record.inferences:
        if inference.subject is Subject.CLASSES and inference.basis is Basis.PROVEN:
            ordered = [str(c) for c in model.contract.classes]
            if ordered != sorted(ordered):
                notes.append(
                    f"the model's outputs stand for {', '.join(ordered[:20])}, in this order: the rows show it"
                )
    return tuple(notes)


def describe_numbering(names: Sequence[str]) -> tuple[str, ...]:
    """That columns which may only number the rows are inputs."""
    said = "its whole numbers never repeat: the model has a place for it; name its inputs where it takes another column"
    return tuple(f"{name}: taken as an input though {said}" for name in names)


def describe_bursts(table: Table) -> tuple[str, ...]:
    """What is done with rows without order, in one sentence."""
    sizes = table.frame[BURST].value_counts()["count"]
    joined = sizes.filter(sizes > 1)
    drawn = "the pictures have no order: those that judge an update are drawn at random, class by class"
    if not len(joined):
        return (f"{drawn}; no near-duplicates were found among them",)
    return (
        f"{drawn}; {joined.sum():,} of them make {len(joined):,} bursts (names of one track, or near-duplicates), "
        "and each burst stays on one side",
    )


def _describe_single_pictures(contract: Contract) -> tuple[str, ...]:
    """That pictures of a table are taken to stand alone, where nothing says which of them belong together."""
    if contract.roles.entity is not None or not any(column.kind == "image" for column in contract.columns):
        return ()
    return (
        "each picture of the table is taken to stand alone: where frames belong together, such as those of a track or "
        "a patient, name their column as the entity",
    )

"""Which column each answer of a model predicts, and which of them is judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import polars as pl

from evermodel.core.data.column_names import match_names
from evermodel.core.data.table import Table
from evermodel.core.data.target_column import class_text, fold_label, learn_target
from evermodel.core.data.values import FALSE, TRUE
from evermodel.core.errors import Ambiguous, BadModel, BadSetting, NotFound
from evermodel.core.model.framework import OutputHead, Signature
from evermodel.core.model.model import Model
from evermodel.core.records.column_roles import Roles
from evermodel.core.records.model_signature import NamedOutput
from evermodel.judging.task_metrics import DEFAULT_METRIC, compute_metrics
from evermodel.registry.adoption.readings.reading import measure_skill
from evermodel.registry.adoption.signatures.signature_file import SignatureFile

LEAST_SKILL = 0.01  # share of the trivial baseline's loss that each answer must remove on the reference rows


def assign_outputs(
    needs: Signature, roles: Roles, frame: pl.LazyFrame, given: SignatureFile
) -> tuple[NamedOutput, ...]:
    """The answers of a model with several, each with its target column; () for a model of one answer.

    Targets named as A,B,C go to answers of these names, else to the answers in their order; the first is judged. A
    signature file says it answer by answer. Raises BadModel, BadSetting, NotFound, Ambiguous.
    """
    there = frame.collect_schema().names()
    listed = _list_targets(roles.target or "", there)
    if not needs.heads:
        if given.outputs or len(listed) > 1:
            raise BadSetting(
                "The model gives one answer a row, so it has one target.",
                "Name that column alone. Where each class has a column of 0 and 1, write the class of each row into "
                "one column, and give the classes in the order of the model's outputs as `classes`.",
            )
        return ()
    if given.outputs:
        targets = _read_given(needs.heads, given)
        primary = given.primary or next(iter(targets))
    elif len(listed) == 1:
        if needs.outputs is not None:
            return ()  # one output: its units may be the classes of one question
        raise _ask_for_targets(needs.heads)
    else:
        targets = _match_targets(needs.heads, listed)
        primary = next(name for name, target in targets.items() if target == listed[0])
    for column in targets.values():
        if column not in there:
            raise NotFound.among("target column", column, there)
    if len(set(targets.values())) < len(targets):
        raise BadSetting("Two answers of the model have one target column.", "Give each answer a column of its own.")
    found, at = [], 0
    for head in needs.heads:
        classes = () if head.name == primary else _settle_classes(head, targets[head.name], frame, given)
        stop = at + head.width
        found.append(
            NamedOutput(
                head.name,
                targets[head.name],
                head.task,
                at,
                stop,
                head.output,
                classes,
                primary=head.name == primary,
                guard=head.name not in given.outputs or given.outputs[head.name].guard,
            )
        )
        at = stop
    return tuple(found)


def assign_roles(roles: Roles, outputs: Sequence[NamedOutput]) -> Roles:
    """The roles with the judged answer's column as the target; the other targets are no inputs."""
    target = next(output.target for output in outputs if output.primary)
    others = (output.target for output in outputs if not output.primary)
    return dataclasses.replace(roles, target=target, drop=tuple(dict.fromkeys((*roles.drop, *others))))


def score_others(model: Model, table: Table) -> dict[str, tuple[str, float]]:
    """Target column -> the metric of its task and the model's score, of each answer that is not judged."""
    found = {}
    answers = model.predict_others(table.frame)
    for output in model.contract.outputs:
        if not output.primary:
            metric, y = DEFAULT_METRIC[output.task], table.frame[output.target].to_numpy()
            y = y if output.task == "regression" else y.astype("int64")
            found[output.target] = (metric, compute_metrics(y, answers[output.target], output.task)[metric])
    return found


def check_others(model: Model, table: Table) -> None:
    """Raises BadModel where an answer does not predict the column that it was given: then the columns are mixed up."""
    answers = model.predict_others(table.frame)
    for output in model.contract.outputs:
        if output.primary:
            continue
        y = table.frame[output.target].to_numpy()
        y = y if output.task == "regression" else y.astype("int64")
        skill = measure_skill(answers[output.target], y, output.task)
        if not skill > LEAST_SKILL:
            raise BadModel(
                f"The model's answer {output.name!r} does not predict {output.target!r} on the reference rows (skill "
                f"{skill:.3f}).",
                "Name the target columns in the order of the model's outputs, or give a signature file.",
            )


def _list_targets(text: str, there: Sequence[str]) -> list[str]:
    return [text] if text in there else [part.strip() for part in text.split(",") if part.strip()]


def _read_given(heads: Sequence[OutputHead], given: SignatureFile) -> dict[str, str]:
    names = [head.name for head in heads]
    for name in given.outputs:
        if name not in names:
            raise NotFound.among("output of the model", name, names)
    missing = [name for name in names if name not in given.outputs]
    if missing:
        raise BadSetting(
            f"The signature file says nothing of the model's output {missing[0]!r}.",
            "An update trains every output, so each needs its target column.",
        )
    return {name: given.outputs[name].target for name in names}


def _match_targets(heads: Sequence[OutputHead], listed: Sequence[str]) -> dict[str, str]:
    names = [head.name for head in heads]
    if len(listed) != len(names):
        raise BadSetting(
            f"The model gives {len(names)} answers a row ({', '.join(names[:12])}); {len(listed)} targets are named.",
            "Name one column for each, as A,B,C in the order of the outputs.",
        )
    by_name = {name: name for name in names if name in listed}
    by_name |= match_names([n for n in names if n not in by_name], [c for c in listed if c not in by_name.values()])
    if len(by_name) == len(names):
        return {name: by_name[name] for name in names}
    return dict(zip(names, listed, strict=True))


def _ask_for_targets(heads: Sequence[OutputHead]) -> BadModel:
    answers = ", ".join(f"{head.name} ({head.task})" for head in heads[:12])
    return BadModel(
        f"The model gives {len(heads)} answers a row: {answers}. An update trains all, and one target is named.",
        "Name a column for each, as A,B in this order; the first is judged. Or give a signature file.",
    )


def _settle_classes(head: OutputHead, column: str, frame: pl.LazyFrame, given: SignatureFile) -> tuple[str, ...]:
    """The labels behind an answer's codes: as given, numbers from 0, or words that everybody writes in this order."""
    if head.task == "regression":
        return ()
    count = max(head.width, 2)
    stated = given.outputs[head.name].classes if head.name in given.outputs else ()
    if head.classes:
        return _match_labels(head, column, frame, stated)
    if stated:
        if len(stated) != count:
            raise BadSetting(f"The output {head.name!r} has {count} classes; the signature file names {len(stated)}.")
        return stated
    labels = [class_text(label) for label in learn_target(frame, column, head.task)[1]]
    if len(labels) > count:
        raise BadSetting(
            f"The model's answer {head.name!r} has {count} classes; its target {column!r} holds {len(labels):,}: "
            f"{', '.join(labels[:5])}, ….",
            "Name the target columns in the order of the model's outputs, or give a signature file.",
        )
    numbered = [str(code) for code in range(count)]
    if set(labels) <= set(numbered):
        return tuple(numbered)
    folded = {label.lower(): label for label in labels}
    if len(labels) == 2 == count and len(set(folded) & set(FALSE)) == 1 == len(set(folded) & set(TRUE)):
        return tuple(sorted(labels, key=lambda label: label.lower() in TRUE))
    raise Ambiguous(
        f"The order of the classes of {column!r} is not known: {', '.join(labels[:9])}.",
        f"Give a signature file with [outputs.{head.name}], target and classes in the order of the output.",
    )


def _match_labels(head: OutputHead, column: str, frame: pl.LazyFrame, stated: tuple[str, ...]) -> tuple[str, ...]:
    """The labels that the file says. Raises BadSetting where the signature file or the target holds others."""
    own = tuple(class_text(label) for label in head.classes)
    there = stated or [class_text(label) for label in learn_target(frame, column, head.task)[1]]
    unknown = [label for label in there if fold_label(label) not in set(map(fold_label, own))]
    if unknown or (stated and stated != own):
        raise BadSetting(
            f"The model's answer {head.name!r} has the classes {', '.join(own[:9])}; its target {column!r} holds "
            f"{', '.join(map(str, (unknown or list(there))[:5]))}.",
            "Name the target columns in the order of the model's outputs.",
        )
    return own


def describe_others(scores: Mapping[str, tuple[str, float]], rows: str) -> tuple[str, ...]:
    """A sentence for each answer that is not judged: how good it is."""
    return tuple(
        f"answer {target!r}, not judged: {metric} {value:.4f} on {rows}" for target, (metric, value) in scores.items()
    )


def compare_others(champion: Model, challenger: Model, table: Table) -> tuple[str, ...]:
    """A sentence for each answer that is not judged: the score of both models on the rows that judged."""
    before, after = score_others(champion, table), score_others(challenger, table)
    return tuple(
        f"The answer {target!r} is not judged: {metric} {before[target][1]:.4f} -> {value:.4f} on {len(table):,} rows."
        for target, (metric, value) in after.items()
    )

"""Adopts a model that answers with a text of its own words: whether it does is stated, or said by its file."""

from __future__ import annotations

import dataclasses
from typing import Literal

import polars as pl

from evermodel.core.data.chat_columns import ANSWER
from evermodel.core.data.scan import collect, spread_rows
from evermodel.core.data.table import Table
from evermodel.core.data.target_column import read_answer
from evermodel.core.data.task import Task
from evermodel.core.errors import Ambiguous, BadSetting
from evermodel.core.model.capabilities import TextWriting
from evermodel.core.model.framework import Framework, Signature
from evermodel.core.model.model import Model
from evermodel.core.model.transform import Feature, Transform
from evermodel.core.records.adoption_record import Inference

Auto = Literal["auto"]
FEW = 20  # different answers that can be labels whatever the number of rows
MOST_REPEATED = 0.5  # share of different answers from which they may be free text
MOST_SCORED = 200  # reference rows that are answered at adoption: each costs as many passes as its answer has tokens


def settle_task(
    framework: Framework, needs: Signature, asked: Task | Auto, frame: pl.LazyFrame, target: str | None
) -> Task | Auto:
    """``asked``, or what the model's file says. Raises BadSetting for text of a model that writes none, and Ambiguous
    where a model that can do both is given answers that may be labels and may be free text.
    """
    names = frame.collect_schema().names()
    if f"{target}{ANSWER}" in names:
        raise BadSetting(
            f"The column {target!r} holds conversations, which are read as two columns: {target}, without the last "
            f"answer, and {target}{ANSWER}.",
            f"Name {target} as the input and {target}{ANSWER} as the target.",
        )
    writes = isinstance(framework, TextWriting)
    if asked == "text" and not writes:
        kind = framework.__name__.rsplit(".", 1)[-1]
        raise BadSetting(
            f"A {kind} model does not answer with free text.", "Leave `task` out, or adopt a causal language model."
        )
    if asked != "auto" or needs.task is not None or not writes:
        return asked if asked != "auto" else needs.task or "auto"
    schema = frame.collect_schema()
    if target is None or target not in schema or schema[target] != pl.String:
        return "auto"
    answers = collect(frame.select(answer=read_answer(pl.col(target)))).to_series().drop_nulls()
    different = answers.n_unique()
    if different <= FEW or different <= MOST_REPEATED * len(answers):
        return "auto"
    raise Ambiguous(
        f"The target {target!r} holds {different:,} different answers in {len(answers):,} rows: they may be free text, "
        "or labels.",
        "Say `task` text for answers of any words, or multiclass for labels among which the model chooses.",
    )


def learn_writing(bare: Model, table: Table) -> tuple[Model, tuple[Inference, ...]]:
    """The model with the form and the length of its answers as the reference rows show, and on which grounds."""
    transform = Transform(tuple(Feature(c.name) for c in bare.contract.columns), layout="frame")
    writer = bare.framework
    if not isinstance(writer, TextWriting):
        raise BadSetting("This model does not answer with free text.", "Leave `task` out.")
    model = dataclasses.replace(bare, transform=transform)
    obj, inferences = writer.learn_answers(bare.obj, transform(table.frame), model.raw_target(table).tolist())
    return dataclasses.replace(model, obj=obj), inferences


def choose_scored_rows(model: Model, table: Table) -> Table:
    """The reference rows that are answered: all, but of many free texts some from old to new."""
    if model.contract.task != "text" or len(table) <= MOST_SCORED:
        return table
    return Table(spread_rows(table.frame.lazy(), len(table), MOST_SCORED), table.roles)


def describe_text_rows(model: Model, table: Table, scored: int) -> tuple[str, ...]:
    """How many prompts are cut, and on how many rows the scores stand where these are not all."""
    if model.contract.task != "text" or scored == len(table):
        return describe_cut(model, table.frame)
    few = f"the scores are those of {scored:,} of the {len(table):,} reference rows: answering is slow"
    return (*describe_cut(model, table.frame), few)


def describe_cut(model: Model, frame: pl.DataFrame) -> tuple[str, ...]:
    """Sentences on cleaned rows of free text: how many prompts are longer than the model can read beside an answer, and
    how many reference answers are longer than those that it writes. Nothing of other models.
    """
    if not isinstance(model.framework, TextWriting) or model.contract.task != "text":
        return ()
    cut, target, notes = model.framework.count_cut(model.obj, model.transform(frame)), model.contract.roles.target, []
    if cut:
        notes.append(
            f"{cut:,} of {frame.height:,} prompts are longer than the model can read beside an answer, and are cut to "
            "what it can: of a conversation the beginning goes, of a prompt the end."
        )
    if target is not None and target in frame.columns:
        long = model.framework.count_long(model.obj, frame[target].drop_nulls().to_list())
        if long:
            notes.append(
                f"{long:,} of {frame.height:,} reference answers are longer than those that the model writes: it can "
                "learn them, and never says all of them."
            )
    return tuple(notes)

"""Holds a language model's version against the champion on the questions of a multiple-choice task, in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.task import Task
from evermodel.core.errors import AskedWrongly, BadSetting
from evermodel.core.model.capabilities import TextWriting
from evermodel.core.model.model import Model
from evermodel.core.records.update_record import Score
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge_input import JudgeInput, PairedPredictions
from evermodel.judging.judge_request import JudgeTerms
from evermodel.registry.update_result import ScoreTable
from evermodel.updating.verdicts.task_file import ChoiceTask, Question, read_choice_task

TASK: Task = "multiclass"  # as which the judge sees the questions
SHOWN = ("log_loss", "accuracy")  # that mean something where the choices differ from question to question


def pair_choices(
    champion: Model, challenger: Model, task_file: str | Path, data: Any, terms: JudgeTerms
) -> tuple[JudgeInput, ScoreTable]:
    """Both models' answers to the questions of a task, and their scores.

    "new" are the answers by the whole log probability of a choice (``acc`` of lm-evaluation-harness), "by_length" those
    by its share a character (``acc_norm``). Raises AskedWrongly for a model that scores no choices.
    """
    if terms.shown_metric not in SHOWN:
        raise BadSetting(f"A task is judged by {' or '.join(SHOWN)}. Got {terms.shown_metric!r}.")
    task = read_choice_task(task_file, data)
    logs = [_score(model, task) for model in (champion, challenger)]
    whole = _pair(task.questions, *logs)
    by_length = _pair(task.questions, *(_divide_by_length(task.questions, one) for one in logs))
    shown = {"new": _compare(whole, SHOWN), "by_length": _compare(by_length, SHOWN[1:])}
    return JudgeInput(TASK, terms.metric, whole, guard=terms.guard), ScoreTable(shown)


def _score(model: Model, task: ChoiceTask) -> list[Array]:
    if not isinstance(model.framework, TextWriting):
        raise AskedWrongly(
            "A multiple-choice task is for language models, which say how likely an ending of a text is.",
            "Give labelled rows instead.",
        )
    contexts = [question.context for question in task.questions]
    choices = [[task.delimiter + choice for choice in question.choices] for question in task.questions]
    return model.framework.score_choices(model.obj, contexts, choices)


def _divide_by_length(questions: Sequence[Question], logs: Sequence[Array]) -> list[Array]:
    lengths = ([max(1, len(choice)) for choice in question.choices] for question in questions)
    return [one / np.array(length) for one, length in zip(logs, lengths, strict=True)]


def _pair(questions: Sequence[Question], champion: Sequence[Array], challenger: Sequence[Array]) -> PairedPredictions:
    """Probabilities among the choices of each question, 0 where it has fewer than another.

    The choices of each question are turned by its number, because their places mean nothing: in some tasks the right
    one is always the last.
    """
    k = max(len(question.choices) for question in questions)
    right = [(one.right + turn) % len(one.choices) for turn, one in enumerate(questions)]
    return PairedPredictions(np.array(right), _turn(champion, k), _turn(challenger, k))


def _turn(logs: Sequence[Array], k: int) -> Array:
    found = np.zeros((len(logs), k))
    for turn, one in enumerate(logs):
        p = np.exp(one - one.max())
        found[turn, : len(one)] = np.roll(p / p.sum(), turn)
    return found


def _compare(rows: PairedPredictions, metrics: Sequence[str]) -> dict[str, Score]:
    found = {}
    for metric in metrics:
        c = compare_predictions(metric, rows)
        found[metric] = Score(c.champion, c.challenger, c.difference, c.low, c.high, c.n)
    return found

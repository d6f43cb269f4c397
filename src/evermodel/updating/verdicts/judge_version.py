"""Hold any version against the champion, on given rows or on those that were kept to judge."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core.data.table import Table
from evermodel.core.errors import AskedWrongly, NoData
from evermodel.core.model.model import Model
from evermodel.core.records.verdict import Decision, GradedRows, JudgedRows, JudgePolicy, name_judged_rows
from evermodel.core.store import Store
from evermodel.judging.judge_request import Gates, JudgeRequest
from evermodel.judging.verdict_headline import describe_evidence
from evermodel.registry.lookup import champion_of, open_store
from evermodel.registry.result_table import ResultTable
from evermodel.registry.results import Result
from evermodel.registry.row_memory import read_memory
from evermodel.registry.score_table import build_score_table, describe_reasons
from evermodel.registry.update_result import ScoreTable, score_lines
from evermodel.registry.versions import load_version
from evermodel.updating.verdicts.judge_task import TASK, pair_choices
from evermodel.updating.verdicts.pairing import build_judge_input
from evermodel.updating.verdicts.unlearnt_rows import read_unlearnt_rows
from evermodel.updating.verdicts.vote_rows import read_votes


@dataclass(frozen=True)
class JudgeResult(Result):
    """The verdict on a version against the champion; nothing was promoted."""

    name: str
    decision: Decision
    champion: str
    challenger: str
    metric: str
    scores: ScoreTable
    reasons: tuple[str, ...]
    rows_needed: int | None
    seconds: float
    policy: JudgePolicy = JudgePolicy.BETTER
    graded: tuple[GradedRows, ...] = ()  # what the rows show
    stopped_by: tuple[str, ...] = ()  # the gates to which it is due that the decision is no promotion

    def lines(self) -> list[str]:
        head = f"{self.decision}: {self.name} {self.challenger} against {self.champion}"
        evidence = describe_evidence(self.graded, self.stopped_by)
        head = f"{head}: {evidence} (policy {self.policy})" if evidence else head
        return [
            head,
            *score_lines(self.scores, self.metric, judged=name_judged_rows(self.graded)),
            *(f"  because  {r}" for r in self.reasons),
        ]

    def tables(self) -> Sequence[ResultTable]:
        return (self.scores.table(),)

    def remarks(self) -> Sequence[str]:
        return self.reasons


def judge(
    name: str,
    version: str,
    data: Any = None,
    *,
    metric: str | None = None,
    margin: float | Mapping[str, float] | None = None,
    policy: str | None = None,
    gates: Gates | None = None,
    votes: Any = None,
    lm_task: str | Path | None = None,
    registry: str | Path | None = None,
) -> JudgeResult:
    """Hold ``version`` against the champion on labelled rows; moves nothing and remembers nothing.

    Rows that any update has seen are left out. Without ``data``, the rows that were kept out of all training judge.
    ``votes``: rows of a prompt and the winner (a version, or "tie"), by people who saw both answers.
    ``lm_task``: a multiple-choice task in the format of lm-evaluation-harness, whose questions judge language models;
    ``data`` are its rows, where it names none beside itself.
    Raises NoData where none are left, NotFound, BadData.

        $ evermodel judge churn v3 april.csv
    """
    began = time.monotonic()
    store = open_store(registry)
    champion, challenger = champion_of(store, name), store.read_card(name, version)
    if champion.version == challenger.version:
        raise AskedWrongly(f"{version} is the champion itself.", f"'evermodel show {name}' lists other versions.")
    first, second = load_version(store, champion), load_version(store, challenger)
    contract = second.contract.with_classes(read_memory(store, name).classes)  # its codes are in the remembered rows
    first, second = dataclasses.replace(first, contract=contract), dataclasses.replace(second, contract=contract)
    request = JudgeRequest(metric, margin, policy, gates or {})
    terms = request.read_terms(TASK if lm_task is not None else first.contract.task, JudgePolicy.BETTER)
    if lm_task is not None:
        scores, table = pair_choices(first, second, lm_task, data, terms)
    else:
        rows, in_time = _rows(store, name, second, data), not champion.shuffled
        scores = build_judge_input(first, second, rows, None, metric=terms.metric, guard=terms.guard, series=in_time)
        table = build_score_table(scores)
    if votes is not None:
        scores = dataclasses.replace(scores, votes=read_votes(votes, champion.version, version))
    verdict = terms.judge(scores)
    if lm_task is not None or data is None:
        verdict = verdict.on(JudgedRows.HELD_OUT if lm_task is None else JudgedRows.TASK)
    return JudgeResult(
        name,
        verdict.decision,
        champion.version,
        version,
        scores.shown_metric,
        table,
        describe_reasons(verdict),
        verdict.rows_needed,
        time.monotonic() - began,
        terms.policy,
        verdict.graded,
        verdict.stopped_by,
    )


def _rows(store: Store, name: str, model: Model, data: Any) -> Table:
    memory = read_memory(store, name)
    kept, past = memory.rows(store, model.contract), memory.past(store, model.contract)
    if data is None:
        if past is None:
            raise NoData(f"No rows of {name} were kept out of training.", "Give labelled rows to judge on.")
        return past
    return read_unlearnt_rows(data, model.contract, kept)

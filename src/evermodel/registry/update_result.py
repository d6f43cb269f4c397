"""What an update did: the decision, the scores of both models, the reasons and every candidate."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evermodel.core.records.data_summary import DataSummary
from evermodel.core.records.search_record import ServingCost
from evermodel.core.records.update_decision import UpdateDecision
from evermodel.core.records.update_record import Candidate, DropInBreak, RefitCheck, Score
from evermodel.core.records.verdict import Comparison, Decision, GradedRows, JudgedRows, JudgePolicy, name_judged_rows
from evermodel.core.stats.metric import METRICS
from evermodel.judging.verdict_headline import describe_evidence
from evermodel.registry.drop_in_wording import describe_breaks, describe_serving_cost
from evermodel.registry.result_table import Cell, ResultTable, format_number
from evermodel.registry.results import AdoptResult, Result

if TYPE_CHECKING:
    import polars as pl

DECISION_WORDS: Mapping[str, str] = {
    UpdateDecision.PROMOTE: "promoted",
    UpdateDecision.AWAITING_APPROVAL: "awaiting approval",
    UpdateDecision.HOLD: "held",
    UpdateDecision.REJECT: "rejected",
    UpdateDecision.INVALID: "not judged",
}


class ScoreTable(Mapping[str, Mapping[str, Score]]):
    """Scores of champion and challenger: ``scores["new"]["auc"]`` is one Score, ``to_frame()`` gives all as a frame.

    The first key says on which rows: "new" (those that judge: the newest, or where none came held-out ones; seen by
    neither model), "past" (rows known before), "guarded" (those that the user named).
    """

    def __init__(self, scores: Mapping[str, Mapping[str, Score]]) -> None:
        self._scores = {rows: dict(by_metric) for rows, by_metric in scores.items()}

    def __getitem__(self, rows: str) -> Mapping[str, Score]:
        return self._scores[rows]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scores)

    def __len__(self) -> int:
        return len(self._scores)

    def __repr__(self) -> str:
        return "\n".join(self.table().lines())

    def _repr_html_(self) -> str:
        return self.table().to_html()

    def table(self) -> ResultTable:
        """A row a metric and kind of rows, with both scores and the interval of their difference."""
        columns = ("rows", "metric", *(f.name for f in dataclasses.fields(Score)))
        cells: list[tuple[Cell, ...]] = [
            (rows, metric, *dataclasses.astuple(score))
            for rows, by_metric in self._scores.items()
            for metric, score in by_metric.items()
        ]
        return ResultTable("", columns, tuple(cells))

    def to_frame(self) -> pl.DataFrame:
        """The table as a polars frame: rows, metric, champion, challenger, difference, low, high, n."""
        return self.table().to_frame()


@dataclass(frozen=True)
class RejudgedChallenger:
    """A challenger that an earlier update held, judged again on the rows of both updates, pooled."""

    version: str
    strategy: str
    decision: Decision
    promoted: bool
    metric: str
    scores: ScoreTable
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class UpdateResult(Result):
    """What an update did: the decision, the two versions, why, and everything it considered."""

    name: str
    decision: UpdateDecision
    champion: str  # the version in service when the update began
    challenger: str | None
    strategy: str
    settings: Mapping[str, Any]
    metric: str
    scores: ScoreTable  # "new" | "past" -> metric -> score
    reasons: tuple[str, ...]
    rows_needed: int | None
    candidates: tuple[Candidate, ...]
    data: DataSummary = field(default_factory=DataSummary)  # rows read, used, judged; what cleaning did
    refit: bool = False
    refit_check: RefitCheck | None = None  # of the refit model against the judged one
    policy: JudgePolicy | None = None  # what the judge asked
    graded: tuple[GradedRows, ...] = ()  # what the new rows and those known before show
    stopped_by: tuple[str, ...] = ()  # the gates to which it is due that the challenger was not promoted
    saved: str | None = None
    in_service: str = ""  # the version in service afterwards
    training_seconds: float = 0.0  # of all that was trained, the refit on all rows included
    seconds: float = 0.0
    rejudged: RejudgedChallenger | None = None  # the challenger that the update before held
    serving_cost: ServingCost | None = None  # of the champion and of the challenger as stored, measured alike
    breaks: tuple[DropInBreak, ...] = ()  # how the challenger does not fit where the champion stood
    adopted: AdoptResult | None = None  # what this update's adoption settled, where it was the first

    def lines(self) -> list[str]:
        saved = [f"  saved    {self.saved} holds {self.in_service}"] if self.saved else []
        reasons = [f"  because  {reason}" for reason in self.reasons]
        rejudged = describe_second_verdict(self.rejudged)
        check = describe_refit_check(self.refit_check)
        cost = describe_serving_cost(self.serving_cost)
        return [
            self.headline,
            *score_lines(self.scores, self.metric, judged=name_judged_rows(self.graded)),
            *([f"  cost     {cost}"] if cost else []),
            *reasons,
            *rejudged,
            *([f"  checked  {check}"] if check else []),
            *self._adoption_lines(),
            f"  serving  {self.in_service}",
            *saved,
            f"  next     {self.next_command}",
        ]

    def _adoption_lines(self) -> list[str]:
        if self.adopted is None:
            return []
        head, *settled = self.adopted.lines()
        return [f"  {head}", *settled]

    @property
    def next_command(self) -> str:
        """What to type now."""
        if self.decision is UpdateDecision.PROMOTE:
            return f"evermodel save {self.name} --to FILE"
        if self.decision is UpdateDecision.AWAITING_APPROVAL:
            return f"evermodel approve {self.name}"
        if self.decision is UpdateDecision.REJECT:
            return (
                f"evermodel report {self.name} {self.challenger}" if self.challenger else f"evermodel log {self.name}"
            )
        needed = f"   # about {self.rows_needed:,} judged rows would decide" if self.rows_needed else ""
        return f"evermodel update {self.name} NEXT_ROWS{needed}"

    @property
    def headline(self) -> str:
        """The decision, the challenger, how it was trained, and what the rows showed of it, in one line."""
        recipe = self.strategy + "".join(f" {key}={value}" for key, value in self.settings.items())
        challenger = self.challenger or "(no challenger)"
        breaks, policy = describe_breaks(self.breaks), f" (policy {self.policy})" if self.policy else ""
        head = f"{DECISION_WORDS[self.decision]}: {self.name} {challenger} ({recipe}) against {self.champion}"
        evidence = describe_evidence(self.graded, self.stopped_by)
        head = f"{head}: {evidence}{policy}" if evidence else head
        return f"{head}; {breaks}" if breaks else head

    def describe_candidates(self) -> str:
        """Why it was decided so, and what was considered: the lines of the result and a line for every candidate."""
        candidates = self._candidate_table().lines()
        return "\n".join([*self.lines(), "", "Candidates:", *(f"  {line}" for line in candidates)])

    def tables(self) -> Sequence[ResultTable]:
        return (self.scores.table(), self._candidate_table())

    def remarks(self) -> Sequence[str]:
        return (*self.reasons, f"In service: {self.in_service}.")

    def _candidate_table(self) -> ResultTable:
        rows = tuple((c.strategy, c.score, c.seconds, c.chosen, c.note) for c in self.candidates)
        return ResultTable("Candidates", ("strategy", self.metric, "seconds", "chosen", "note"), rows)


def describe_second_verdict(rejudged: RejudgedChallenger | None) -> list[str]:
    """The second judgement of a held challenger in one line; nothing where there was none."""
    if rejudged is None:
        return []
    words = {**DECISION_WORDS, Decision.PROMOTE: "passes", Decision.HOLD: "held again"}[rejudged.decision]
    end = "" if rejudged.promoted else " (it is not judged a third time)"
    score = rejudged.scores["new"][rejudged.metric]
    change = f"{rejudged.metric} {format_difference(score)} n={score.n:,}"
    challenger = f"{rejudged.version} ({rejudged.strategy})"
    return [f"  again    {challenger}, held before, judged on the rows of both updates: {words}, {change}{end}"]


def describe_refit_check(check: RefitCheck | None) -> str:
    """How the model refit on all rows compares with the judged one; "" where nothing was refit."""
    if check is None:
        return ""
    past = "" if check.past is None else f"; on {check.past.n:,} rows known before {_describe_past(check.past)}"
    stored = "the refit model is stored" if check.stores_refit else "the judged model is stored, without refitting"
    return (
        f"the model refit on all rows answers the judged rows {check.difference:.3g} apart from the judged one "
        f"(limit {check.limit:g}){past}: {stored}"
    )


def _describe_past(past: Comparison) -> str:
    label = METRICS.load_module(past.metric).LABEL
    return f"{label} {past.champion:.4f} -> {past.challenger:.4f}"


ROWS = {
    "past": "rows known before, kept out of training",
    "guarded": "rows to guard, as you named them",
    "in_sample": "rows that the champion was trained on: shown, not judged by",
    "by_length": "the same questions, answers compared by their log probability a character (acc_norm)",
}
JUDGED = {
    JudgedRows.NEW: "new rows, seen by neither model",
    JudgedRows.HELD_OUT: "held-out rows: known before, and neither model here was trained on them",
    JudgedRows.TASK: "questions of the task; whether a model was trained on them is not known",
}


def score_lines(
    scores: Mapping[str, Mapping[str, Score]], metric: str, *, judged: JudgedRows = JudgedRows.NEW
) -> list[str]:
    """A table of the metric that people look at and of those they ask for next; the rest is in JSON and report.

    ``judged``: what the rows that judged were.
    """
    first = dict.fromkeys((metric, "accuracy", "log_loss", "mae", "exact_match", "token_loss", "perplexity"))
    table: list[tuple[str, ...]] = [("metric", "champion", "challenger", "difference", "95 % interval", "rows")]
    for rows, by in scores.items():
        table.append((JUDGED[judged] if rows == "new" else ROWS.get(rows, rows),))
        table.extend(_score_cells(m, by[m]) for m in first if m in by)
    widths = [max(len(cells[i]) for cells in table if len(cells) > 1) for i in range(len(table[0]))]
    return [
        f"  {cells[0]}" if len(cells) == 1 else "  " + "  ".join(map(str.ljust, cells, widths)).rstrip()
        for cells in table
    ]


def _score_cells(metric: str, score: Score) -> tuple[str, ...]:
    known = math.isfinite(score.difference) and math.isfinite(score.low + score.high)
    return (
        f"  {metric}",
        format_number(score.champion, ".4f"),
        format_number(score.challenger, ".4f"),
        format_number(score.difference, "+.4f"),
        f"{score.low:+.4f} to {score.high:+.4f}" if known else "not known",
        f"{score.n:,}",
    )


def format_difference(score: Score) -> str:
    """``+0.0118 [+0.0020, +0.0216]``; in words where the rows do not determine it."""
    if not math.isfinite(score.difference):
        return "difference not known"
    is_known = math.isfinite(score.low + score.high)
    interval = f"[{score.low:+.4f}, {score.high:+.4f}]" if is_known else "[interval not known]"
    return f"{score.difference:+.4f} {interval}"

"""What the verbs return: frozen, printed as a few lines, shown in a notebook, one JSON document."""

from __future__ import annotations

import dataclasses
import html
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class Shown(ABC):
    """Prints as ``lines()``; a notebook shows the same lines; ``to_json`` gives every field."""

    @abstractmethod
    def lines(self) -> list[str]:
        """The result in a few lines, the most important first."""

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return f"<pre style='line-height:1.45'>{html.escape(str(self))}</pre>"

    def to_json(self) -> str:
        """One JSON document; a number that is not known is null, never 0."""
        fields = dataclasses.asdict(self)  # type: ignore[call-overload]
        return json.dumps(plain(fields), indent=1)


def number(value: float, form: str) -> str:
    """A number as people read it; one that is not known says so."""
    return format(value, form) if math.isfinite(value) else "not known"


def plain(value: Any) -> Any:
    """The value as JSON can hold it: NaN and infinities become null, tuples lists, numpy numbers numbers."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


@dataclass(frozen=True)
class Adopted(Shown):
    """A model taken in, its first version in service."""

    name: str
    version: str
    framework: str
    task: str
    rows: int
    expects: str  # what we found, or were told, that the model expects
    scores: Mapping[str, float]
    parity: float  # largest difference between the file's predictions and the version's
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def lines(self) -> list[str]:
        scores = "  ".join(f"{k} {number(v, '.4g')}" for k, v in self.scores.items())
        head = f"adopted {self.name} {self.version}: {self.framework}, {self.task}, {self.rows:,} reference rows"
        return [head, f"  expects  {self.expects}", f"  scores   {scores}",
                f"  parity   largest difference to the file's own predictions {self.parity:.1e}",
                *(f"  note     {n}" for n in self.notes)]  # fmt: skip


@dataclass(frozen=True)
class Waiting(Shown):
    """A model kept without rows; its first update completes the adoption."""

    name: str
    version: str
    framework: str
    target: str
    inputs: tuple[int, ...] | None  # shape of one row of input, where the model says it
    outputs: int | None
    parity: float  # largest difference between the file's predictions and the stored model's, on random input
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        takes = "not known" if self.inputs is None else " x ".join(map(str, self.inputs)) + " numbers a row"
        gives = "not known" if self.outputs is None else f"{self.outputs} numbers"
        head = f"kept {self.name} {self.version}: {self.framework}, waits for rows with the column {self.target!r}"
        return [head, f"  takes    {takes}; gives {gives}", *(f"  note     {n}" for n in self.notes)]


@dataclass(frozen=True)
class Candidate:
    """One way the update could have gone, and what it scored on the judged rows."""

    change: str
    settings: Mapping[str, Any]
    score: float
    seconds: float
    chosen: bool = False
    note: str = ""


@dataclass(frozen=True)
class Score:
    """One metric of champion and challenger on the same rows, with the interval of the difference."""

    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class SecondLook:
    """What became of a challenger that a former update held, judged again with the new rows, pooled."""

    version: str
    change: str
    decision: str
    promoted: bool
    metric: str
    scores: Mapping[str, Mapping[str, Score]]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Updated(Shown):
    """What an update did: the decision, the two versions, why, and everything it considered."""

    name: str
    decision: str  # "promote" | "hold" | "reject" | "invalid"
    champion: str  # the version in service when the update began
    challenger: str | None
    change: str
    settings: Mapping[str, Any]
    metric: str
    scores: Mapping[str, Mapping[str, Score]]  # "new" | "past" -> metric -> score
    reasons: tuple[str, ...]
    rows_needed: int | None
    candidates: tuple[Candidate, ...]
    data: Mapping[str, Any] = field(default_factory=dict)  # rows read, used, judged; what cleaning did
    finished: bool = False
    saved: str | None = None
    in_service: str = ""  # the version in service afterwards
    training_seconds: float = 0.0  # of all that was trained, finishing included
    seconds: float = 0.0
    second_look: SecondLook | None = None  # at the challenger that the update before held

    def lines(self) -> list[str]:
        said = {"promote": "promoted", "hold": "held", "reject": "rejected", "invalid": "not judged"}[self.decision]
        made = f"{self.change}" + "".join(f" {k}={v}" for k, v in self.settings.items())
        head = f"{said}: {self.name} {self.challenger or '(nothing made)'} ({made}) against {self.champion}"
        rows = score_lines(self.scores, self.metric)
        tail = [f"  saved    {self.saved} holds {self.in_service}"] if self.saved else []
        because = [f"  because  {r}" for r in self.reasons]
        return [head, *rows, *because, *again_lines(self.second_look), f"  serving  {self.in_service}", *tail]


def again_lines(again: SecondLook | None) -> list[str]:
    """The second look in one line; its reasons are the update's own where it was promoted."""
    if again is None:
        return []
    said = {"promote": "passes", "hold": "held again", "reject": "rejected", "invalid": "not judged"}[again.decision]
    end = "" if again.promoted else " (it is not looked at a third time)"
    score = again.scores["new"][again.metric]
    moved = f"{again.metric} {difference(score)} n={score.n:,}"
    return [f"  again    {again.version} ({again.change}), held before, on the rows of both: {said}, {moved}{end}"]


def score_lines(scores: Mapping[str, Mapping[str, Score]], metric: str) -> list[str]:
    """The deciding metric and the two people ask for next; the rest is in the JSON and the report."""
    first = dict.fromkeys((metric, "accuracy", "log_loss", "mae"))
    return [score_line(where, m, by[m]) for where, by in scores.items() for m in first if m in by]


def score_line(where: str, metric: str, s: Score) -> str:
    between = f"{number(s.champion, '.4f')} -> {number(s.challenger, '.4f')}"
    return f"  {where:<5}{metric:<18} {between}  {difference(s)}  n={s.n:,}"


def difference(s: Score) -> str:
    """+0.0118 [+0.0020, +0.0216]; in words where the rows do not determine it."""
    if not math.isfinite(s.difference):
        return "difference not known"
    interval = f"[{s.low:+.4f}, {s.high:+.4f}]" if math.isfinite(s.low + s.high) else "[interval not known]"
    return f"{s.difference:+.4f} {interval}"


@dataclass(frozen=True)
class Evaluated(Shown):
    """How good one version is on given labelled rows."""

    name: str
    version: str
    rows: int
    scores: Mapping[str, float]
    cleaning: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def lines(self) -> list[str]:
        scores = [f"  {k:<18} {number(v, '.4f')}" for k, v in self.scores.items()]
        return [f"{self.name} {self.version} on {self.rows:,} rows", *scores, *(f"  note  {n}" for n in self.notes)]


@dataclass(frozen=True)
class Predicted(Shown):
    """Where predictions were written."""

    name: str
    version: str
    rows: int
    to: str
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def lines(self) -> list[str]:
        head = f"{self.name} {self.version} predicted {self.rows:,} rows -> {self.to} ({', '.join(self.columns)})"
        return [head, *(f"  note  {n}" for n in self.notes)]


@dataclass(frozen=True)
class Pointed(Shown):
    """The champion's name moved."""

    name: str
    was: str
    version: str
    kind: str  # "promoted" | "rolled back"

    def lines(self) -> list[str]:
        return [f"{self.kind}: {self.name} serves {self.version} (was {self.was})"]


@dataclass(frozen=True)
class Saved(Shown):
    """A version written back in its own format."""

    name: str
    version: str
    files: tuple[str, ...]

    def lines(self) -> list[str]:
        return [f"saved {self.name} {self.version}: {', '.join(self.files)}"]


@dataclass(frozen=True)
class Listing(Shown):
    """Rows of facts under headings: models, versions or events."""

    title: str
    rows: Sequence[Mapping[str, Any]]

    def lines(self) -> list[str]:
        if not self.rows:
            return [f"{self.title}: none yet"]
        columns = list(self.rows[0])
        shown = [[_cell(row.get(c)) for c in columns] for row in self.rows]
        widths = [max(len(c), *(len(r[i]) for r in shown)) for i, c in enumerate(columns)]
        lines = ["  ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)).rstrip() for row in (columns, *shown)]
        return [self.title, *lines]


def _cell(value: Any) -> str:
    return "" if value is None else number(value, ".4f") if isinstance(value, float) else str(value)

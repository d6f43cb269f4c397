"""What a monitor says of a model in service: windows, alarms, drift. Values that cannot be known are NaN or absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Level = Literal["ok", "warning", "critical", "unknown"]
Importance = Literal["low", "medium", "high", "unknown"]


@dataclass(frozen=True)
class MetricValue:
    """One metric on the ``n`` rows (of a ranking: groups) that could be scored; ``low`` to ``high`` holds it: 95 %."""

    value: float
    low: float
    high: float
    n: int
    estimated: bool = False  # without labels, from the model's own confidence: blind to a change of concept


@dataclass(frozen=True)
class Window:
    """Rows of one stretch, one version, one slice ("": all). ``metrics`` speaks for the ``labelled`` rows alone."""

    start: str  # ISO 8601 UTC, or the number of the first row where there is no time
    end: str
    rows: int
    labelled: int
    version: str
    slice: str = ""  # "sex=f"
    mature: bool = True  # labels of these rows had the usual time to arrive
    metrics: Mapping[str, MetricValue] = field(default_factory=dict)
    # Target column -> metric, of the answers that are not the judged one, on their own labelled rows.
    answers: Mapping[str, Mapping[str, MetricValue]] = field(default_factory=dict)
    estimates: Mapping[str, MetricValue] = field(default_factory=dict)  # of all rows of the window, labels or not
    predictions: Mapping[str, int] = field(default_factory=dict)  # class -> how often it was predicted
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # class in truth -> predicted -> rows


class AlarmKind(StrEnum):
    """What an alarm is about."""

    QUALITY = "quality"  # the model errs more often
    DRIFT = "drift"  # values are distributed differently
    MISSING = "missing"  # values are missing more often
    UNSEEN = "unseen"  # categories that the reference rows do not hold
    RANGE = "range"  # numbers outside the reference rows' range
    TYPES = "types"  # a column is gone, or holds another unit
    FRESHNESS = "freshness"  # no rows came
    VOLUME = "volume"  # unusually many or few rows
    LABELS = "labels"  # no labels came


class AlarmCause(StrEnum):
    """What was observed, and probably caused the alarm."""

    WRONG_ANSWERS_ROSE = "wrong_answers_rose"
    LARGE_LOSSES_ROSE = "large_losses_rose"
    POOR_TEXTS_ROSE = "poor_texts_rose"  # written answers that share few words with their labels
    CLASS_ERRORS_ROSE = "class_errors_rose"  # wrong answers to rows of one class
    VALUES_SHIFTED = "values_shifted"
    PREDICTIONS_SHIFTED = "predictions_shifted"
    COLUMNS_SHIFTED_TOGETHER = "columns_shifted_together"
    TEXTS_CHANGED = "texts_changed"
    ANSWERS_CHANGED = "answers_changed"  # what the model writes
    VALUES_MISSING = "values_missing"
    CATEGORIES_UNSEEN = "categories_unseen"
    VALUES_OUT_OF_RANGE = "values_out_of_range"
    COLUMN_GONE = "column_gone"
    UNIT_CHANGED = "unit_changed"
    ROWS_STOPPED = "rows_stopped"
    LABELS_STOPPED = "labels_stopped"
    VOLUME_UNUSUAL = "volume_unusual"


class AlarmLink(StrEnum):
    """Why several columns are one alarm."""

    RELATED_COLUMNS = "related_columns"  # they moved together in the reference rows
    SAME_ROWS = "same_rows"  # they changed from the same rows on


class TextAspect(StrEnum):
    """What is watched of texts: the ends of the columns' names."""

    MISSING = "missing"
    SCRIPT = "script"
    LANGUAGE = "language"
    UNSEEN_WORDS = "unseen words"
    REPEATS = "repeats"
    SURPRISE = "surprise"  # how unlikely the model's network finds them
    LENGTH = "length"
    MEANING = "meaning"
    NOVELTY = "novelty"
    TOPIC = "topic"
    WORD_LENGTH = "word length"
    DIGITS = "digits"
    CAPITALS = "capitals"
    SIGNS = "signs"
    NOT_ASCII = "not ASCII"
    EMPTY = "empty"  # of written answers, as the next two
    REFUSALS = "refusals"
    LOOPS = "loops"  # answers that run in circles


@dataclass(frozen=True)
class TextChange:
    """One aspect of a column's texts, of new rows and of the reference: characters a text or a word, bits a character,
    else a share.
    """

    column: str
    aspect: TextAspect
    now: float
    before: float
    detail: str = ""  # the script, or the language


@dataclass(frozen=True)
class AlarmData:
    """The numbers behind an alarm; None where they do not apply."""

    share_now: float | None = None  # of the newest rows
    share_before: float | None = None  # of the reference rows, or of the first rows watched
    importance: float | None = None  # of the column to the model, 0 to 1 (the most important column)
    changed_columns: tuple[str, ...] = ()  # that had an open alarm when this one opened
    rows: int | None = None  # of the window in question
    usual_rows: tuple[int, int] | None = None  # least and most of a usual window
    silent_seconds: float | None = None
    longest_gap: float | None = None  # seconds between two deliveries
    n_deliveries: int | None = None
    link: AlarmLink | None = None
    texts: tuple[TextChange, ...] = ()


@dataclass(frozen=True)
class Alarm:
    """Something that holds beyond doubt. Opens once, closes by itself; ``closed`` is "" while it is open.

    ``monitoring/alarms/alarm_wording.py`` puts it into words, and names the command to run next.
    """

    kind: AlarmKind
    subject: str  # the metric or the column: bounded by the contract
    level: Level
    since: str  # ISO 8601 UTC, or the number of a row
    evidence: float  # e-value: 1 / evidence bounds the chance of a false alarm; inf for what is certain
    cause: AlarmCause
    data: AlarmData = AlarmData()
    closed: str = ""
    members: tuple[str, ...] = ()  # keys of what alarmed from one cause: "drift:age"; () for what is certain


@dataclass(frozen=True)
class Drift:
    """How one column (or "prediction", "all columns") of the rows watched differs from the reference."""

    column: str
    statistics: Mapping[str, float]  # "ks", "psi", "jensen_shannon", "wasserstein", "chi2", "missing", "unseen", …
    importance: Importance  # by how much the model depends on the column
    level: Level = "ok"
    evidence: float = float("nan")  # anytime-valid e-value against "the rows are like the reference"


@dataclass(frozen=True)
class MonitorStatus:
    """The monitor's whole state as others read it: Prometheus, Nagios, the web page, the notifiers, maintenance.

    ``counters`` only grow and survive restarts: "predictions", "labels", "batches", "duplicates", "unmatched_labels"
    (labels whose row was never seen), "alarms" (opened so far), "predicted.CLASS". ``gauges``: "last_row" and
    "last_label" (Unix seconds the newest came in), "label_delay" (median, seconds), "latency_p50", "latency_p99"
    (seconds a batch), "throughput" (rows a second), "false_alarm_rate" (the promise); absent where not known.
    """

    name: str
    version: str  # in service at the newest window
    task: str
    at: str  # ISO 8601 UTC: when the monitor last looked
    windows: tuple[Window, ...] = ()  # oldest first, as many as are kept
    alarms: tuple[Alarm, ...] = ()  # open ones first, then closed ones, newest first
    drift: tuple[Drift, ...] = ()  # of the newest look, what matters most first
    baseline: Mapping[str, float] = field(default_factory=dict)  # metric -> at adoption or promotion
    counters: Mapping[str, int] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def open(self) -> tuple[Alarm, ...]:
        return tuple(a for a in self.alarms if not a.closed)

"""What the judge decided, and why: comparisons, reasons, the verdict. Plain values, so that they can be stored.

Nothing here is a sentence: ``judging/verdict_wording.py`` puts a reason into words for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Finding(StrEnum):
    """What one gate found. ``invalid``: the rows are no evidence, for or against."""

    PASS = "pass"  # noqa: S105
    HOLD = "hold"
    FAIL = "fail"
    INVALID = "invalid"


class Decision(StrEnum):
    """What happens to the challenger."""

    PROMOTE = "promote"
    HOLD = "hold"
    REJECT = "reject"
    INVALID = "invalid"


class Grade(StrEnum):
    """What a set of rows shows of a challenger, by the primary metric.

    ``better`` and ``worse``: the 95 % interval of the difference lies on one side of 0. ``no_worse``: a loss of the
    margin or more is ruled out with 95 % confidence. ``inconclusive``: none of these.
    """

    BETTER = "better"
    NO_WORSE = "no_worse"
    INCONCLUSIVE = "inconclusive"
    WORSE = "worse"


class JudgePolicy(StrEnum):
    """What the judge asks of a challenger before it may replace the champion.

    ``better``: a gain, and no harm beyond the margin. ``no_worse``: harm beyond the margin is ruled out, for a model
    refreshed on newer rows. ``refresh``: promoted unless it is shown to be worse. ``cheaper``: no harm beyond the
    margin, and measured faster or smaller.
    """

    BETTER = "better"
    NO_WORSE = "no_worse"
    REFRESH = "refresh"
    CHEAPER = "cheaper"


class JudgedRows(StrEnum):
    """Which rows a reason speaks of: the new ones or those known before; or what judges where no new rows came."""

    NEW = "new"
    PAST = "past"
    HELD_OUT = "held_out"  # judge as new ones do: neither of the two models was trained on them
    GUARDED = "guarded"  # that the user named: the challenger may not get worse there
    TASK = "task"  # questions of a task that the user named


class ReasonCode(StrEnum):
    """Why a gate found what it found. A gate from outside may use a code of its own, with a template for its text."""

    METRIC_UNDEFINED = "metric_undefined"
    ROWS_UNSCORABLE = "rows_unscorable"
    ROWS_SUSPECT = "rows_suspect"
    SUSPICION_REFUTED = "suspicion_refuted"
    NOT_FOR_REGRESSION = "not_for_regression"
    TOO_FEW_EVENTS = "too_few_events"
    ENOUGH_EVENTS = "enough_events"
    EVENTS_NOT_COUNTED = "events_not_counted"
    GAIN_SHOWN = "gain_shown"
    GAIN_UNCERTAIN = "gain_uncertain"
    NO_GAIN = "no_gain"
    SHOWN_WORSE = "shown_worse"
    FAR_WORSE = "far_worse"
    NOT_SHOWN_WORSE = "not_shown_worse"
    RECIPE_SHOWN_BETTER = "recipe_shown_better"
    RECIPE_SHOWN_WORSE = "recipe_shown_worse"
    RECIPE_NO_WORSE = "recipe_no_worse"
    WITHIN_MARGIN = "within_margin"
    BEYOND_MARGIN = "beyond_margin"
    HARM_NOT_EXCLUDED = "harm_not_excluded"
    PAST_LOSS_OUTWEIGHED = "past_loss_outweighed"
    NO_PAST_ROWS = "no_past_rows"
    PAST_KEPT = "past_kept"
    PAST_FORGOTTEN = "past_forgotten"
    NO_GUARD = "no_guard"
    NO_GUARD_ROWS = "no_guard_rows"
    GUARD_KEPT = "guard_kept"
    GUARD_FELL = "guard_fell"
    GUARD_SHOWN_WORSE = "guard_shown_worse"
    NO_SLICE_TESTED = "no_slice_tested"
    SLICES_UNHARMED = "slices_unharmed"
    SLICE_HARMED = "slice_harmed"
    ANSWERS_UNHARMED = "answers_unharmed"
    ANSWER_HARMED = "answer_harmed"
    SKILL_UNKNOWN = "skill_unknown"
    SKILL_UNDEFINED = "skill_undefined"
    SKILL_KEPT = "skill_kept"
    SKILL_LOST = "skill_lost"
    BELOW_BASELINE = "below_baseline"
    CALIBRATION_KEPT = "calibration_kept"
    CALIBRATION_WORSE = "calibration_worse"
    FLIPS_WITHIN_LIMIT = "flips_within_limit"
    FLIPS_ABOVE_LIMIT = "flips_above_limit"
    NO_VOTES = "no_votes"
    VOTES_KEPT = "votes_kept"
    VOTES_SHOWN_WORSE = "votes_shown_worse"
    COST_NOT_MEASURED = "cost_not_measured"
    LATENCY_WITHIN_LIMIT = "latency_within_limit"
    LATENCY_ABOVE_LIMIT = "latency_above_limit"
    SIZE_WITHIN_LIMIT = "size_within_limit"
    SIZE_ABOVE_LIMIT = "size_above_limit"
    CHEAPER = "cheaper"
    NOT_CHEAPER = "not_cheaper"


class Method(StrEnum):
    """How the interval of a difference was found."""

    MCNEMAR = "McNemar"
    DELONG = "DeLong"
    BOOTSTRAP = "paired bootstrap"
    POOLED = "pooled"
    UNDEFINED = "undefined"


@dataclass(frozen=True)
class Comparison:
    """One metric of both models on the same rows.

    ``difference`` is challenger - champion; ``low`` to ``high`` holds it with ``confidence``, two-sided.
    ``n_groups``: groups of dependent rows that were drawn or summed whole; of a pooled comparison ``n_updates``.
    NaN: the rows do not determine it.
    """

    metric: str
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    n: int
    higher_is_better: bool
    method: Method
    confidence: float = 0.95
    standard_error: float = float("nan")
    p_value: float = float("nan")  # two-sided, of no difference
    n_groups: int | None = None
    n_updates: int = 1

    @property
    def gain(self) -> float:
        """The difference, positive where the challenger scores higher (for a loss: lower)."""
        return self.difference if self.higher_is_better else -self.difference

    @property
    def gain_low(self) -> float:
        """Lower end of the gain's interval."""
        return self.low if self.higher_is_better else -self.high

    @property
    def gain_high(self) -> float:
        """Upper end of the gain's interval."""
        return self.high if self.higher_is_better else -self.low


@dataclass(frozen=True)
class Cost:
    """What a model costs to run: median seconds for one batch of ``rows`` rows, and bytes as saved."""

    latency: float
    rows: int
    size: int


@dataclass(frozen=True)
class CostChange:
    """Both models' costs, and the limit in question.

    ``limit`` is a ratio challenger / champion, or for "cheaper" the share that must be saved. ``size_only``: only size
    was asked for.
    """

    champion: Cost
    challenger: Cost
    limit: float
    size_only: bool = False


@dataclass(frozen=True)
class SliceTest:
    """How many slices were given and tested; ``harmed`` and its adjusted p value where one is shown to be harmed."""

    n_given: int
    n_tested: int
    harmed: str = ""
    p_value: float = float("nan")


@dataclass(frozen=True)
class SkillChange:
    """Share of the trivial baseline's loss that the challenger removes on these rows, and that it usually removes."""

    now: float
    usual: float


@dataclass(frozen=True)
class Flips:
    """Rows of ``n`` that the champion had right and the challenger has wrong; ``limit``: the share allowed."""

    n_flipped: int
    n: int
    limit: float


@dataclass(frozen=True)
class VoteCount:
    """Prompts on which people preferred one of two models' answers, or neither. ``p_value``: of the exact sign test;
    ``low`` to ``high`` holds the difference of the shares, challenger - champion, with ``confidence``.
    """

    for_challenger: int
    for_champion: int
    ties: int = 0
    p_value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    confidence: float = 0.95

    @property
    def n(self) -> int:
        return self.for_challenger + self.for_champion + self.ties


@dataclass(frozen=True)
class EventCount:
    """Rows outside of the commonest class among ``n`` judged rows, and how many of them a verdict needs."""

    n_events: int
    n: int
    needed: int


@dataclass(frozen=True)
class GradedRows:
    """What one set of rows shows by the primary metric. ``grade`` None: the rows do not determine it.

    ``margin`` is in the metric's own unit. ``pooled`` and its grade speak of the recipe, over this and earlier updates.
    """

    rows: JudgedRows
    grade: Grade | None
    comparison: Comparison
    margin: float
    pooled: Comparison | None = None
    pooled_grade: Grade | None = None


@dataclass(frozen=True)
class Reason:
    """What one gate found, with the numbers behind it.

    ``comparison`` is what the finding is about; ``pooled`` the same over this and earlier updates of the recipe;
    ``past`` the comparison on rows known before. Margins are in the metric's own unit. ``message`` is the text of an
    error that made the rows unusable, or of a suspicion about them. A gate from outside gives a ``code`` of its own,
    and a ``template`` such as ``"The gap is {gap:.2f}."`` that names its ``numbers``.
    """

    gate: str
    finding: Finding
    code: str  # a ReasonCode, or the own code of a gate from outside
    comparison: Comparison | None = None
    rows_needed: int | None = None
    rows: JudgedRows = JudgedRows.NEW
    margin: float | None = None
    past: Comparison | None = None
    past_margin: float | None = None
    pooled: Comparison | None = None
    slices: SliceTest | None = None
    skill: SkillChange | None = None
    flips: Flips | None = None
    events: EventCount | None = None
    cost: CostChange | None = None
    votes: VoteCount | None = None
    message: str = ""
    answer: str = ""  # the target column of the answer that this is about, where it is not the judged one
    numbers: Mapping[str, float] = field(default_factory=dict)
    template: str = ""


@dataclass(frozen=True)
class Verdict:
    """What happens to the challenger, and why. ``rows_needed`` (hold only): how many judged rows would do.

    ``policy`` is what was asked; None of a verdict that was stored before policies were. ``graded``: what the new rows
    and those known before show, whatever was decided.
    """

    decision: Decision
    reasons: tuple[Reason, ...]
    comparisons: tuple[Comparison, ...] = ()
    rows_needed: int | None = None
    policy: JudgePolicy | None = None
    graded: tuple[GradedRows, ...] = ()
    stopped_by: tuple[str, ...] = ()  # the gates to which it is due that this is no promotion

    def on(self, rows: JudgedRows) -> Verdict:
        """The same verdict, where the rows that judged were no new ones."""
        named = {JudgedRows.NEW: rows}
        graded = tuple(replace(g, rows=named.get(g.rows, g.rows)) for g in self.graded)
        reasons = tuple(replace(r, rows=named.get(r.rows, r.rows)) for r in self.reasons)
        return replace(self, graded=graded, reasons=reasons)

    @property
    def judged_rows(self) -> JudgedRows:
        """The rows that judged."""
        return name_judged_rows(self.graded)


def name_judged_rows(graded: Sequence[GradedRows]) -> JudgedRows:
    """The rows that judged: where none could be graded, new ones."""
    return next((one.rows for one in graded if one.rows is not JudgedRows.PAST), JudgedRows.NEW)

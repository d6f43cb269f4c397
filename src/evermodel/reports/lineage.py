"""The chain of versions: who came from whom, what became of each, what serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evermodel.core.records.event import SERVING, Event, EventKind
from evermodel.core.records.version_card import VersionCard
from evermodel.reports import charts
from evermodel.reports.charts import Frame, short
from evermodel.reports.score_tables import main_metric
from evermodel.reports.words import DECIDED, day, format_number, is_number, label_of, setting_words

MOST_VERSIONS = 24
STEP, LANE = 76.0, 54.0


@dataclass(frozen=True)
class VersionRow:
    """One version in the chain."""

    version: str
    parents: str
    strategy: str
    word: str
    sign: str
    decision: str
    score: str
    created: str
    serving: bool
    here: bool


@dataclass(frozen=True)
class Lineage:
    """The picture, the table under it, and how this version was made."""

    drawn: Markup | None
    rows: tuple[VersionRow, ...]
    left_out: int
    origin: tuple[tuple[str, str], ...]
    packages: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]


def lineage(card: VersionCard, cards: Sequence[VersionCard], log: Sequence[Event], serving: str | None) -> Lineage:
    """The newest versions up to 24, this one and the one in service always among them."""
    shown = list(cards[-MOST_VERSIONS:])
    shown = [c for c in cards if c.version in (card.version, serving) and c not in shown] + shown
    by_hand = {e.version for e in log if e.kind is EventKind.PROMOTED_BY_HAND}
    rows = tuple(_row(c, serving, card.version, c.version in by_hand) for c in shown)
    served = {e.version for e in log if e.kind in SERVING}
    drawn = _drawn(shown, rows, served) if len(shown) > 1 else None
    origin = [
        ("parents", ", ".join(card.parents)),
        ("made by", _change(card)),
        ("seed", str(card.seed)),
        ("framework", card.framework),
        ("made", day(card.created)),
        *((f"{role} rows", str(digest)) for role, digest in card.data.items() if digest),
    ]
    return Lineage(
        drawn,
        rows,
        len(cards) - len(shown),
        tuple((k, v) for k, v in origin if v),
        tuple((str(k), str(v)) for k, v in card.packages.items()),
        tuple((str(k), str(v)) for k, v in card.files.items()),
    )


def decision_of(card: VersionCard) -> str:
    """ "promote", "hold", "reject", "invalid", or "" for a version that no judge saw."""
    return card.decision


def _change(card: VersionCard) -> str:
    settings = setting_words(card.settings)
    return f"{card.strategy} ({settings})" if settings else card.strategy


def _row(card: VersionCard, serving: str | None, here: str, by_hand: bool) -> VersionRow:
    decision = decision_of(card)
    word, sign, _ = DECIDED[decision]
    return VersionRow(
        card.version,
        ", ".join(card.parents),
        card.strategy,
        word + (", then promoted by hand" if by_hand else ""),
        sign,
        decision or "adopt",
        _main_score(card),
        day(card.created),
        card.version == serving,
        card.version == here,
    )


def _main_score(card: VersionCard) -> str:
    metric = main_metric(card)
    value = card.known_scores.get(metric)
    return f"{label_of(metric)} {format_number(value)}" if is_number(value) else ""


def _drawn(shown: Sequence[VersionCard], rows: Sequence[VersionRow], served: set[str]) -> Markup:
    """Versions left to right: those that served on the upper line, the others hanging below their parent."""
    at = {c.version: (40 + STEP * i, 30.0 if c.version in served else 30.0 + LANE) for i, c in enumerate(shown)}
    width, height = 80 + STEP * (len(shown) - 1), 122.0 if any(c.version not in served for c in shown) else 70.0
    frame = Frame((0, 1), (0, 1), width=width, height=height)
    parts = [
        Markup('<path class="edge {}" d="M{} {}C{} {} {} {} {} {}"/>').format(
            "main" if child.version in served else "side", *_bend(at[parent], at[child.version])
        )
        for child in shown
        for parent in child.parents
        if parent in at
    ]
    for row in rows:
        x, y = at[row.version]
        css = f"node {row.decision}{' here' if row.here else ''}"
        tip = charts.tooltip(f"{row.version}: {row.strategy}, {row.word}. {row.score}")
        parts.append(
            Markup(
                '<g class="{}">{}<circle cx="{}" cy="{}" r="13"/><text class="sign" x="{}" y="{}" text-anchor="middle">'
                '{}</text><text class="node-name" x="{}" y="{}" text-anchor="middle">{}</text></g>'
            ).format(
                css, tip, short(x), short(y), short(x), short(y + 4), row.sign, short(x), short(y + 28), row.version
            )
        )
        if row.serving:
            parts.append(Markup('<circle class="serving" cx="{}" cy="{}" r="17.5"/>').format(short(x), short(y)))
    described = f"{len(shown)} versions; the ring marks the one in service"
    return charts.svg(frame, "Chain of versions", parts, described=described, css="chain")


def _bend(a: tuple[float, float], b: tuple[float, float]) -> list[str]:
    middle = (a[0] + b[0]) / 2
    return [short(v) for v in (a[0], a[1], middle, a[1], middle, b[1], b[0], b[1])]

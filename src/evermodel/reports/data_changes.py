"""What changed in the data: cleaning, differences from the contract, columns that moved."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evermodel.core.contracts.column_profile import ColumnShift, compare_profiles
from evermodel.core.records.data_summary import CleaningSummary, ColumnCleaning, DataSummary
from evermodel.core.records.version_card import VersionCard
from evermodel.reports.sparklines import bar, then_and_now
from evermodel.reports.words import count, describe_drift_level, format_number, format_signed, percent

MOST_COLUMNS = 40
MOST_DRAWN = 6
DONE = {  # what cleaning counts -> how it is said
    "converted": "read as numbers",
    "trimmed": "blanks trimmed",
    "unreadable": "unreadable, now missing",
    "infinite": "infinite, now missing",
    "impossible": "stand-ins or impossible, now missing",
    "missing": "missing",
}
ACTIONS = {"refuse": "accepted by hand", "migrate": "migrated", "note": "noted"}


@dataclass(frozen=True)
class Row:
    """A table row: its heading and its cells."""

    head: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class DriftRow:
    """How one column moved."""

    column: str
    target: bool
    psi: str
    drawn: Markup
    ks: str
    mean: str
    missing: str
    words: str


@dataclass(frozen=True)
class Drift:
    """All columns, the most moved first, and pictures of those that moved."""

    against: str
    rows: tuple[DriftRow, ...]
    left_out: int
    drawn: tuple[tuple[str, Markup], ...]
    said: str


@dataclass(frozen=True)
class Changes:
    """Everything the data section shows."""

    dropped: tuple[Row, ...]
    cleaned: tuple[Row, ...]
    differences: tuple[Row, ...]
    notes: tuple[str, ...]
    drift: Drift | None

    def __bool__(self) -> bool:
        return bool(self.dropped or self.cleaned or self.differences or self.notes or self.drift)


def changes(card: VersionCard, parent: VersionCard | None, target: str | None) -> Changes:
    """What changed in this version's rows; ``target`` names the label's column, marked in the drift table."""
    data = card.update.data if card.update is not None else DataSummary()
    cleaning = cleaning_of(card)
    return Changes(
        dropped=tuple(Row(reason, (count(n),)) for reason, n in cleaning.dropped.items() if n),
        cleaned=tuple(_cleaned(column) for column in cleaning.columns[:MOST_COLUMNS]),
        differences=tuple(Row(d.kind, (d.text, ACTIONS.get(d.action, d.action))) for d in data.differences),
        notes=(*cleaning.notes, *_known_before(data)),
        drift=_drift(card, parent, target),
    )


def cleaning_of(card: VersionCard) -> CleaningSummary:
    """What cleaning did to the rows that the version came with; empty where none came."""
    record = card.update.data if card.update is not None else card.adoption
    return (record.cleaning if record is not None else None) or CleaningSummary()


def _known_before(data: DataSummary) -> list[str]:
    n = data.known_before
    return [f"{count(n)} rows were known before and were left out."] if n else []


def _cleaned(column: ColumnCleaning) -> Row:
    counts = {name: n for name, n in dataclasses.asdict(column).items() if name != "column" and n}
    return Row(column.column, (", ".join(f"{count(n)} {DONE[name]}" for name, n in counts.items()),))


def _drift(card: VersionCard, parent: VersionCard | None, target: str | None) -> Drift | None:
    if parent is None or card.profile is None or parent.profile is None:
        return None
    was, now = parent.profile, card.profile
    moved = sorted(compare_profiles(was, now), key=lambda m: -how_far(m))
    if not moved:
        return None
    rows = tuple(
        DriftRow(
            m.column,
            m.column == target,
            format_number(m.psi, 3),
            bar(how_far(m) / 0.5, "challenger" if how_far(m) >= 0.1 else "neutral"),
            format_number(m.ks, 3),
            "" if m.mean is None else f"{format_signed(m.mean, 2)} sd",
            f"{format_signed(100 * m.missing, 1)} %" if abs(m.missing) >= 5e-4 else "",
            describe_drift_level(how_far(m)),
        )
        for m in moved[:MOST_COLUMNS]
    )
    drawn = []
    for m in [m for m in moved if how_far(m) >= 0.05][:MOST_DRAWN]:
        picture = then_and_now(was.columns[m.column], now.columns[m.column], m.column)
        if picture is not None:
            drawn.append((m.column, picture))
    against = f"the rows {parent.version} was {'adopted' if parent.strategy == 'adopt' else 'updated'} with"
    return Drift(against, rows, len(moved) - len(rows), tuple(drawn), _said(moved, target))


def how_far(moved: ColumnShift) -> float:
    """The larger of both measures: bins of equal rows cannot see a column of few values move, the KS distance can."""
    return max(moved.psi, moved.ks)


def _said(moved: Sequence[ColumnShift], target: str | None) -> str:
    far = [m for m in moved if how_far(m) >= 0.25]
    some = [m for m in moved if 0.1 <= how_far(m) < 0.25]
    label = next((m for m in moved if m.column == target), None)
    if not far and not some:
        said = f"None of {len(moved)} columns moved noticeably."
    else:
        said = f"Of {len(moved)} columns {len(far)} moved far and {len(some)} moved."
    if label is not None and how_far(label) >= 0.1:
        said += f" The label itself ({label.column}) moved: what is being predicted has changed."
    return said


def class_shares(card: VersionCard) -> tuple[Row, ...]:
    """Rows of each class among this version's rows."""
    counts = cleaning_of(card).classes if card.update is not None else {}
    whole = sum(counts.values())
    if not whole:
        return ()
    most = sorted(counts.items(), key=lambda kv: -kv[1])[:MOST_COLUMNS]
    return tuple(Row(str(k), (count(n), percent(n / whole))) for k, n in most)

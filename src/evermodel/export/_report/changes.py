"""What changed in the data: cleaning, differences from the contract, columns that moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from evermodel.core.profile import Moved, profile_difference
from evermodel.core.store import Card
from evermodel.export._report.small import bar, then_and_now
from evermodel.export._report.words import count, known, moved_words, number, percent, signed

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


def changes(card: Card, parent: Card | None, target: str | None) -> Changes:
    """What is known of this version's rows; ``target`` names the label's column, marked in the drift table."""
    data: Mapping[str, Any] = (card.facts.get("result") or {}).get("data") or {}
    cleaning: Mapping[str, Any] = data.get("cleaning") or card.facts.get("cleaning") or {}
    notes = (*cleaning.get("notes", ()), *_known(data))
    return Changes(
        dropped=tuple(Row(str(k), (count(n),)) for k, n in (cleaning.get("dropped") or {}).items() if n),
        cleaned=tuple(_cleaned(c) for c in cleaning.get("columns", ())[:MOST_COLUMNS]),
        differences=tuple(_difference(d) for d in data.get("differences") or ()),
        notes=tuple(str(n) for n in notes),
        drift=_drift(card, parent, target),
    )


def _known(data: Mapping[str, Any]) -> list[str]:
    n = data.get("known_before")
    return [f"{count(n)} rows were known before and were left out."] if known(n) and n else []


def _cleaned(column: Mapping[str, Any]) -> Row:
    what = ", ".join(f"{count(n)} {DONE.get(k, k)}" for k, n in column.items() if k != "column")
    return Row(str(column.get("column", "")), (what,))


def _difference(found: Mapping[str, Any]) -> Row:
    action = str(found.get("action", ""))
    return Row(str(found.get("kind", "")), (str(found.get("text", "")), ACTIONS.get(action, action)))


def _drift(card: Card, parent: Card | None, target: str | None) -> Drift | None:
    now, was = card.facts.get("profile"), (parent.facts.get("profile") if parent else None)
    if not now or not was or parent is None:
        return None
    moved = sorted(profile_difference(was, now), key=lambda m: -how_far(m))
    if not moved:
        return None
    rows = tuple(
        DriftRow(
            m.column, m.column == target, number(m.psi, 3),
            bar(how_far(m) / 0.5, "challenger" if how_far(m) >= 0.1 else "neutral"),
            number(m.ks, 3), "" if m.mean is None else f"{signed(m.mean, 2)} sd",
            f"{signed(100 * m.missing, 1)} %" if abs(m.missing) >= 5e-4 else "", moved_words(how_far(m)),
        )
        for m in moved[:MOST_COLUMNS]
    )  # fmt: skip
    drawn = []
    for m in [m for m in moved if how_far(m) >= 0.05][:MOST_DRAWN]:
        picture = then_and_now(was["columns"][m.column], now["columns"][m.column], m.column)
        if picture is not None:
            drawn.append((m.column, picture))
    against = f"the rows {parent.version} was {'adopted' if parent.change == 'adopt' else 'updated'} with"
    return Drift(against, rows, len(moved) - len(rows), tuple(drawn), _said(moved, target))


def how_far(moved: Moved) -> float:
    """The larger of both measures: bins of equal rows cannot see a column of few values move, the KS distance can."""
    return max(moved.psi, moved.ks)


def _said(moved: Sequence[Moved], target: str | None) -> str:
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


def class_shares(card: Card) -> tuple[Row, ...]:
    """Rows of each class among this version's rows."""
    cleaning = ((card.facts.get("result") or {}).get("data") or {}).get("cleaning") or {}
    counts: Mapping[str, int] = cleaning.get("classes") or {}
    whole = sum(counts.values())
    if not whole:
        return ()
    most = sorted(counts.items(), key=lambda kv: -kv[1])[:MOST_COLUMNS]
    return tuple(Row(str(k), (count(n), percent(n / whole))) for k, n in most)

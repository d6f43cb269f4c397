"""Finds the comparison that decided on a challenger: on its version's card, or in the event where that says more."""

from __future__ import annotations

from evermodel.core.records.event import Decided, Event
from evermodel.core.records.verdict import Comparison
from evermodel.core.store import Store


def deciding_comparison(store: Store, event: Event, *, primary: bool = False) -> Comparison | None:
    """The comparison by the metric that people look at, or by the primary one: its rows are the evidence.

    None where no gate made one, or where nothing was judged.
    """
    data = event.data
    if not isinstance(data, Decided):
        return None
    again = data.reanalysis_primary or data.reanalysis if primary else data.reanalysis
    if again is not None:
        return again
    update = store.read_card(event.name, data.version).update
    if update is None:
        return None
    return update.primary_evidence if primary else update.evidence

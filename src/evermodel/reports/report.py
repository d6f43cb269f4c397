"""One self-contained HTML page about a version: verdict, scores, curves, what changed in the data, lineage."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from evermodel.core.data.contract import Contract
from evermodel.core.errors import AskedWrongly, Damaged, EvermodelError, NotFound
from evermodel.core.files import write_text
from evermodel.core.masking import make_printable
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Store
from evermodel.explaining.explain import explain
from evermodel.registry.lookup import champion_of, open_store
from evermodel.registry.results import Result
from evermodel.reports.lineage import decision_of
from evermodel.reports.page import ReportData, page
from evermodel.reports.words import DECIDED

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReportResult(Result):
    """Where a report was written, and on what."""

    name: str
    version: str
    decision: str  # "promote" | "hold" | "reject" | "invalid" | "adopt"
    to: str
    size: int  # bytes

    def lines(self) -> list[str]:
        said = DECIDED[self.decision if self.decision != "adopt" else ""][0]
        return [f"report on {self.name} {self.version} ({said}) -> {self.to} ({self.size / 1000:.0f} kB)"]


def report(
    name: str,
    version: str | None = None,
    *,
    to: str | Path = "report.html",
    explanation: bool = True,
    registry: str | Path | None = None,
) -> ReportResult:
    """Write one HTML page on a version (the one in service unless told otherwise); it needs no other file, no network.

    ``version`` "newest" is the one stored last, whether it serves or not. ``explanation`` compares it with the version
    it was made from, on the rows that were kept out of all training; this loads both models. Raises NotFound for an
    unknown model, version or folder.

        $ evermodel report churn --to report.html
    """
    target = Path(to)
    if target.is_dir():
        raise AskedWrongly(f"`to` must name a file. Got the folder {target}.", f"Try {target / 'report.html'}.")
    if not target.absolute().parent.is_dir():
        raise NotFound(f"There is no folder {target.absolute().parent}.", "Make it first.")
    found = _known(open_store(registry), name, version)
    if explanation:
        found = _explain(found, registry)
    text = render_page(found)
    write_text(target, make_printable(text))
    return ReportResult(name, found.card.version, decision_of(found.card) or "adopt", str(target), len(text.encode()))


def _explain(found: ReportData, registry: str | Path | None) -> ReportData:
    """With the explanation; where there can be none (no rows are remembered, say), a note says why."""
    if not found.card.parents or found.card.update is None:
        return found
    try:
        explained = explain(found.card.name, found.card.parents[0], found.card.version, registry=registry)
    except EvermodelError as error:
        logger.info("The report on %s has no explanation.", found.card.version, exc_info=True)
        note = f"There is no explanation of what changed: {error.message}"
        return dataclasses.replace(found, warning=f"{found.warning} {note}".strip())
    return dataclasses.replace(found, explanation=explained)


def render_page(found: ReportData) -> str:
    """The page as text."""
    return str(_template().render(page=page(found)))


def _known(store: Store, name: str, version: str | None) -> ReportData:
    champion = champion_of(store, name)
    cards = store.list_cards(name)
    if version in (None, "champion"):
        card = champion
    else:
        card = cards[-1] if version == "newest" else store.read_card(name, str(version))
    parent = next((c for c in cards if card.parents and c.version == card.parents[0]), None)
    contract, warning = _contract(store, card)
    return ReportData(card, parent, cards, store.read_events(name), champion.version, contract, warning)


def _contract(store: Store, card: VersionCard) -> tuple[Contract | None, str]:
    """The version's contract; a damaged version is still reported on, and the page says that it is."""
    try:
        at = store.version_folder(card.name, card.version)
        return Contract.from_json((at / "contract.json").read_text()), ""
    except Damaged as error:
        return None, f"The stored files of this version are damaged. {error.message}"


@cache
def _template() -> Any:
    import jinja2

    loader = jinja2.PackageLoader("evermodel.reports", "files")
    surroundings = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return surroundings.get_template("report.html.j2")

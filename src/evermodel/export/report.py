"""One self-contained HTML page about a version: verdict, scores, curves, what changed in the data, lineage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from evermodel.core.contract import Contract
from evermodel.core.errors import AskedWrongly, Damaged, NotFound
from evermodel.core.files import write_text
from evermodel.core.store import Card, Store
from evermodel.export._report.lineage import decision_of
from evermodel.export._report.page import Known, page
from evermodel.export._report.words import DECIDED
from evermodel.loop.home import champion_of, open_home
from evermodel.loop.results import Shown


@dataclass(frozen=True)
class Reported(Shown):
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
    name: str, version: str | None = None, *, to: str | Path = "report.html", home: str | Path | None = None
) -> Reported:
    """Write one HTML page on a version (the newest unless told otherwise); it needs no network and no other file.

    ``version`` "champion" is the one in service. Raises NotFound for an unknown model, version or folder.

        $ evermodel report churn --to report.html
    """
    target = Path(to)
    if target.is_dir():
        raise AskedWrongly(f"--to must name a file. Got the folder {target}.", f"Try {target / 'report.html'}.")
    if not target.absolute().parent.is_dir():
        raise NotFound(f"There is no folder {target.absolute().parent}.", "Make it first.")
    found = _known(open_home(home), name, version)
    text = rendered(found)
    write_text(target, text)
    return Reported(name, found.card.version, decision_of(found.card) or "adopt", str(target), len(text.encode()))


def rendered(found: Known) -> str:
    """The page as text."""
    return str(_template().render(page=page(found)))


def _known(store: Store, name: str, version: str | None) -> Known:
    champion = champion_of(store, name)
    cards = store.cards(name)
    card = cards[-1] if version is None else champion if version == "champion" else store.card(name, version)
    parent = next((c for c in cards if card.parents and c.version == card.parents[0]), None)
    contract, warning = _contract(store, card)
    return Known(card, parent, cards, store.log(name), champion.version, contract, warning)


def _contract(store: Store, card: Card) -> tuple[Contract | None, str]:
    """The version's contract; a damaged version is still reported on, and the page says that it is."""
    try:
        at = store.get(card.name, card.version)
        return Contract.from_json((at / "contract.json").read_text()), ""
    except Damaged as error:
        return None, f"The stored files of this version are damaged. {error.message}"


@cache
def _template() -> Any:
    import jinja2

    loader = jinja2.PackageLoader("evermodel.export", "_report")
    surroundings = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return surroundings.get_template("report.html.j2")

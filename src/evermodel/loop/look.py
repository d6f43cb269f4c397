"""Look at what there is: models, versions, events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evermodel.core.store import Card, Store
from evermodel.loop.home import card_of, champion_of, checked_name, open_home
from evermodel.loop.results import Listing, plain


def models(*, home: str | Path | None = None) -> Listing:
    """All models of a home with the version in service.

    $ evermodel list
    """
    store = open_home(home)
    rows = []
    for name in store.models():
        cards = store.cards(name)
        champion = champion_of(store, name)
        rows.append(
            {"name": name, "serving": champion.version, "versions": len(cards), "framework": champion.framework,
             "created": champion.created}
        )  # fmt: skip
    for name in sorted(set(store.models("waiting")) - set(store.models())):
        card = store.cards(name)[-1]
        rows.append(
            {"name": name, "serving": "waits for rows", "versions": 1, "framework": card.framework,
             "created": card.created}
        )  # fmt: skip
    return Listing("models", rows)


def show(name: str, version: str | None = None, *, home: str | Path | None = None) -> Listing:
    """The versions of a model; or one version's card.

    $ evermodel show churn v3
    """
    store = open_home(home)
    if version is not None:
        card = store.card(name, version) if _waits(store, name) else card_of(store, name, version)
        return Listing(f"{name} {card.version}", [{"what": k, "value": v} for k, v in _facts(card).items()])
    champion = "" if _waits(store, name) else champion_of(store, name).version
    return Listing(name, [_version(card, champion) for card in store.cards(name)])


def log(name: str, *, home: str | Path | None = None) -> Listing:
    """What happened to a model, oldest first, and why.

    $ evermodel log churn
    """
    store = open_home(home)
    if not _waits(store, name):
        champion_of(store, name)
    rows = []
    for e in store.log(name):
        why = e.facts.get("reasons") or e.facts.get("notes") or [f"was {e.facts['was']}" if "was" in e.facts else ""]
        rows.append({"at": e.at, "what": e.kind, "version": e.facts.get("version"), "why": why[0] if why else ""})
    return Listing(f"log of {name}", rows)


def _waits(store: Store, name: str) -> bool:
    return store.at(checked_name(name), "champion") is None and store.at(name, "waiting") is not None


def _version(card: Card, champion: str) -> dict[str, Any]:
    scores = card.scores.get("new", card.scores.get("reference", {}))
    first = next(iter(scores.items()), ("", None))
    value = first[1]["challenger"] if isinstance(first[1], dict) else first[1]
    return {
        "version": card.version,
        "serving": "*" if card.version == champion else "",
        "change": card.change,
        "decision": card.verdict.get("decision", ""),
        "score": None if value is None else f"{first[0]} {value:.4f}",
        "created": card.created,
    }


def _facts(card: Card) -> dict[str, Any]:
    verdict = [r["text"] for r in card.verdict.get("reasons", ())]
    return {
        "parents": ", ".join(card.parents) or "-",
        "change": card.change,
        "settings": plain(card.settings),
        "framework": card.framework,
        "created": card.created,
        "decision": card.verdict.get("decision", "-"),
        "reasons": "; ".join(verdict) or "-",
        "data": plain(card.data),
        "packages": ", ".join(f"{k} {v}" for k, v in card.packages.items()),
        "files": ", ".join(f"{k} {v[:12]}" for k, v in card.files.items()),
    }

"""Look at what there is: models, versions, events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evermodel.core.records.version_card import VersionCard
from evermodel.judging.verdict_wording import describe_reason
from evermodel.registry.adoption.wording import describe_record, describe_signature
from evermodel.registry.drop_in_wording import describe_breaks, describe_serving_cost
from evermodel.registry.event_wording import describe_event
from evermodel.registry.lookup import card_of, champion_of, is_pending, open_store
from evermodel.registry.results import Listing, to_json_value


def models(*, registry: str | Path | None = None) -> Listing:
    """All models of a registry with the version in service.

    $ evermodel list
    """
    store = open_store(registry)
    rows = []
    for name in store.list_models():
        cards = store.list_cards(name)
        champion = champion_of(store, name)
        rows.append(
            {
                "name": name,
                "serving": champion.version,
                "versions": len(cards),
                "framework": champion.framework,
                "created": champion.created,
            }
        )
    for name in sorted(set(store.list_models("waiting")) - set(store.list_models())):
        card = store.list_cards(name)[-1]
        rows.append(
            {
                "name": name,
                "serving": "waits for rows",
                "versions": 1,
                "framework": card.framework,
                "created": card.created,
            }
        )
    return Listing("models", rows)


def show(name: str, version: str | None = None, *, registry: str | Path | None = None) -> Listing:
    """The versions of a model; or one version's card.

    $ evermodel show churn v3
    """
    store = open_store(registry)
    if version is not None:
        card = store.read_card(name, version) if is_pending(store, name) else card_of(store, name, version)
        return Listing(f"{name} {card.version}", [{"what": k, "value": v} for k, v in _rows_of_card(card).items()])
    champion = "" if is_pending(store, name) else champion_of(store, name).version
    return Listing(name, [_version(card, champion) for card in store.list_cards(name)])


def log(name: str, *, registry: str | Path | None = None) -> Listing:
    """What happened to a model, oldest first, and why.

    $ evermodel log churn
    """
    store = open_store(registry)
    if not is_pending(store, name):
        champion_of(store, name)
    events = store.read_events(name)
    rows = [{"at": e.at, "what": e.kind.value, "version": e.version or None, "why": describe_event(e)} for e in events]
    return Listing(f"log of {name}", rows)


def _version(card: VersionCard, champion: str) -> dict[str, Any]:
    metric = next(iter(card.known_scores), "")
    value = card.known_scores.get(metric)
    return {
        "version": card.version,
        "serving": "*" if card.version == champion else "",
        "strategy": card.strategy,
        "decision": card.decision,
        "score": None if value is None else f"{metric} {value:.4f}",
        "created": card.created,
    }


def _rows_of_card(card: VersionCard) -> dict[str, Any]:
    reasons = card.update.verdict.reasons if card.update is not None else ()
    cost, breaks = (card.update.cost, card.update.breaks) if card.update is not None else (None, ())
    return {
        "parents": ", ".join(card.parents) or "-",
        "strategy": card.strategy,
        "settings": to_json_value(card.settings),
        "framework": card.framework,
        "created": card.created,
        **({} if card.adoption is None else describe_record(card.adoption)),
        **describe_signature(card.signature),
        "decision": card.decision or "-",
        "reasons": "; ".join(map(describe_reason, reasons)) or "-",
        "serving cost": describe_serving_cost(cost) or "-",
        "drop-in": describe_breaks(breaks) or ("yes" if cost is not None else "-"),
        "data": to_json_value(card.data),
        "packages": ", ".join(f"{package} {version}" for package, version in card.packages.items()),
        "files": ", ".join(f"{path} {digest[:12]}" for path, digest in card.files.items()),
    }

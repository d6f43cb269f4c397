"""Cards as text."""

from __future__ import annotations

import dataclasses
import json

from evermodel.core.store import Card


def card_to_json(card: Card) -> str:
    return json.dumps(dataclasses.asdict(card))


def card_from_json(text: str) -> Card:
    raw = json.loads(text)
    return Card(**{**raw, "parents": tuple(raw["parents"]), "curves": tuple(raw["curves"])})

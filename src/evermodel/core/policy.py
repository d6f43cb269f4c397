"""What may be done for a model with nobody looking: where its rows are, when to look, what may be promoted."""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from evermodel.core.calendar import Schedule
from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.spans import bytes_of, seconds_of

TRIGGERS = ("schedule", "quality", "drift", "rows", "labels", "age", "cost")
PROMOTE = ("auto", "approve", "never")
SHORT = {"every": ("check", "update")}  # one key that stands for two
SPANS = ("label_delay", "age", "probation", "horizon", "timeout", "back_off")


@dataclass(frozen=True)
class Policy:
    """One model's policy. Every value is as a person writes it; ``data`` alone suffices.

    Sources are a path, a glob of files, or an SQL URL with a query. ``data`` holds rows, labelled or not; ``labels``
    holds labels that come later, joined by ``id``; ``predictions`` holds what was answered in service.
    """

    data: str = ""
    labels: str = ""
    predictions: str = ""
    id: str = ""
    label_delay: str = "90 days"  # how long after its row a label may still come
    check: str = "day"
    update: str = "week"
    time_zone: str = "UTC"
    triggers: tuple[str, ...] = TRIGGERS
    metric: str = ""  # the metric that decides; else auc, accuracy or r2 by task
    min_rows: int = 200  # labelled rows below which no update is tried
    rows: int = 0  # new labelled rows that call for an update by themselves; 0: no number does
    age: str = "90 days"  # after so long, a full training even if nothing asks for one
    growth: float = 2.0  # and where the rows known grew by this factor since the last one
    promote: str = "auto"
    max_points: float = 1.0  # judged loss, in points, that an unattended promotion may show
    max_latency: float = 2.0  # times the champion's
    max_size: str = "2GB"
    probation: str = "30 days"
    budget: float = 36_000.0  # compute seconds a month
    point_value: float = 0.0  # money that a point is worth on a thousand predictions
    volume: float = 0.0  # predictions a day; 0: as watched
    horizon: str = "30 days"  # how long a gain is counted
    second_cost: float = 0.0  # money that a compute second costs
    retries: int = 3
    back_off: str = "5 minutes"  # doubled after each failure
    timeout: str = "2 hours"
    notify: tuple[str, ...] = ()  # "webhook url=env:HOOK": a notifier and its settings
    steps: tuple[str, ...] = ("intake", "look", "score", "probation", "triggers")

    def __post_init__(self) -> None:
        for name in ("check", "update"):
            Schedule(getattr(self, name), self.time_zone)
        for name in SPANS:
            seconds_of(getattr(self, name), name)
        bytes_of(self.max_size, "max_size")
        if self.promote not in PROMOTE:
            raise BadSetting(f"promote must be one of {', '.join(PROMOTE)}. Got {self.promote!r}.")
        for trigger in self.triggers:
            if trigger not in TRIGGERS:
                raise NotFound.among("trigger", trigger, TRIGGERS)
        for name, least in (("min_rows", 10), ("rows", 0), ("growth", 1.1), ("retries", 0), ("max_points", 0),
                            ("max_latency", 0.1), ("budget", 0), ("point_value", 0), ("volume", 0),
                            ("second_cost", 0)):  # fmt: skip
            if not least <= getattr(self, name) < float("inf"):
                raise BadSetting(f"{name} must be at least {least}. Got {getattr(self, name)}.")

    def seconds(self, name: str) -> float:
        """A span of the policy in seconds."""
        return seconds_of(getattr(self, name), name)

    def schedule(self, kind: str) -> Schedule:
        """When jobs of a kind ("check", "update") are due."""
        return Schedule(getattr(self, kind), self.time_zone)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Policy:
        return changed(cls(), json.loads(text))


def changed(policy: Policy, given: Mapping[str, Any]) -> Policy:
    """The policy with ``given`` values (of TOML, or their text). Raises BadSetting naming the nearest key."""
    known = {f.name: f for f in fields(Policy)}
    told: dict[str, Any] = {}
    for key, value in given.items():
        for name in SHORT.get(key, (key,)):
            if name not in known:
                raise _unknown(key, [*known, *SHORT])
            told[name] = _typed(name, str(known[name].type), value)
    return dataclasses.replace(policy, **told)


def read_policies(file: Path) -> dict[str, dict[str, Any]]:
    """The tables ``[models.NAME]`` of a TOML file. Raises NotFound, BadSetting."""
    try:
        raw = tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise NotFound(f"There is no file {file}.") from None
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise BadSetting(f"{file} is no TOML file that can be read: {error}.") from None
    for key in raw:
        if key != "models":
            raise _unknown(key, ["models"], f"{file} holds tables [models.NAME].")
    models = raw.get("models", {})
    if not isinstance(models, dict):
        raise BadSetting(f"models in {file} must be tables [models.NAME]. Got {models!r}.")
    for name, table in models.items():
        if not isinstance(table, dict):
            raise BadSetting(f"[models.{name}] must be a table. Got {table!r}.")
    return models


def _unknown(key: str, known: list[str], hint: str = "") -> BadSetting:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    return BadSetting(f"A policy has no key {key!r}.", guess + (hint or f"There is: {', '.join(known)}."))


def _typed(name: str, kind: str, value: Any) -> Any:
    if kind.startswith("tuple"):
        parts = [p.strip() for p in value.split(",") if p.strip()] if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)) or not all(isinstance(p, str) for p in parts):
            raise BadSetting(f"{name} must be a list of names. Got {value!r}.")
        return tuple(parts)
    if kind in ("int", "float"):
        try:
            number = float(value) if not isinstance(value, bool) else float("nan")
        except (TypeError, ValueError):
            number = float("nan")
        if number != number or (kind == "int" and number != int(number)):
            raise BadSetting(f"{name} must be a {'whole ' if kind == 'int' else ''}number. Got {value!r}.")
        return int(number) if kind == "int" else number
    if not isinstance(value, str):
        raise BadSetting(f"{name} must be text. Got {value!r}.", f'Write {name} = "…".')
    return value.strip()

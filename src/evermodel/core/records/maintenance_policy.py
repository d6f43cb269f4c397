"""What may be done for a model with nobody looking: where its rows are, when to look, what may be promoted."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from evermodel.core.durations import parse_duration, parse_size
from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.files import read_limited
from evermodel.core.records.codec import RecordKind
from evermodel.core.records.verdict import JudgePolicy
from evermodel.core.schedule import Schedule

SCHEDULE = "schedule"  # among the triggers of a policy: the updates that its schedule asks for
PROMOTE = ("auto", "approve", "never")
SHORT = {"every": ("check", "update")}  # one key that stands for two
LARGEST = 1_000_000  # bytes of a file of policies
SHOWN = 200  # letters of a wrong value
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
    header: str = ""  # of text tables without a line of names: A,B,C or none; "": as when the model was adopted
    separator: str = ""  # of text tables; "": as when the model was adopted, "auto": as their first lines tell
    decimal: str = ""
    encoding: str = ""
    label_delay: str = "90 days"  # how long after its row a label may still come
    check: str = "day"
    update: str = "week"
    time_zone: str = "UTC"
    triggers: tuple[str, ...] = (SCHEDULE, "quality", "drift", "rows", "labels", "age", "cost")
    metric: str = ""  # the metric that decides; else the proper score, guarded by auc, accuracy or r2
    judge_policy: str = "no_worse"  # what the judge asks of a challenger
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
    steps: tuple[str, ...] = ("intake", "watch", "score", "probation", "triggers")

    def __post_init__(self) -> None:
        for name in ("check", "update"):
            Schedule(getattr(self, name), self.time_zone)
        for name in SPANS:
            parse_duration(getattr(self, name), name)
        parse_size(self.max_size, "max_size")
        if self.promote not in PROMOTE:
            raise BadSetting(f"promote must be one of {', '.join(PROMOTE)}. Got {self.promote!r}.")
        if self.judge_policy not in list(JudgePolicy):
            policies = ", ".join(JudgePolicy)
            raise BadSetting(f"judge_policy must be one of {policies}. Got {self.judge_policy!r}.")
        for name, least in (
            ("min_rows", 10),
            ("rows", 0),
            ("growth", 1.1),
            ("retries", 0),
            ("max_points", 0),
            ("max_latency", 0.1),
            ("budget", 0),
            ("point_value", 0),
            ("volume", 0),
            ("second_cost", 0),
        ):
            if not least <= getattr(self, name) < float("inf"):
                raise BadSetting(f"{name} must be at least {least}. Got {getattr(self, name)}.")

    def seconds(self, name: str) -> float:
        """A span of the policy in seconds."""
        return parse_duration(getattr(self, name), name)

    def schedule(self, kind: str) -> Schedule:
        """When jobs of a kind ("check", "update") are due."""
        return Schedule(getattr(self, kind), self.time_zone)


@dataclass(frozen=True)
class PolicyRecord:
    """A stored policy; its schedules count from ``since``, ISO 8601."""

    policy: Policy
    since: str


POLICY_RECORD = RecordKind("maintenance policy", PolicyRecord)


def change_policy(policy: Policy, given: Mapping[str, Any]) -> Policy:
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
        raw = tomllib.loads(read_limited(file, LARGEST).decode())
    except FileNotFoundError:
        raise NotFound(f"There is no file {file}.") from None
    except OSError as error:
        raise BadSetting(f"{file} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, a number of too many digits; nested too deeply
        raise BadSetting(f"{file} is no TOML file that can be read: {error}.") from None
    for key in raw:
        if key != "models":
            raise _unknown(key, ["models"], f"{file} holds tables [models.NAME].")
    models = raw.get("models", {})
    if not isinstance(models, dict):
        raise BadSetting(f"models in {file} must be tables [models.NAME]. Got {_show(models)}.")
    for name, table in models.items():
        if not isinstance(table, dict):
            raise BadSetting(f"[models.{name}] must be a table. Got {_show(table)}.")
    return models


def _unknown(key: str, known: list[str], hint: str = "") -> BadSetting:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    return BadSetting(f"A policy has no key {key!r}.", guess + (hint or f"There is: {', '.join(known)}."))


def _typed(name: str, kind: str, value: Any) -> Any:
    if kind.startswith("tuple"):
        parts = [p.strip() for p in value.split(",") if p.strip()] if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)) or not all(isinstance(p, str) for p in parts):
            raise BadSetting(f"{name} must be a list of names. Got {_show(value)}.")
        return tuple(parts)
    if kind in ("int", "float"):
        try:
            number = float(value) if not isinstance(value, bool) else float("nan")
        except (TypeError, ValueError, OverflowError):
            number = float("nan")
        if number != number or (kind == "int" and (abs(number) == float("inf") or number != int(number))):
            raise BadSetting(f"{name} must be a {'whole ' if kind == 'int' else ''}number. Got {_show(value)}.")
        return int(number) if kind == "int" else number
    if not isinstance(value, str):
        raise BadSetting(f"{name} must be text. Got {_show(value)}.", f'Write {name} = "…".')
    return value.strip()


def _show(value: Any) -> str:
    """The first letters of a value; TOML can hold whole numbers that are too long to be written out."""
    try:
        return repr(value)[:SHOWN]
    except ValueError:
        return "a number of very many digits"

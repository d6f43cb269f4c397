"""What may be done for a model with nobody looking: written, changed, shown."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core import clock
from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.policy import Policy, changed, read_policies
from evermodel.core.store import Move
from evermodel.loop._maintain.planning import ALIAS, policy_of
from evermodel.loop._maintain.told import ways
from evermodel.loop.home import champion_of, event, open_home
from evermodel.loop.results import Shown
from evermodel.loop.scoring import check_metric
from evermodel.loop.versions import load_version


@dataclass(frozen=True)
class Policed(Shown):
    """A model's policy as it stands, and which keys this call changed."""

    name: str
    policy: Policy
    changed: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        usual = Policy()
        rows = []
        for field in dataclasses.fields(Policy):
            value = getattr(self.policy, field.name)
            mark = "*" if value != getattr(usual, field.name) else " "
            shown = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
            rows.append(f"{mark} {field.name} = {shown}")
        return [f"[models.{self.name}]", *rows]


def policy(
    name: str, settings: Mapping[str, Any] | None = None, *, file: str | Path | None = None,
    home: str | Path | None = None,
) -> Policed:  # fmt: skip
    """Show a model's policy, or change it: by ``settings``, or by the table ``[models.NAME]`` of a TOML file.

    A file says all of it (keys it leaves out have their defaults), ``settings`` change what they name. Every state is
    kept and logged. Raises BadSetting naming the nearest key, NotFound; then nothing is changed.

        $ evermodel policy churn --set data=incoming --set every=week
    """
    store = open_home(home)
    champion = champion_of(store, name)
    digest = store.at(name, ALIAS)
    now, since = policy_of(store, name) if digest else (Policy(), clock.moment().replace(microsecond=0))
    if not settings and file is None:
        return Policed(name, now)
    new = now
    if file is not None:
        tables = read_policies(Path(file))
        if name not in tables:
            raise NotFound.among(f"table in {file} for the model", name, tables, f"It needs [models.{name}].")
        new = changed(Policy(), tables[name])
    new = changed(new, settings or {})
    if not new.data:
        raise BadSetting("A policy needs data: where the rows are.", "--set data=FOLDER, a glob, a file or an SQL URL.")
    _check_steps(new)
    if new.metric and new.metric != now.metric:
        check_metric(new.metric, load_version(store, champion).contract.task)
    ways(new)
    keys = tuple(f.name for f in dataclasses.fields(Policy) if getattr(new, f.name) != getattr(now, f.name))
    staged = store.stage() / "policy.json"
    staged.write_text(json.dumps({"policy": dataclasses.asdict(new), "since": since.isoformat()}))
    kept = store.keep(staged)
    if kept != digest:
        facts = {"changed": list(keys), "policy": dataclasses.asdict(new), "reasons": [f"changed {', '.join(keys)}"]}
        store.point(name, [Move(ALIAS, kept, digest)], [event(name, "policy", facts)])
    return Policed(name, new, keys)


def _check_steps(new: Policy) -> None:
    from evermodel.core import plugs

    for step in new.steps:
        plugs.module("loop.steps", step)

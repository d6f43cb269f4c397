"""What may be done for a model with nobody looking: written, changed, shown."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core import clock
from evermodel.core.data.text_tables.stated_values import check_dialect
from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.masking import has_secret
from evermodel.core.records.codec import encode
from evermodel.core.records.event import EventKind, PolicyChanged
from evermodel.core.records.maintenance_policy import (
    POLICY_RECORD,
    SCHEDULE,
    Policy,
    PolicyRecord,
    change_policy,
    read_policies,
)
from evermodel.core.records.model_signature import TableDialect
from evermodel.core.store import Move
from evermodel.core.trigger import TRIGGERS
from evermodel.judging.task_metrics import check_metric_fits
from evermodel.maintenance.job_context import STEPS
from evermodel.maintenance.notifications import read_notifiers
from evermodel.maintenance.schedule_jobs import ALIAS, read_policy
from evermodel.registry.lookup import champion_of, event, open_store
from evermodel.registry.results import Result
from evermodel.registry.versions import load_version


@dataclass(frozen=True)
class PolicyResult(Result):
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
    name: str,
    settings: Mapping[str, Any] | None = None,
    *,
    file: str | Path | None = None,
    registry: str | Path | None = None,
) -> PolicyResult:
    """Show a model's policy, or change it: by ``settings``, or by the table ``[models.NAME]`` of a TOML file.

    A file says all of it (keys it leaves out have their defaults), ``settings`` change what they name. Every state is
    kept and logged. Raises BadSetting naming the nearest key, NotFound; then nothing is changed.

        $ evermodel policy churn --set data=incoming --set every=week
    """
    store = open_store(registry)
    champion = champion_of(store, name)
    digest = store.resolve_alias(name, ALIAS)
    now, since = read_policy(store, name) if digest else (Policy(), clock.current_time().replace(microsecond=0))
    if not settings and file is None:
        return PolicyResult(name, now)
    new = now
    if file is not None:
        tables = read_policies(Path(file))
        if name not in tables:
            raise NotFound.among(f"table in {file} for the model", name, tables, f"It needs [models.{name}].")
        new = change_policy(Policy(), tables[name])
    new = change_policy(new, settings or {})
    if not new.data:
        raise BadSetting(
            "A policy needs data: where the rows are.", "Set 'data' to a folder, a glob, a file or an SQL URL."
        )
    _check_tables(new)
    _check_secrets(new)
    _check_plugins(new)
    if new.metric and new.metric != now.metric:
        check_metric_fits(new.metric, load_version(store, champion).contract.task)
    read_notifiers(new)
    keys = tuple(f.name for f in dataclasses.fields(Policy) if getattr(new, f.name) != getattr(now, f.name))
    staged = store.staging_folder() / "policy.json"
    staged.write_text(encode(POLICY_RECORD, PolicyRecord(new, since.isoformat())))
    kept = store.put_blob(staged)
    if kept != digest:
        recorded = event(name, EventKind.POLICY_CHANGED, PolicyChanged(keys, dataclasses.asdict(new)))
        store.commit_moves(name, [Move(ALIAS, kept, digest)], [recorded])
    return PolicyResult(name, new, keys)


def _check_tables(policy: Policy) -> None:
    """Raises BadSetting where the policy says of text tables what cannot be."""
    check_dialect(TableDialect(policy.header, policy.separator, policy.decimal, policy.encoding))


def _check_secrets(policy: Policy) -> None:
    """Raises BadSetting where the URL of a source holds a password: a policy is stored, logged and backed up."""
    for key in ("data", "labels", "predictions"):
        if has_secret(getattr(policy, key)):
            raise BadSetting(
                f"{key} must not hold a password. Got {getattr(policy, key)}.",
                "Write env:NAME in its place: postgresql+psycopg://me:env:DB_PASSWORD@host/db::SELECT * FROM rows",
            )


def _check_plugins(policy: Policy) -> None:
    """Raises NotFound, listing the names there are, where a step or a trigger is not installed."""
    for step in policy.steps:
        STEPS.load_module(step)
    for trigger in policy.triggers:
        if trigger not in (SCHEDULE, *TRIGGERS.names()):
            raise NotFound.among("trigger", trigger, (SCHEDULE, *TRIGGERS.names()))

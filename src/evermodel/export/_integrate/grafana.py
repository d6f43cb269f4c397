"""Grafana: provisioning folders for a data source, dashboards and alert rules, and the dashboards themselves."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evermodel.core.errors import MissingExtra
from evermodel.export._integrate import given
from evermodel.export._integrate.panels import SOURCE

RULES = {  # title -> (expression, severity, summary); a rule fires for each series its expression has
    "Evermodel: critical alarm": ('max by (model, alarm, subject) (evermodel_alarm_open{level="critical"}) == 1',
                                  "critical", "{{ $labels.model }}: {{ $labels.alarm }} of {{ $labels.subject }}"),
    "Evermodel: warning": ('max by (model, alarm, subject) (evermodel_alarm_open{level="warning"}) == 1',
                           "warning", "{{ $labels.model }}: {{ $labels.alarm }} of {{ $labels.subject }}"),
    "Evermodel: monitor cannot be read": ("evermodel_monitor_up == 0",
                                          "warning", "{{ $labels.model }}: its monitor cannot be read"),
}  # fmt: skip


def grafana(
    to: Path, /, *, prometheus: str = "http://localhost:9090", interval: str = "15s", alerts: bool = False
) -> Mapping[str, str]:
    """``alerts``: let Grafana alert too; leave it off where Alertmanager does, or everything is told twice."""
    if importlib.util.find_spec("grafana_foundation_sdk") is None:
        raise MissingExtra.for_package("grafana-foundation-sdk", "monitor", "Making Grafana's dashboards")
    from evermodel.export._integrate.dashboards import dashboards

    given.seconds(interval, "--interval")
    values = {"prometheus": given.url(prometheus, "--prometheus"), "interval": interval}
    path = given.path(to / "dashboards", "--to")
    return {
        "provisioning/datasources/evermodel.yml": given.filled("datasources.yml", **values),
        "provisioning/dashboards/evermodel.yml": given.filled("dashboards.yml", path=path),
        "provisioning/alerting/evermodel.yml": _alerting(paused=not alerts),
        **{f"dashboards/{name}": text for name, text in dashboards().items()},
    }


def _alerting(*, paused: bool) -> str:
    rules = [_rule(f"evermodel-{n}", title, *said, paused=paused) for n, (title, said) in enumerate(RULES.items(), 1)]
    group = {"orgId": 1, "name": "evermodel", "folder": "Evermodel", "interval": "1m", "rules": rules}
    head = "# Goes into Grafana's folder provisioning/alerting.\n"
    why = "# Paused, because Alertmanager alerts already: 'evermodel integrate grafana --alerts' wakes them.\n"
    return head + (why if paused else "") + json.dumps({"apiVersion": 1, "groups": [group]}, indent=2) + "\n"


def _rule(uid: str, title: str, expr: str, severity: str, summary: str, *, paused: bool) -> Any:
    from grafana_foundation_sdk.builders.alerting import Query, Rule
    from grafana_foundation_sdk.builders.prometheus import Dataquery
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.alerting import RelativeTimeRange

    asked = Query("A").datasource_uid(SOURCE).relative_time_range(RelativeTimeRange(from_val=300, to=0))
    rule = Rule(title).uid(uid).condition("A").with_query(asked.model(Dataquery().expr(expr).instant().ref_id("A")))
    rule = rule.no_data_state("OK").exec_err_state("Error").for_val("0s").labels({"severity": severity})
    says = "'evermodel check {{ $labels.model }}' says the probable cause and the command to run next."
    made = json.loads(JSONEncoder().encode(rule.annotations({"summary": summary, "description": says}).build()))
    file = ("uid", "title", "condition", "data", "noDataState", "execErrState", "for", "annotations", "labels")
    return {key: made[key] for key in file} | {"isPaused": paused}

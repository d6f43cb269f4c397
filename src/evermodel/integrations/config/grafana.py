"""Grafana: provisioning folders for a data source, dashboards and alert rules, and the dashboards themselves."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evermodel.core.errors import MissingExtra
from evermodel.integrations.config import checked_text
from evermodel.integrations.config.panels import SOURCE

RULES = {  # title -> (expression, severity, summary); a rule fires for each series its expression has
    "Evermodel: critical alarm": (
        'max by (model, alarm, subject) (evermodel_alarm_open{level="critical"}) == 1',
        "critical",
        "{{ $labels.model }}: {{ $labels.alarm }} of {{ $labels.subject }}",
    ),
    "Evermodel: warning": (
        'max by (model, alarm, subject) (evermodel_alarm_open{level="warning"}) == 1',
        "warning",
        "{{ $labels.model }}: {{ $labels.alarm }} of {{ $labels.subject }}",
    ),
    "Evermodel: monitor cannot be read": (
        "evermodel_monitor_up == 0",
        "warning",
        "{{ $labels.model }}: its monitor cannot be read",
    ),
}


def grafana(
    to: Path, /, *, prometheus: str = "http://localhost:9090", interval: str = "15s", alerts: bool = False
) -> Mapping[str, str]:
    """``alerts``: let Grafana alert too; leave it off where Alertmanager does, or people get every alert twice."""
    if importlib.util.find_spec("grafana_foundation_sdk") is None:
        raise MissingExtra.for_package("grafana-foundation-sdk", "monitor", "Building Grafana's dashboards")
    from evermodel.integrations.config.dashboards import dashboards

    checked_text.seconds(interval, "`interval`")
    values = {"prometheus": checked_text.url(prometheus, "`prometheus`"), "interval": interval}
    path = checked_text.path(to / "dashboards", "`to`")
    return {
        "provisioning/datasources/evermodel.yml": checked_text.fill_template("datasources.yml", **values),
        "provisioning/dashboards/evermodel.yml": checked_text.fill_template("dashboards.yml", path=path),
        "provisioning/alerting/evermodel.yml": _alerting(paused=not alerts),
        **{f"dashboards/{name}": text for name, text in dashboards().items()},
    }


def _alerting(*, paused: bool) -> str:
    numbered = enumerate(RULES.items(), 1)
    rules = [_rule(f"evermodel-{number}", title, *rule, paused=paused) for number, (title, rule) in numbered]
    group = {"orgId": 1, "name": "evermodel", "folder": "Evermodel", "interval": "1m", "rules": rules}
    head = "# Goes into Grafana's folder provisioning/alerting.\n"
    why = "# Paused, because Alertmanager alerts already: 'evermodel integrate grafana --alerts' activates them.\n"
    return head + (why if paused else "") + json.dumps({"apiVersion": 1, "groups": [group]}, indent=2) + "\n"


def _rule(uid: str, title: str, expr: str, severity: str, summary: str, *, paused: bool) -> Any:
    from grafana_foundation_sdk.builders.alerting import Query, Rule
    from grafana_foundation_sdk.builders.prometheus import Dataquery
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.alerting import RelativeTimeRange

    query = Query("A").datasource_uid(SOURCE).relative_time_range(RelativeTimeRange(from_val=300, to=0))
    rule = Rule(title).uid(uid).condition("A").with_query(query.model(Dataquery().expr(expr).instant().ref_id("A")))
    rule = rule.no_data_state("OK").exec_err_state("Error").for_val("0s").labels({"severity": severity})
    description = "'evermodel check {{ $labels.model }}' shows the probable cause and the command to run next."
    document = json.loads(
        JSONEncoder().encode(rule.annotations({"summary": summary, "description": description}).build())
    )
    file = ("uid", "title", "condition", "data", "noDataState", "execErrState", "for", "annotations", "labels")
    return {key: document[key] for key in file} | {"isPaused": paused}

"""``evermodel integrate``: a command a system, because each has its own settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

import evermodel
from evermodel.cli.show import say


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(command)
    command = click.option("--replace", is_flag=True, help="Write over files that say something else.")(command)
    return click.option("--to", required=True, metavar="DIR", help="The folder to write into.")(command)


@click.group()
def integrate() -> None:
    """Write configuration files, ready to load, for Prometheus, Alertmanager, Grafana, Nagios, cron, systemd or
    Kubernetes.

    Each takes --to DIR, and --json for one document on stdout.

    \b
    Example:
      evermodel integrate prometheus --to monitoring
    """


@integrate.command()
@click.option("--exporter", default="localhost:9464", show_default=True, help="Where 'evermodel metrics' answers.")
@click.option("--pushgateway", default="", metavar="HOST:PORT", help="Also scrape this Pushgateway.")
@click.option("--alertmanager", default="localhost:9093", show_default=True)
@click.option("--interval", default="15s", show_default=True, help="How often to scrape and to evaluate.")
@click.option("--silent", default="1d", show_default=True, help="Alert where nobody looked at a model for this long.")
@click.option("--patience", default="5m", show_default=True, help="Alert where the exporter is down for this long.")
@click.option("--token-file", default="", help="Holds the exporter's token.")
@_shared
def prometheus(as_json: bool, **given: Any) -> None:
    """Scrape configuration, recording and alerting rules, and unit tests of the rules.

    \b
    Example:
      evermodel integrate prometheus --to monitoring --pushgateway localhost:9091
    """
    say(evermodel.integrate("prometheus", **given), as_json)


@integrate.command()
@click.option("--webhook", default="http://localhost:9099/", show_default=True, help="Where alerts are sent.")
@click.option("--wait", default="30s", show_default=True, help="How long warnings of one model are gathered.")
@click.option("--again", default="5m", show_default=True, help="The least time between two messages on one model.")
@_shared
def alertmanager(as_json: bool, **given: Any) -> None:
    """Routes to a webhook, one message a model; critical ones at once.

    \b
    Example:
      evermodel integrate alertmanager --to monitoring --webhook http://localhost:9099/
    """
    say(evermodel.integrate("alertmanager", **given), as_json)


@integrate.command()
@click.option("--prometheus", default="http://localhost:9090", show_default=True, help="The data source.")
@click.option("--interval", default="15s", show_default=True, help="How often Prometheus scrapes.")
@click.option("--alerts", is_flag=True, help="Let Grafana alert too; off where Alertmanager does.")
@_shared
def grafana(as_json: bool, **given: Any) -> None:
    """Dashboards (all models, one model, data drift) and provisioning: data source, dashboards, alert rules.

    \b
    Example:
      evermodel integrate grafana --to monitoring/grafana
    """
    say(evermodel.integrate("grafana", **given), as_json)


@integrate.command()
@click.option("--model", "models", multiple=True, help="Which models (default: all of the home). Repeatable.")
@click.option("--warning", multiple=True, metavar="[FIGURE=]RANGE", help="As for 'evermodel check'. Repeatable.")
@click.option("--critical", multiple=True, metavar="[FIGURE=]RANGE", help="As for 'evermodel check'. Repeatable.")
@click.option("--host", default="evermodel", show_default=True, help="The host the services hang on.")
@click.option("--contact-group", default="admins", show_default=True, help="Who is told.")
@click.option("--every", default="5m", show_default=True, help="How often to check, in whole minutes.")
@click.option("--silent", default="1d", show_default=True, help="CRITICAL where nobody looked for this long.")
@click.option("--program", default="", help="The evermodel command, if not the one that runs now.")
@click.option("--home", help="Where models are kept [EVERMODEL_HOME, or .evermodel here].")
@_shared
def nagios(as_json: bool, **given: Any) -> None:
    """Commands, templates, a host, services and their dependencies, active and passive.

    \b
    Example:
      evermodel integrate nagios --to monitoring --warning auc=0.85: --critical auc=0.8:
    """
    say(evermodel.integrate("nagios", **given), as_json)


@integrate.command()
@click.option("--every", default="15m", show_default=True, help="How often to look: 5m, 15m, 1h, 1d.")
@click.option("--log", default="", help="Where its words go (default: maintain.log in the home).")
@click.option("--program", default="", help="The evermodel command, if not the one that runs now.")
@click.option("--home", help="Where models are kept [EVERMODEL_HOME, or .evermodel here].")
@_shared
def cron(as_json: bool, **given: Any) -> None:
    """A crontab that maintains all models with a policy.

    \b
    Example:
      evermodel integrate cron --to schedule --every 15m
    """
    say(evermodel.integrate("cron", **given), as_json)


@integrate.command()
@click.option("--every", default="15m", show_default=True, help="The time between two runs.")
@click.option("--user", default="", help="Who runs it, for a unit of the system.")
@click.option("--program", default="", help="The evermodel command, if not the one that runs now.")
@click.option("--home", help="Where models are kept [EVERMODEL_HOME, or .evermodel here].")
@_shared
def systemd(as_json: bool, **given: Any) -> None:
    """A service and its timer that maintain all models with a policy.

    \b
    Example:
      evermodel integrate systemd --to schedule --user models
    """
    say(evermodel.integrate("systemd", **given), as_json)


@integrate.command()
@click.option("--image", required=True, help="An image that holds evermodel.")
@click.option("--every", default="15m", show_default=True, help="How often to look: 5m, 15m, 1h, 1d.")
@click.option("--claim", default="evermodel", show_default=True, help="The volume claim of the home.")
@click.option("--secret", default="", help="A secret whose keys become environment variables.")
@click.option("--name", default="evermodel-maintain", show_default=True)
@click.option("--memory", default="4Gi", show_default=True, help="The most that a run may use.")
@_shared
def kubernetes(as_json: bool, **given: Any) -> None:
    """A CronJob that maintains all models with a policy.

    \b
    Example:
      evermodel integrate kubernetes --to schedule --image registry.example.com/evermodel:1
    """
    say(evermodel.integrate("kubernetes", **given), as_json)

"""``evermodel integrate``: a command a system, because each has its own settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.output import print_result


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(command)
    command = click.option("--replace", is_flag=True, help="Write over files with other contents.")(command)
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


@integrate.command(cls=Command)
@click.option("--exporter", default="localhost:9464", show_default=True, help="Where 'evermodel metrics' answers.")
@click.option("--pushgateway", default="", metavar="HOST:PORT", help="Also scrape this Pushgateway.")
@click.option("--alertmanager", default="localhost:9093", show_default=True)
@click.option("--interval", default="15s", show_default=True, help="How often to scrape and to evaluate.")
@click.option("--silent", default="1d", show_default=True, help="Alert when a model was not watched for this long.")
@click.option("--patience", default="5m", show_default=True, help="Alert when the exporter is down for this long.")
@click.option("--token-file", default="", help="The file with the exporter's token.")
@_shared
def prometheus(as_json: bool, **options: Any) -> None:
    """Scrape configuration, recording and alerting rules, and unit tests of the rules.

    \b
    Example:
      evermodel integrate prometheus --to monitoring --pushgateway localhost:9091
    """
    print_result(evermodel.integrate("prometheus", **options), as_json)


@integrate.command(cls=Command)
@click.option("--webhook", default="http://localhost:9099/", show_default=True, help="Where alerts are sent.")
@click.option(
    "--wait",
    default="30s",
    show_default=True,
    help="How long warnings of one model are collected before they are sent.",
)
@click.option("--again", default="5m", show_default=True, help="The least time between two messages on one model.")
@_shared
def alertmanager(as_json: bool, **options: Any) -> None:
    """Routes to a webhook, one message a model; critical ones at once.

    \b
    Example:
      evermodel integrate alertmanager --to monitoring --webhook http://localhost:9099/
    """
    print_result(evermodel.integrate("alertmanager", **options), as_json)


@integrate.command(cls=Command)
@click.option("--prometheus", default="http://localhost:9090", show_default=True, help="The data source.")
@click.option("--interval", default="15s", show_default=True, help="How often Prometheus scrapes.")
@click.option("--alerts", is_flag=True, help="Let Grafana alert too; leave it off where Alertmanager does.")
@_shared
def grafana(as_json: bool, **options: Any) -> None:
    """Dashboards (all models, one model, data drift) and provisioning: data source, dashboards, alert rules.

    \b
    Example:
      evermodel integrate grafana --to monitoring/grafana
    """
    print_result(evermodel.integrate("grafana", **options), as_json)


@integrate.command(cls=Command)
@click.option("--model", "models", multiple=True, help="Which models (default: all of the registry). Repeatable.")
@click.option("--warning", multiple=True, metavar="[FIGURE=]RANGE", help="As for 'evermodel check'. Repeatable.")
@click.option("--critical", multiple=True, metavar="[FIGURE=]RANGE", help="As for 'evermodel check'. Repeatable.")
@click.option("--host", default="evermodel", show_default=True, help="The host of the services.")
@click.option("--contact-group", default="admins", show_default=True, help="The contact group that is notified.")
@click.option("--every", default="5m", show_default=True, help="How often to check, in whole minutes.")
@click.option(
    "--silent", default="1d", show_default=True, help="CRITICAL when the model was not watched for this long."
)
@click.option("--program", default="", help="The evermodel command, if it is not the one that runs now.")
@click.option("--registry", help="The registry: a folder or URL.  [default: EVERMODEL_REGISTRY, or .evermodel here]")
@_shared
def nagios(as_json: bool, **options: Any) -> None:
    """Commands, templates, a host, services and their dependencies, active and passive.

    \b
    Example:
      evermodel integrate nagios --to monitoring --warning auc=0.85: --critical auc=0.8:
    """
    print_result(evermodel.integrate("nagios", **options), as_json)


@integrate.command(cls=Command)
@click.option("--every", default="15m", show_default=True, help="How often to run it: 5m, 15m, 1h, 1d.")
@click.option("--log", default="", help="The log file.  [default: maintain.log in the registry]")
@click.option("--program", default="", help="The evermodel command, if it is not the one that runs now.")
@click.option("--registry", help="The registry: a folder or URL.  [default: EVERMODEL_REGISTRY, or .evermodel here]")
@_shared
def cron(as_json: bool, **options: Any) -> None:
    """A crontab that maintains all models with a policy.

    \b
    Example:
      evermodel integrate cron --to schedule --every 15m
    """
    print_result(evermodel.integrate("cron", **options), as_json)


@integrate.command(cls=Command)
@click.option("--every", default="15m", show_default=True, help="The time between two runs.")
@click.option("--user", default="", help="The user that runs it, for a system unit.")
@click.option("--program", default="", help="The evermodel command, if it is not the one that runs now.")
@click.option("--registry", help="The registry: a folder or URL.  [default: EVERMODEL_REGISTRY, or .evermodel here]")
@_shared
def systemd(as_json: bool, **options: Any) -> None:
    """A service and its timer that maintain all models with a policy.

    \b
    Example:
      evermodel integrate systemd --to schedule --user models
    """
    print_result(evermodel.integrate("systemd", **options), as_json)


@integrate.command(cls=Command)
@click.option("--image", required=True, help="An image that holds evermodel.")
@click.option("--every", default="15m", show_default=True, help="How often to run it: 5m, 15m, 1h, 1d.")
@click.option("--claim", default="evermodel", show_default=True, help="The volume claim of the registry.")
@click.option("--secret", default="", help="A secret whose keys become environment variables.")
@click.option("--name", default="evermodel-maintain", show_default=True)
@click.option("--memory", default="4Gi", show_default=True, help="The most that a run may use.")
@_shared
def kubernetes(as_json: bool, **options: Any) -> None:
    """A CronJob that maintains all models with a policy.

    \b
    Example:
      evermodel integrate kubernetes --to schedule --image registry.example.com/evermodel:1
    """
    print_result(evermodel.integrate("kubernetes", **options), as_json)

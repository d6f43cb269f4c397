"""``evermodel metrics``: for Prometheus to scrape, or pushed to a Pushgateway."""

from __future__ import annotations

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import add_shared_options
from evermodel.cli.output import print_result


@click.command(cls=Command)
@click.argument("names", nargs=-1)
@click.option("--port", type=click.IntRange(0, 65535), default=9464, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="An address beyond this machine needs a token.")
@click.option("--token-file", type=click.Path(dir_okay=False), help="The file with the token that a scraper must send.")
@click.option("--once", is_flag=True, help="Print what a scrape would see, and stop.")
@click.option("--push", "gateway", metavar="URL", help="Push to this Pushgateway instead, and stop.")
@click.option("--job", default="model_performance", show_default=True, help="With --push: the job's name there.")
@click.option("--delete", is_flag=True, help="With --push: remove what was pushed of these models.")
@add_shared_options
def metrics(
    names: tuple[str, ...],
    registry: str | None,
    as_json: bool,
    once: bool,
    gateway: str | None,
    job: str,
    delete: bool,
    port: int,
    host: str,
    token_file: str | None,
) -> None:
    """Export the metrics of models (all of them where none is named) to Prometheus.

    \b
    Example:
      evermodel metrics churn --port 9464
      evermodel metrics churn --push http://localhost:9091
      evermodel metrics churn --once
    """
    if delete and not gateway:
        raise click.UsageError("--delete needs --push URL: from which Pushgateway?")
    if delete and not names:
        raise click.UsageError("--delete needs the names of the models to remove there.")
    if gateway:
        print_result(evermodel.push(*names, to=gateway, job=job, delete=delete, registry=registry), as_json)
    elif once or as_json:
        print_result(evermodel.expose(*names, registry=registry), as_json)
    else:
        from evermodel.integrations.access import read_token

        server = evermodel.exporter(*names, port=port, host=host, token=read_token(token_file), registry=registry)
        click.echo(f"serving {server.url} until interrupted", err=True)
        server.forever()

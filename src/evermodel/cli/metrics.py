"""``evermodel metrics``: for Prometheus to scrape, or pushed to a Pushgateway."""

from __future__ import annotations

from pathlib import Path

import click

import evermodel
from evermodel.cli.options import home_and_json
from evermodel.cli.show import say


@click.command()
@click.argument("names", nargs=-1)
@click.option("--port", type=click.IntRange(0, 65535), default=9464, show_default=True, help="0: a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Beyond this machine a token is needed.")
@click.option("--token-file", type=click.Path(dir_okay=False), help="Holds the token that whoever scrapes must send.")
@click.option("--once", is_flag=True, help="Print what a scrape would see, and stop.")
@click.option("--push", "gateway", metavar="URL", help="Push to this Pushgateway instead, and stop.")
@click.option("--job", default="model_performance", show_default=True, help="With --push: the job's name there.")
@click.option("--delete", is_flag=True, help="With --push: remove what was pushed of these models.")
@home_and_json
def metrics(
    names: tuple[str, ...], home: str | None, as_json: bool, once: bool, gateway: str | None, job: str, delete: bool,
    port: int, host: str, token_file: str | None,
) -> None:  # fmt: skip
    """Export the metrics of models (all of them where none is named) to Prometheus.

    \b
    Example:
      evermodel metrics churn --port 9464
      evermodel metrics churn --push http://localhost:9091
      evermodel metrics churn --once
    """
    if delete and not gateway:
        raise click.UsageError("--delete needs --push URL: where from?")
    if delete and not names:
        raise click.UsageError("--delete needs the names of the models to remove there.")
    if gateway:
        say(evermodel.push(*names, to=gateway, job=job, delete=delete, home=home), as_json)
    elif once or as_json:
        say(evermodel.expose(*names, home=home), as_json)
    else:
        server = evermodel.exporter(*names, port=port, host=host, token=_token(token_file), home=home)
        click.echo(f"serving {server.url} until interrupted", err=True)
        server.forever()


def _token(file: str | None) -> str:
    """A token on the command line would be read by everybody who lists processes, so that it comes from a file."""
    if file is None:
        return ""
    try:
        token = Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--token-file cannot be read: {error}.") from None
    if not token.isascii() or not token.isprintable() or len(token) < 16:
        raise click.UsageError(f"--token-file must hold at least 16 printable ASCII characters. {file} does not.")
    return token

"""``evermodel serve``: an inference server that follows promotions and rollbacks."""

from __future__ import annotations

from typing import Any

import click

from evermodel.cli.command import Command
from evermodel.cli.options import add_shared_options


@click.command(cls=Command)
@click.argument("names", nargs=-1)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="An address beyond this machine needs a token.")
@click.option("--token-file", type=click.Path(dir_okay=False), help="The file with the token that a client must send.")
@click.option("--tls-certificate", type=click.Path(dir_okay=False), help="A certificate in PEM, for HTTPS.")
@click.option("--tls-key", type=click.Path(dir_okay=False), help="Its private key in PEM.")
@click.option("--trace", default="", metavar="URL", help="A collector of OpenTelemetry: it gets a span a request.")
@click.option("--shadow", multiple=True, metavar="NAME=VERSION", help="Answers in the background; nobody gets them.")
@click.option("--canary", multiple=True, metavar="NAME=VERSION:5%", help="Answers this share of the requests.")
@click.option(
    "--log",
    type=click.Choice(["durable", "async", "off"]),
    default="durable",
    show_default=True,
    help="durable: predictions are on disk before their answers leave; async: soon after; off: not kept.",
)
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that answer.")
@add_shared_options
def serve(names: tuple[str, ...], registry: str | None, as_json: bool, token_file: str | None, **options: Any) -> None:
    """Answer requests with the version in service of each model (all of them where none is named).

    A promotion or rollback is put in within a second, without a dropped request, once the next version has given its
    golden answers again. Clients of MLflow (/invocations) and of the Open Inference Protocol (/v2) work unchanged.

    \b
    Example:
      evermodel serve churn --port 8080
    """
    import evermodel
    from evermodel.integrations.access import read_token

    server = evermodel.serve(*names, token=read_token(token_file), registry=registry, **options)
    if as_json:
        click.echo(f'{{"url": "{server.url}"}}')
    else:
        click.echo(f"serving {server.url} until interrupted", err=True)
    server.forever()

"""The commands, one a verb; what they do is said by the verb's own docstring in loop/."""

from __future__ import annotations

from typing import Any

import click

import evermodel
from evermodel.cli.check import check
from evermodel.cli.doctor import doctor
from evermodel.cli.fuse import fuse
from evermodel.cli.history import history
from evermodel.cli.integrate import integrate
from evermodel.cli.iterate import iterate
from evermodel.cli.keep import backup, gc, restore
from evermodel.cli.maintain import approve, maintain, policy
from evermodel.cli.metrics import metrics
from evermodel.cli.notify import notify
from evermodel.cli.options import adopt_options, home_and_json, parsed_settings, seconds
from evermodel.cli.prune import prune
from evermodel.cli.reproduce import reproduce
from evermodel.cli.show import epochs, finish, say
from evermodel.cli.tune import tune
from evermodel.cli.watch import watch

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(context_settings=HELP)
@click.version_option(evermodel.__version__, prog_name="evermodel")
def app() -> None:
    """Keeps deployed models good: update, judge, promote, roll back.

    \b
    Example:
      evermodel update existing_model.h5 new.csv --target churned --to updated_model.h5
    """


@app.command()
@click.argument("model")
@click.option("--data", help="Rows like those the model was trained on: file, folder or SQL URL.")
@adopt_options
@home_and_json
def adopt(model: str, home: str | None, as_json: bool, **given: Any) -> None:
    """Take in a deployed model file; version v1 is in service afterwards.

    Without --data the model waits: the oldest rows of its first update stand in for the rows it was trained on.

    \b
    Example:
      evermodel adopt existing_model.h5 --data reference.csv --target subscribed
    """
    if not given["target"]:
        raise click.UsageError("--target is needed: which column is the label?")
    say(evermodel.adopt(model, home=home, **given), as_json)


@app.command()
@click.argument("name")
@click.argument("data")
@click.option(
    "--with",
    "with_",
    default="auto",
    show_default=True,
    help="A way to update; refit,replay tries both.",
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of that way; repeatable.")
@click.option("--budget", help="Stop training after this long: 60s, 10m, 1h.")
@click.option("--metric", help="The metric that decides (else auc, accuracy or r2 by task).")
@click.option("--margin", type=float, help="How much worse counts as no worse; 0.01 is one point.")
@click.option("--accept", multiple=True, help="Accept a difference from the contract: 'unit' or 'unit:COLUMN'.")
@click.option("--finish/--no-finish", default=True, help="Train the winner on the judged rows too (default).")
@click.option("--dry-run", is_flag=True, help="Do everything but change the home.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--to", help="Also write the version in service to this file afterwards.")
@click.option("--data", "reference", help="With a model file: rows like those it was trained on.")
@adopt_options
@home_and_json
def update(
    name: str, data: str, home: str | None, as_json: bool, settings: tuple[str, ...], budget: str | None, **given: Any
) -> None:
    """Train a challenger on new rows, judge it, and put the better model in service.

    NAME is a model's name, or a model file: then it is adopted first, with the options of adopt. Exit code 0: promoted,
    10: held, 11: rejected, 12: the evidence cannot count.

    \b
    Example:
      evermodel update churn march.csv
      evermodel update existing_model.h5 new.csv --target churned --to updated_model.h5
    """
    with epochs(quiet=as_json) as hear:
        result = evermodel.update(
            name, data, home=home, settings=parsed_settings(settings), budget=seconds(budget), on_epoch=hear, **given
        )
    say(result, as_json)
    finish(result.decision)


@app.command()
@click.argument("name")
@click.argument("version")
@click.argument("data", required=False)
@click.option("--metric", help="The metric that decides.")
@click.option("--margin", type=float, help="How much worse counts as no worse; 0.01 is one point.")
@home_and_json
def judge(name: str, version: str, data: str | None, home: str | None, as_json: bool, **given: Any) -> None:
    """Hold a version against the champion: on given rows, or as its own update did. Moves nothing.

    \b
    Example:
      evermodel judge churn v3 april.csv
    """
    result = evermodel.judge(name, version, data, home=home, **given)
    say(result, as_json)
    finish(result.decision)


@app.command()
@click.argument("name")
@click.argument("version")
@home_and_json
def promote(name: str, version: str, home: str | None, as_json: bool) -> None:
    """Put a version in service, whatever its verdict was.

    \b
    Example:
      evermodel promote churn v3
    """
    say(evermodel.promote(name, version, home=home), as_json)


@app.command()
@click.argument("name")
@click.option("--to", metavar="VERSION", help="That version instead of the one before.")
@home_and_json
def rollback(name: str, to: str | None, home: str | None, as_json: bool) -> None:
    """Put back the version that was in service before.

    \b
    Example:
      evermodel rollback churn
    """
    say(evermodel.rollback(name, to=to, home=home), as_json)


@app.command()
@click.argument("name")
@click.argument("data")
@click.option("--version", help="A version instead of the one in service.")
@click.option("--accept", multiple=True, help="Accept a difference from the contract: 'unit' or 'unit:COLUMN'.")
@home_and_json
def evaluate(name: str, data: str, home: str | None, as_json: bool, **given: Any) -> None:
    """Score a version on labelled rows.

    \b
    Example:
      evermodel evaluate churn march.csv
    """
    say(evermodel.evaluate(name, data, home=home, **given), as_json)


@app.command()
@click.argument("name")
@click.argument("data")
@click.option("--to", required=True, help="Where to: .csv, .parquet, .jsonl or .arrow.")
@click.option("--version", help="A version instead of the one in service.")
@click.option("--accept", multiple=True, help="Accept a difference from the contract: 'unit' or 'unit:COLUMN'.")
@home_and_json
def predict(name: str, data: str, home: str | None, as_json: bool, **given: Any) -> None:
    """Predict rows: the id or row number, the prediction, and a probability per class.

    \b
    Example:
      evermodel predict churn customers.parquet --to predicted.csv
    """
    say(evermodel.predict(name, data, home=home, **given), as_json)


@app.command()
@click.argument("name")
@click.option("--to", required=True, help="A file of the model's own format, or a folder.")
@click.option("--version", help="A version instead of the one in service.")
@home_and_json
def save(name: str, home: str | None, as_json: bool, **given: Any) -> None:
    """Write a version back as a model file, its transform beside it.

    \b
    Example:
      evermodel save churn --to updated_model.h5
    """
    say(evermodel.save(name, home=home, **given), as_json)


@app.command(name="list")
@home_and_json
def list_(home: str | None, as_json: bool) -> None:
    """All models with the version in service.

    \b
    Example:
      evermodel list
    """
    say(evermodel.models(home=home), as_json)


@app.command()
@click.argument("name")
@click.argument("version", required=False)
@home_and_json
def show(name: str, version: str | None, home: str | None, as_json: bool) -> None:
    """The versions of a model, or one version's card.

    \b
    Example:
      evermodel show churn v2
    """
    say(evermodel.show(name, version, home=home), as_json)


@app.command()
@click.argument("name")
@home_and_json
def log(name: str, home: str | None, as_json: bool) -> None:
    """What happened to a model, oldest first, and why.

    \b
    Example:
      evermodel log churn
    """
    say(evermodel.log(name, home=home), as_json)


@app.command()
@click.argument("name")
@click.argument("version", required=False)
@click.option("--to", default="report.html", show_default=True, help="The HTML file to write.")
@home_and_json
def report(name: str, version: str | None, to: str, home: str | None, as_json: bool) -> None:
    """One self-contained HTML page about a version: verdict, scores, curves, what changed in the data.

    \b
    Example:
      evermodel report churn --to report.html
    """
    say(evermodel.report(name, version, to=to, home=home), as_json)


@app.command()
@click.option("--to", default="evermodel_demo", show_default=True, help="The folder to work in.")
@click.option("--files-only", is_flag=True, help="Write the model and the rows as CSV files, and stop.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def demo(to: str, files_only: bool, as_json: bool) -> None:
    """A real drifting stream, a deployed Keras model, several updates; then the report.

    \b
    Example:
      evermodel demo
    """
    say(evermodel.demo(to, files_only=files_only, say=lambda line: click.echo(line, err=True)), as_json)


app.add_command(watch)
app.add_command(metrics)
app.add_command(check)
app.add_command(integrate)
app.add_command(tune)
app.add_command(fuse)
app.add_command(iterate)
app.add_command(prune)
app.add_command(gc)
app.add_command(backup)
app.add_command(restore)
app.add_command(doctor)
app.add_command(reproduce)
app.add_command(history)
app.add_command(notify)
app.add_command(maintain)
app.add_command(policy)
app.add_command(approve)

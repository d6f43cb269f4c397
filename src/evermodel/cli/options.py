"""Options that several commands share, and how their text is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from evermodel.core.durations import SECONDS, parse_duration
from evermodel.core.errors import BadSetting

F = TypeVar("F", bound=Callable[..., Any])
DAY = float(SECONDS["day"])


def add_shared_options(command: F) -> F:
    """``--registry`` and ``--json``, which nearly every command has."""
    return registry_option(json_option(command))


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")(command)


def registry_option(command: F) -> F:
    described = "The registry: a folder or URL.  [default: EVERMODEL_REGISTRY, or .evermodel here]"
    return click.option("--registry", help=described)(command)


def parse_columns(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    """A,B,C as a tuple of column names."""
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()


def adoption_options(command: F) -> F:
    """What a model file and its rows cannot say themselves."""
    name = "name" if command.__name__ == "adopt" else "called"
    options = (
        click.option("--target", help="The column that holds the label; A,B,C of a model of several answers."),
        click.option("--name", name, help="The name in the registry.  [default: the stem of the file]"),
        click.option("--task", default="auto", show_default=True, help="binary, multiclass or regression."),
        click.option("--time", help="The column that orders the rows.  [default: their order in the file]"),
        click.option("--entity", help="The column that says which rows belong together (a user, a machine)."),
        click.option("--weight", help="The column of row weights."),
        click.option("--inputs", callback=parse_columns, help="The input columns in the model's order: A,B,C."),
        click.option("--drop", callback=parse_columns, help="Columns that are no inputs: A,B."),
        click.option("--slices", callback=parse_columns, help="Columns whose groups must not be harmed: A,B."),
        click.option("--classes", callback=parse_columns, help="The classes in the order of the outputs: A,B,C."),
        click.option(
            "--target-transform",
            metavar="KIND",
            help="What was done to the target before training: log1p, log, sqrt, scale:MEAN:SPREAD, …",
        ),
        click.option(
            "--predictions",
            metavar="COLUMN|FILE",
            help="What the deployed model answered for the reference rows: the proof of parity.",
        ),
        click.option(
            "--transform",
            metavar="FILE|KIND",
            help="The model's fitted scaler, ColumnTransformer or text vectorizer (.skops, .joblib with --trust, "
            "JSON), or its kind: none, standard, minmax, …, also with functions: standard,log1p:COLUMN.",
        ),
        click.option(
            "--signature", metavar="FILE", help="Which columns make which input, and the target of each output: TOML."
        ),
        click.option(
            "--trust",
            multiple=True,
            metavar="FILE",
            help="A file whose code may run, as you made it: a pickle, or a Python file with your classes; repeatable.",
        ),
        click.option(
            "--object",
            "object_path",
            metavar="PATH",
            help="The part of a trusted pickle that is the model: KEY, KEY.ATTRIBUTE, or steps in order: A,B.",
        ),
        click.option("--factory", metavar="MODULE:FUNCTION", help="Builds the network of a file with weights alone."),
        click.option("--shuffled", is_flag=True, help="The order of the rows means nothing."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def sign_option(command: F) -> F:
    """``--sign KEY``: what this command stores is signed."""
    described = "Sign what is stored with this Ed25519 key.  [default: EVERMODEL_SIGN_KEY]"
    option = click.option("--sign", metavar="KEY", expose_value=False, callback=_use_key, help=described)
    return option(command)


def _use_key(context: click.Context, parameter: click.Parameter, key: str | None) -> None:
    if key is not None:
        from evermodel.registry.upkeep.version_signature import SIGNING_KEY

        token = SIGNING_KEY.set(key)
        context.call_on_close(lambda: SIGNING_KEY.reset(token))


def settings_option(owner: str) -> Callable[[F], F]:
    """``--set KEY=VALUE``, repeatable, for the settings of ``owner`` ("the strategy"), as a dict of texts."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        callback=parse_settings,
        help=f"A setting of {owner}; repeatable.",
    )


def parse_settings(context: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE texts as a dict; of a key given twice the last counts. Raises BadSetting."""
    settings: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BadSetting(f"--set takes KEY=VALUE. Got {pair!r}.")
        settings[key.strip()] = value.strip()
    return settings


def budget_option(command: F) -> F:
    described = "Stop training after this long: 60s, 10m, 1h."
    return click.option("--budget", callback=parse_budget, metavar="TIME", help=described)(command)


def parse_budget(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """Seconds of 60, 60s, 10m or 1.5h. Raises BadSetting."""
    if text is None:
        return None
    from evermodel.core.durations import find_seconds

    bare = re.fullmatch(r"\d+(?:\.\d+)?", text.strip())
    seconds = float(text) if bare else find_seconds(text)
    if not seconds:
        raise BadSetting(f"--budget must be a time such as 60s, 10m or 1h. Got {text!r}.")
    return seconds


def parse_age(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """Seconds of 90d, 12h or 30m."""
    return None if text is None else parse_duration(text, f"--{str(parameter.name).replace('_', '-')}")


def grace_option(command: F) -> F:
    described = "Leave alone what was written within this time: others may be at work."
    option = click.option(
        "--grace", callback=parse_age, metavar="AGE", default="24h", show_default=True, help=described
    )
    return option(command)


def metric_option(command: F) -> F:
    described = "The metric that decides.  [default: log loss, guarded by auc or accuracy; r2 for numbers]"
    return click.option("--metric", help=described)(command)


def margin_option(command: F) -> F:
    described = "What counts as no worse: 1 is 1 point, or 1 % of a loss; or METRIC=NUMBER, repeatable."
    return click.option("--margin", multiple=True, callback=parse_margins, metavar="NUMBER", help=described)(command)


def parse_margins(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> float | dict[str, float] | None:
    """One number, or metric -> number of ``auc=1 log_loss=2``. Raises BadSetting."""
    if not texts:
        return None
    named: dict[str, float] = {}
    for text in texts:
        metric, equals, value = text.rpartition("=")
        try:
            named[metric.strip()] = float(value)
        except ValueError:
            raise BadSetting(f"--margin takes NUMBER or METRIC=NUMBER. Got {text!r}.") from None
        if not equals and len(texts) > 1:
            raise BadSetting(
                "--margin without a metric can be given once.", "Write --margin auc=1 --margin log_loss=2."
            )
    return named.get("", named)


def policy_option(default: str) -> Callable[[F], F]:
    """``--policy``; ``default`` says what the verb asks otherwise."""
    described = f"What the judge asks of a challenger.  [default: {default}]"
    return click.option("--policy", type=click.Choice(["better", "no_worse", "refresh", "cheaper"]), help=described)


def gate_option(command: F) -> F:
    described = "Ask this too: negative_flips, or negative_flips.at_most=0.01; GATE=off asks not. Repeatable."
    return click.option("--gate", "gates", multiple=True, callback=parse_gates, metavar="GATE", help=described)(command)


def parse_gates(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> dict[str, dict[str, str] | None]:
    """Gate -> its settings, of ``GATE``, ``GATE.KEY=VALUE`` and ``GATE=off``. Raises BadSetting."""
    gates: dict[str, dict[str, str] | None] = {}
    for text in texts:
        left, equals, value = (part.strip() for part in text.partition("="))
        gate, dot, key = left.partition(".")
        if equals and not dot:
            if value != "off":
                raise BadSetting(f"--gate takes GATE, GATE.KEY=VALUE or GATE=off. Got {text!r}.")
            gates[gate] = None
        elif dot:
            if not (equals and key and gate):
                raise BadSetting(f"--gate takes GATE, GATE.KEY=VALUE or GATE=off. Got {text!r}.")
            gates[gate] = {**(gates.get(gate) or {}), key: value}
        else:
            gates.setdefault(gate, {})
    return gates


def accept_option(command: F) -> F:
    described = "Accept a difference from the contract: unit, or unit:COLUMN. Repeatable."
    return click.option("--accept", multiple=True, help=described)(command)


def refit_option(command: F) -> F:
    described = "Train a promoted challenger on the judged rows too (default)."
    return click.option("--refit/--no-refit", default=True, help=described)(command)


def dialect_options(command: F) -> F:
    """How the text tables of a command are written, where their first lines do not tell."""
    for flag, name, metavar, described in reversed(DIALECT):
        command = click.option(
            flag, name, metavar=metavar, expose_value=False, callback=_state_dialect, help=described
        )(command)
    return command


DIALECT = (
    ("--header", "header", "A,B,C", "The columns' names, where no line of the text table holds them; or none."),
    ("--sep", "separator", "SIGN", "The sign between the values of a text table: ; or | or tab.  [default: found]"),
    ("--decimal", "decimal", "SIGN", "The decimal sign of a text table: . or a comma.  [default: found]"),
    ("--encoding", "encoding", "NAME", "The encoding of a text table: windows-1252, utf-16, …  [default: found]"),
)


def _state_dialect(context: click.Context, parameter: click.Parameter, text: str | None) -> None:
    if text is not None:
        from evermodel.core.data.source import STATED_DIALECT

        token = STATED_DIALECT.set({**STATED_DIALECT.get({}), str(parameter.name): text})
        context.call_on_close(lambda: STATED_DIALECT.reset(token))


def seed_option(command: F) -> F:
    described = "Makes training and sampling repeatable."
    return click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help=described)(command)


def version_option(command: F) -> F:
    return click.option("--version", help="This version instead of the one in service.")(command)

"""The command group ``evermodel``: one command a verb."""

from __future__ import annotations

import click

import evermodel
from evermodel.cli import explain, maintain, predictions, searching, update, upkeep, versions
from evermodel.cli.adopt import adopt
from evermodel.cli.check import check
from evermodel.cli.demo import demo
from evermodel.cli.integrate import integrate
from evermodel.cli.metrics import metrics
from evermodel.cli.notify import notify
from evermodel.cli.serving.delete import delete
from evermodel.cli.serving.label import label
from evermodel.cli.serving.publish import publish
from evermodel.cli.serving.release import release
from evermodel.cli.serving.score import score
from evermodel.cli.serving.serve import serve
from evermodel.cli.watch import watch

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
COMMANDS = (
    *(adopt, update.update, update.judge, explain.explain, versions.promote, versions.rollback),
    *(predictions.evaluate, predictions.predict, predictions.save),
    *(serve, label, publish, score, release, delete),
    *(versions.list_, versions.show, versions.log, versions.history, versions.report),
    *(searching.tune, searching.prune, searching.fuse, searching.iterate),
    *(watch, check, metrics, notify, integrate),
    *(maintain.maintain, maintain.policy, maintain.approve),
    *(upkeep.doctor, upkeep.gc, upkeep.backup, upkeep.restore, upkeep.reproduce),
    demo,
)


class Commands(click.Group):
    """The group itself has few options: one that stands before the command belongs behind it."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(context, args)
        except click.NoSuchOption as error:
            known = {name for command in COMMANDS for option in command.params for name in option.opts}
            if error.option_name in known:
                raise click.UsageError(
                    f"{error.option_name} is an option of the commands and stands behind them: "
                    f"evermodel COMMAND … {error.option_name} …",
                    context,
                ) from None
            raise


@click.group(cls=Commands, context_settings=HELP)
@click.version_option(evermodel.__version__, prog_name="evermodel")
def app() -> None:
    """Keeps deployed models good: update, judge, promote, roll back.

    \b
    Example:
      evermodel update existing_model.h5 new.csv --target churned --to updated_model.h5
    """


for command in COMMANDS:
    app.add_command(command)

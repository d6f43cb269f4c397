"""Logging on the command line, unexpected errors, and arguments in the words of either door."""

from __future__ import annotations

import json
import logging

import click
import pytest

import evermodel
from evermodel.cli.app import app
from tests.cli.ground import ask


@pytest.fixture(autouse=True)
def fresh_logging():
    """Each test begins and ends without handlers of the command line."""
    logger = logging.getLogger("evermodel")
    before = logger.handlers, logger.level
    yield
    logger.handlers, level = before
    logger.setLevel(level)


@pytest.fixture
def broken_list(monkeypatch):
    """``evermodel list`` fails in a way that nobody foresaw."""

    def fail(**given):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(evermodel, "models", fail, raising=False)


def commands(group: click.Group = app) -> list[click.Command]:
    found = []
    for command in group.commands.values():
        found += commands(command) if isinstance(command, click.Group) else [command]
    return found


def test_every_command_has_the_same_options():
    assert len(commands()) > 30
    for command in commands():
        names = {option for parameter in command.params for option in parameter.opts}
        assert {"--json", "--verbose", "--log-level"} <= names, command.name


def test_an_unexpected_error_is_one_sentence_and_exit_code_1(broken_list, tmp_path):
    answer = ask(["list"], tmp_path)
    assert answer.code == 1
    assert answer.err.startswith("evermodel: unexpected ZeroDivisionError: by zero\nHint: ")
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("options", [["-v"], ["--log-level", "debug"]])
def test_the_traceback_of_an_unexpected_error_is_shown_on_request(broken_list, tmp_path, options):
    answer = ask(["list", *options], tmp_path)
    assert answer.code == 1
    assert "Traceback" in answer.err
    assert "Hint" not in answer.err


def test_logging_leaves_stdout_to_the_document(tmp_path):
    answer = ask(["list", "--json", "-vv"], tmp_path)
    assert json.loads(answer.out)["rows"] == []


def test_errors_name_options_on_the_command_line_and_arguments_in_python(tmp_path):
    answer = ask(["history", "m", "--since", "once"], tmp_path)
    assert answer.code == 2
    for call in (lambda: evermodel.report("m", to=tmp_path), lambda: evermodel.reproduce("m", "v1", to=tmp_path)):
        with pytest.raises(evermodel.EvermodelError) as error:
            call()
        assert "--" not in str(error.value)
    assert ask(["report", "m", "--to", str(tmp_path)], tmp_path / "r").err.startswith(
        "evermodel: --to must name a file"
    )

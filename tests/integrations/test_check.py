"""``evermodel check`` as a plugin: one line, performance data, the four exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evermodel
from evermodel.integrations.nagios_check import CheckResult, one_line
from evermodel.integrations.samples.check_figures import format_duration
from tests.cli.ground import ask

LINE = re.compile(r"MODEL (OK|WARNING|CRITICAL|UNKNOWN) - [^|\n]+( \| [^|\n]+)?\n")
DATUM = re.compile(r"('[^'=]+'|\w+)=-?[\d.e+-]+(s|c|)?(;[^;\s]*){0,4}")
CODES = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}

CASES = {
    "quiet": ([], "OK", "no alarm is open"),
    "better than asked": (["-w", "accuracy=0.6:"], "OK", "accuracy 0.7"),
    "worse than asked": (["-w", "accuracy=0.9:"], "WARNING", "outside range 0.9:"),
    "far worse than asked": (["-w", "accuracy=0.95:", "-c", "accuracy=0.9:"], "CRITICAL", "outside range 0.9:"),
    "a bare range goes with the deciding metric": (["-c", "0.99:"], "CRITICAL", "auc 0.8"),
    "a bare range goes with --metric": (["-m", "accuracy", "-c", "0.99:"], "CRITICAL", "accuracy 0.7"),
    "inside is bad": (["-c", "accuracy=@0.5:1"], "CRITICAL", "@0.5:1"),
    "drift": (["-w", "drift.a.psi=0.000001"], "WARNING", "drift.a.psi"),
    "rows are young": (["-c", "row_age=3600"], "OK", "row_age"),
    "rows are old": (["-c", "row_age=0"], "CRITICAL", "newest row"),
    "a look is young": (["-c", "watch_age=3600"], "OK", "watch_age"),
    "critical outranks unknown": (["-c", "open_alarms=1:", "-w", "estimated.x=1"], "UNKNOWN", "estimated.x"),
    "alarms by number": (["-c", "open_alarms=0"], "OK", "open_alarms"),
    "no such figure": (["-c", "accurracy=0.9:"], "UNKNOWN", "Did you mean 'accuracy'"),
    "no such slice": (["-c", "accuracy=0.9:", "--slice", "sex=f"], "UNKNOWN", "slice"),
    "no range": (["-c", "accuracy="], "UNKNOWN", "Nagios range"),
    "no figure": (["-c", "=0.9"], "UNKNOWN", "Nagios range"),
    "upside down": (["-c", "9:1"], "UNKNOWN", "Nagios range"),
    "twice": (["-c", "0.9:", "-c", "auc=0.8:"], "UNKNOWN", "twice"),
    "no such option": (["--warn", "1"], "UNKNOWN", "--warn"),
    "passive without a service": (["--passive", "x"], "UNKNOWN", "--service"),
    "a service without passive": (["--service", "x"], "UNKNOWN", "--passive"),
    "no command file": (["--passive", "nowhere", "--host", "h", "--service", "s"], "UNKNOWN", "command file"),
    "a name that would end the line": (["--passive", "x", "--host", "h;0;", "--service", "s"], "UNKNOWN", "--host"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_one_line_and_a_state(case, quiet):
    typed, state, says = case
    answer = ask(["check", "m", *typed], quiet.registry)
    assert LINE.fullmatch(answer.out), answer.out
    assert (answer.out.split()[1], answer.code, answer.err) == (state, CODES[state], "")
    assert says in answer.out
    performance = answer.out.partition(" | ")[2].strip()
    assert performance or state == "UNKNOWN"
    assert all(DATUM.fullmatch(d) for d in performance.split(" ") if d), performance


def test_an_open_alarm_counts_by_its_level_and_says_what_to_do(alarmed):
    answer = ask(["check", "m"], alarmed)
    assert answer.code == 2
    assert "alarm quality of accuracy" in answer.out
    assert "next: evermodel " in answer.out
    assert ask(["check", "m", "--no-alarms"], alarmed).code == 0


def test_json_holds_the_same(alarmed):
    answer = ask(["check", "m", "-w", "accuracy=0.1:", "--json"], alarmed)
    told = json.loads(answer.out)
    assert (told["state"], told["exit_code"], answer.code) == ("CRITICAL", 2, 2)
    assert 0 < told["figures"]["accuracy"] < 1
    assert told["alarms"][0]["next_command"].startswith("evermodel ")
    wrong = ask(["check", "nobody", "--json"], alarmed)
    assert (wrong.code, json.loads(wrong.out)["state"]) == (3, "UNKNOWN")


def test_what_was_never_watched_is_unknown_and_so_is_a_registry_without_models(quiet, tmp_path):
    assert ask(["check", "m"], tmp_path / "none").code == 3
    evermodel.adopt(
        quiet.model, data=quiet.reference, target="y", name="m", time="when", registry=tmp_path / "registry"
    )
    answer = ask(["check", "m", "-c", "accuracy=0.9:"], tmp_path / "registry")
    assert answer.code == 3
    assert "never watched" in answer.out


def test_rows_without_labels_are_no_quality(quiet, tmp_path):
    from tests.updating.conftest import rows

    evermodel.adopt(quiet.model, data=quiet.reference, target="y", name="m", time="when", registry=tmp_path)
    evermodel.watch("m", rows(1000, 9).drop("y"), window="1000rows", registry=tmp_path)
    answer = ask(["check", "m", "-c", "accuracy=0.1:"], tmp_path)
    assert answer.code == 3, answer.out
    assert "not known" in answer.out
    assert "accuracy=" not in answer.out.partition("|")[2]


def test_a_check_that_hangs_is_unknown(program, registry):
    """Another holds the lock of the registry's database, and of its log: readers wait too."""
    import sqlite3

    held = sqlite3.connect(registry / "evermodel.db", isolation_level=None)
    held.execute("PRAGMA locking_mode=EXCLUSIVE")
    held.execute("BEGIN EXCLUSIVE")
    try:
        command = [program, "check", "m", "--registry", registry, "--timeout", "3"]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=200)
    finally:
        held.execute("ROLLBACK")
        held.close()
    assert done.returncode == 3, done
    assert "no answer within 3 s" in done.stdout


def test_passive_results_go_whole_into_the_pipe(quiet, tmp_path):
    pipe, came = tmp_path / "nagios.cmd", []
    os.mkfifo(pipe)
    answer = ask(["check", "m", "--passive", str(pipe), "--host", "h", "--service", "s"], quiet.registry)
    assert answer.code == 3  # nobody reads
    assert "Check that Nagios runs" in answer.out
    reader = threading.Thread(target=lambda: came.append(pipe.read_text()))
    reader.start()
    for _ in range(100):
        answer = ask(["check", "m", "--passive", str(pipe), "--host", "h", "--service", "s"], quiet.registry)
        if answer.code == 0:
            break
    reader.join(10)
    assert re.fullmatch(r"\[\d+\] PROCESS_SERVICE_CHECK_RESULT;h;s;0;MODEL OK - m v1: [^\n]+\n", came[0]), came


def test_a_plain_file_is_no_command_file(quiet, tmp_path):
    (tmp_path / "file").write_text("mine")
    answer = ask(["check", "m", "--passive", str(tmp_path / "file"), "--host", "h", "--service", "s"], quiet.registry)
    assert answer.code == 3
    assert (tmp_path / "file").read_text() == "mine"


@given(st.text())
def test_no_text_ends_the_line_or_begins_the_performance_data(text):
    said = str(CheckResult("m", "OK", 0, one_line(text) or "-", (), {}, ()))
    assert len(said.splitlines()) == 1
    assert "|" not in said


@given(st.floats(0, 1e9))
def test_durations_read_well(seconds):
    assert re.fullmatch(r"[\d.]+ (s|min|h|d)", format_duration(seconds))

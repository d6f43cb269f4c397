"""Answers of a model that writes texts, in service: measured by the labels that come, and alarmed about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evermodel as em
from evermodel.core.errors import AskedWrongly
from evermodel.monitoring.alarms.alarm_wording import build_notices
from evermodel.monitoring.texts.written_answers import describe_answers, sum_answers
from evermodel.monitoring.watched_rows import ANSWER, CODE, EXACT, ID, Y, score_answers
from tests.cli.ground import ask
from tests.frameworks.test_free_text import make_rows
from tests.frameworks.tiny_language_model import LABELS, make_language_model

pytest.importorskip("transformers", reason='needs pip install ".[transformers]"')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_language_model(tmp_path_factory.mktemp("deployed") / "words", trained_on=LABELS)


@pytest.fixture
def registry(folder: Path, tmp_path: Path) -> Path:
    told = {"target": "completion", "task": "text", "inputs": ["prompt"], "name": "m"}
    em.adopt(folder, data=make_rows(200, 1), registry=tmp_path / "r", **told)
    return tmp_path / "r"


def answered(n: int, seed: int, wrong: float) -> pl.DataFrame:
    """Rows with an id and what was written: a share of it has one word of two, and as much none."""
    rows, random = make_rows(n, seed), np.random.default_rng(seed)
    draw, written = random.random(n), []
    for text, at in zip(rows["completion"], draw, strict=True):
        first = text.split()[0]
        written.append("nothing of it" if at < wrong else first if at < 2 * wrong else text)
    return rows.with_columns(id=pl.Series([f"{seed}-{i}" for i in range(n)]), prediction=pl.Series(written))


def test_answers_are_scored_once_and_their_texts_go() -> None:
    rows = pl.DataFrame({ID: ["a", "b", "c"], ANSWER: ["red card", "the card", None], "r": ["card, red", None, "x"]})
    once = score_answers(rows, "r")
    assert once[CODE].to_list() == [1.0, None, None] and once[EXACT].to_list() == [0.0, None, None]
    assert once[Y].to_list() == [1.0, None, None] and once[ANSWER].to_list() == [None, "the card", None]
    again = score_answers(once.with_columns(r=pl.Series(["other", "card", "x"])), "r")
    assert again[CODE].to_list() == [1.0, 1.0, None] and again[EXACT].to_list() == [0.0, 1.0, None]
    assert ANSWER in score_answers(rows.drop(ANSWER), "r").columns


def test_labels_that_come_late_measure_what_was_written(registry: Path) -> None:
    rows = answered(1000, 2, 0.1)
    em.watch("m", rows.drop("completion"), registry=registry)
    first = rows[:400].select("id", "completion")
    status = em.watch("m", labels=first, registry=registry).status
    assert status.counters["labels"] == 400
    (window,) = (w for w in status.windows if not w.slice)
    scores = window.metrics
    expected = np.where(rows["prediction"][:400] == rows["completion"][:400], 1.0, 0.0).mean()
    assert scores["exact_match"].value == pytest.approx(expected) and window.labelled == 400
    assert scores["exact_match"].value < scores["token_f1"].value < 1.0
    em.watch("m", labels=rows[300:].select("id", "completion"), registry=registry)
    assert em.watch("m", registry=registry, labels=first).status.counters["labels"] == 1000


def test_rows_that_hold_both_are_measured_at_once_and_bad_answers_alarm(registry: Path, tmp_path: Path) -> None:
    for seed in (3, 4):
        quiet = em.watch("m", answered(1000, seed, 0.05), registry=registry)
        assert not quiet.status.open
    bad = answered(1000, 5, 0.3)
    bad.write_ndjson(tmp_path / "bad.jsonl")
    answer = ask(["watch", "m", str(tmp_path / "bad.jsonl")], registry)
    assert answer.code == 20, answer.out + answer.err
    assert (
        "answers that share less than half of their words with the label rose to" in answer.out
        and "token_f1" in answer.out
    )
    assert "next: evermodel update m NEW_ROWS" in answer.out
    shown = ask(["metrics", "m", "--once"], registry)
    assert 'metric="token_f1"' in shown.out, shown.out[:2000] + shown.err


def test_rows_with_labels_and_no_answer_measure_nothing(registry: Path) -> None:
    status = em.watch("m", make_rows(300, 6), registry=registry).status
    assert status.counters["predictions"] == 300 and not status.counters.get("labels")
    with pytest.raises(AskedWrongly, match="no probabilities"):
        em.watch("m", make_rows(30, 7), suggest=10, to="rows.csv", registry=registry)


def test_prompts_that_the_network_finds_unlikely_and_answers_that_refuse_alarm(registry: Path) -> None:
    quiet = em.watch("m", answered(1200, 8, 0.05), registry=registry).status
    drifts = {d.column: d.statistics for d in quiet.drift}
    usual = drifts["prompt.surprise"]["mean"]
    assert usual == pytest.approx(drifts["prompt.surprise"]["reference_mean"], rel=0.2) and not quiet.open
    assert drifts["answers.refusals"] == {"mean": 0.0, "reference_mean": 0.0}

    rows = answered(1000, 9, 0.05).with_columns(
        pl.col("prompt").str.reverse(),
        prediction=pl.when(pl.int_range(1000) % 4 == 0)
        .then(pl.lit("I\u2019m sorry, but I can\u2019t help with that."))
        .when(pl.int_range(1000) % 4 == 1)
        .then(pl.lit("and so on and so " * 9))
        .otherwise(pl.col("prediction")),
    )
    status = em.watch("m", rows, registry=registry).status
    drifts = {d.column: d.statistics for d in status.drift}
    assert drifts["prompt.surprise"]["mean"] > 1.5 * usual
    assert drifts["answers.refusals"]["mean"] == 0.25 and drifts["answers.loops"]["mean"] == 0.25
    texts = " ".join(notice.text for notice in build_notices(status))
    assert "the model's answers changed: 25.0% refuse (none of the first answers watched)" in texts
    assert "25.0% say the same phrases again and again" in texts


@pytest.mark.parametrize(
    ("answer", "refuses"),
    [
        ("I cannot help with that request.", True),
        ("I'm sorry, but I can't do that.", True),
        ("As an AI language model, I have no opinion.", True),
        ("Es tut mir leid, dabei kann ich nicht helfen.", True),
        ("I'm sorry to hear that your card was stolen. Call us at once.", False),
        ("The card cannot be used abroad.", False),
        ("", False),
    ],
)
def test_a_refusal_is_told_from_an_answer(answer: str, refuses: bool) -> None:
    counts = sum_answers(pl.DataFrame(describe_answers(pl.Series([answer, None]))))
    assert (counts.answers, counts.refusals, counts.empty) == (1, int(refuses), int(not answer))

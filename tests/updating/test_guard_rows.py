"""Rows that the user names: whatever a challenger gains on new rows, it may not get worse there."""

from __future__ import annotations

import polars as pl
import pytest

import evermodel
from evermodel.core.errors import ContractBroken, NoData
from evermodel.core.records.verdict import JudgedRows, ReasonCode
from evermodel.registry.lookup import open_store
from tests.cli.ground import ask
from tests.updating.conftest import rows

NEW = {"strategy": "refit", "policy": "better"}


def find_reason(registry, result):
    card = open_store(registry).read_card("m", result.challenger)
    return next(reason for reason in card.update.verdict.reasons if reason.gate == "guard_rows")


def test_a_gain_on_new_rows_does_not_make_up_for_a_loss_there(adopted):
    new, old = rows(2500, 3, angle=1.2), rows(1200, 50)
    free = evermodel.update("m", new, registry=adopted, dry_run=True, gates={"retention": None}, **NEW)
    assert free.decision == "promote" and "guarded" not in free.scores
    guarded = evermodel.update("m", new, registry=adopted, guard_rows=old, gates={"retention": None}, **NEW)
    assert guarded.decision == "reject" and guarded.stopped_by == ("guard_rows",)
    assert guarded.in_service == "v1"
    score = guarded.scores["guarded"]["log_loss"]
    assert score.n == 1200 and score.difference > 0 and score.low > 0
    reason = find_reason(adopted, guarded)
    assert (reason.code, reason.rows, reason.comparison.n) == (ReasonCode.PAST_FORGOTTEN, JudgedRows.GUARDED, 1200)
    told = str(guarded)
    assert "rows to guard, as you named them" in told and "on the rows to guard log loss rose by" in told
    assert "the gate guard_rows stopped it" in guarded.headline


def test_what_is_kept_there_is_told_and_stops_nothing(adopted, tmp_path):
    new = rows(2500, 3, angle=1.2)
    rows(1200, 51, angle=1.2).write_csv(tmp_path / "general.csv")
    new.write_csv(tmp_path / "new.csv")
    words = ["update", "m", str(tmp_path / "new.csv"), "--with", "refit", "--guard-rows", str(tmp_path / "general.csv")]
    answer = ask(words, adopted)
    assert answer.code == 0, answer.out + answer.err
    assert "on the rows to guard log loss fell by" in answer.out
    page = ask(["report", "m", "--to", str(tmp_path / "report.html")], adopted)
    assert page.code == 0 and "On rows to guard" in (tmp_path / "report.html").read_text()


def test_rows_that_were_learnt_do_not_guard(adopted):
    learnt, fresh = rows(3000, 2), rows(200, 52)
    both = pl.concat([learnt, fresh])
    result = evermodel.update("m", rows(1500, 3), registry=adopted, guard_rows=both, dry_run=True)
    assert result.scores["guarded"]["log_loss"].n <= 200 + 60, "but those kept out of all training"
    with pytest.raises(NoData, match="were trained on"):
        evermodel.update("m", rows(1500, 3), registry=adopted, guard_rows=rows(1500, 3))
    with pytest.raises(ContractBroken):
        evermodel.update("m", rows(1500, 3), registry=adopted, guard_rows=fresh.drop("a"))


def test_the_model_s_own_update_takes_them(adopted):
    model = evermodel.open(adopted)["m"]
    result = model.update(rows(1500, 3), guard_rows=rows(300, 53), dry_run=True)
    assert result.scores["guarded"]["auc"].n == 300

"""A version tried in service: a shadow harms nobody, a canary answers its share and is stopped by what labels show."""

from __future__ import annotations

import threading

import httpx
import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import BadSetting, NotFound
from evermodel.server.trials.trial_version import draw_share, parse_trials
from tests.cli.ground import ask
from tests.server.conftest import wait_for
from tests.updating.conftest import rows


def send(client: httpx.Client, frame: pl.DataFrame, size: int) -> tuple[list[str], list[str]]:
    """Asks for the rows in requests of ``size``; the ids of the predictions and the versions that answered."""
    ids, versions = [], []
    for at in range(0, frame.height, size):
        part = frame[at : at + size].drop("y").to_dicts()
        answer = client.post("/invocations", json={"dataframe_records": part})
        assert answer.status_code == 200
        held = answer.json()
        ids += [f"{held['prediction_id']}-{row}" for row in range(len(part))]
        versions += [held["version"]] * len(part)
    return ids, versions


def test_a_shadow_answers_in_the_background_and_is_judged(registry):
    frame = rows(600, 60, angle=1.5)  # v2 was made for such rows, v1 serves
    with (
        evermodel.serve("m", port=0, registry=registry, shadow=["m=v2"]) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        ids, versions = send(client, frame, 20)
        assert set(versions) == {"v1"}
    evermodel.label("m", pl.DataFrame({"prediction_id": ids, "y": frame["y"]}), registry=registry)
    result = evermodel.release("m", "v2", registry=registry)
    assert (result.comparison.kind, result.comparison.answered, result.comparison.pairs) == ("shadow", 600, 600)
    assert result.outcome == "better"
    answer = ask(["release", "m", "v2", "--apply"], registry)
    assert answer.code == 0
    assert "v2 serves now" in answer.out
    assert evermodel.open(registry)["m"].champion.name == "v2"
    assert evermodel.watch("m", registry=registry).status.counters["predictions"] == 600  # not the shadow's


def test_a_canary_answers_its_share_and_is_stopped_when_worse(registry):
    frame = rows(2400, 61)  # v1 was made for such rows, v2 is worse on them
    with (
        evermodel.serve("m", port=0, registry=registry, canary=["m=v2:25%"]) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        ids, versions = send(client, frame, 4)
        assert 0.18 < versions.count("v2") / 2400 < 0.32
        evermodel.label("m", pl.DataFrame({"prediction_id": ids, "y": frame["y"]}), registry=registry)
    result = evermodel.release("m", "v2", registry=registry)
    assert result.comparison.kind == "canary"
    assert result.outcome == "worse"
    assert ask(["release", "m", "v2"], registry).code == 11
    with (
        evermodel.serve("m", port=0, registry=registry, canary=["m=v2:25%"]) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        wait_for(lambda: client.get("/v2/models/m/ready").json()["trial"]["stopped"])
        assert "worse" in client.get("/v2/models/m/ready").json()["trial"]["stopped"]
        assert set(send(client, frame[:200], 1)[1]) == {"v1"}


def test_a_canary_that_fails_is_answered_for_by_the_champion(registry, monkeypatch):
    from evermodel.server.prepared_model import PreparedModel

    predict = PreparedModel.predict

    def fail(self, checked):
        if self.version == "v2" and len(checked) == 3:  # warm-up and golden rows have other sizes
            raise ZeroDivisionError
        return predict(self, checked)

    with evermodel.serve("m", port=0, registry=registry, canary=["m=v2:100%"]) as server:
        monkeypatch.setattr(PreparedModel, "predict", fail)
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            assert set(send(client, rows(30, 62), 3)[1]) == {"v1"}
            assert "failed" in client.get("/v2/models/m/ready").json()["trial"]["stopped"]


def test_a_shadow_that_is_slow_delays_nobody(registry, monkeypatch):
    from evermodel.server.prepared_model import PreparedModel

    predict, release = PreparedModel.predict, threading.Event()

    def wait(self, checked):
        if self.version == "v2" and len(checked) == 3:
            assert release.wait(60), "nobody let the shadow go on"
        return predict(self, checked)

    with evermodel.serve("m", port=0, registry=registry, shadow=["m=v2"]) as server:
        monkeypatch.setattr(PreparedModel, "predict", wait)
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            try:
                assert set(send(client, rows(60, 63), 3)[1]) == {"v1"}  # all answered while the shadow stands still
            finally:
                release.set()


def test_entities_are_drawn_once_and_in_the_right_share():
    shares = np.array([draw_share("v2", f"customer {i}") for i in range(20_000)])
    assert abs((shares < 0.05).mean() - 0.05) < 0.006
    assert draw_share("v2", "customer 7") == draw_share("v2", "customer 7")
    other = np.array([draw_share("v3", f"customer {i}") for i in range(20_000)])
    assert abs(np.corrcoef(shares, other)[0, 1]) < 0.03


@pytest.mark.parametrize(
    ("shadows", "canaries"),
    [(["m"], []), (["m=v2:5%"], []), ([], ["m=v2"]), ([], ["m=v2:0%"]), ([], ["m=v2:200%"]), (["m=v2"], ["m=v2:5%"])],
)
def test_a_trial_that_cannot_be_read_is_refused(shadows, canaries):
    with pytest.raises(BadSetting):
        parse_trials(tuple(shadows), tuple(canaries))


def test_trials_that_cannot_be_made_are_said(registry):
    with pytest.raises(NotFound, match="v9"):
        evermodel.serve("m", port=0, registry=registry, shadow=["m=v9"])
    with pytest.raises(evermodel.errors.AskedWrongly, match="needs the log"):
        evermodel.serve("m", port=0, registry=registry, log="off", shadow=["m=v2"])
    with pytest.raises(evermodel.errors.AskedWrongly, match="serves already"):
        evermodel.release("m", "v1", registry=registry)
    with pytest.raises(NotFound, match="logged"):
        evermodel.release("m", "v2", registry=registry)


def test_an_equal_canary_is_rarely_called_worse_however_often_one_looks():
    """500 canaries as good as the champion, looked at after every label: the bound is 5 %."""
    from evermodel.core.stats.paired_e_process import STAKES

    random = np.random.default_rng(0)
    called = 0
    for _ in range(500):
        own, other = random.beta(1, 4, 1500), random.beta(1, 4, 1500)
        wealth = np.mean([np.exp(np.cumsum(np.log1p(stake * (own - other)))) for stake in STAKES], axis=0)
        called += bool(wealth.max() >= 20.0)
    assert called / 500 <= 0.05


@pytest.mark.parametrize("share", [0.05, 0.25, 0.75])
def test_a_canary_is_compared_with_rows_of_its_own_time(share):
    """The world gets harder by the day: rows of two times that meet would blame the version that answered later."""
    from evermodel.registry.predictions.compare_logged import _pair_by_time

    random = np.random.default_rng(1)
    n = 4000
    moments = pl.Series(np.arange(n)).cast(pl.Datetime("us", "UTC"))
    ids = pl.Series([f"{row:05d}" for row in range(n)])
    rows = pl.DataFrame({"prediction_id": ids, "predicted_at": moments, "labelled_at": moments, "day": np.arange(n)})
    is_mine = random.random(n) < share
    mine, theirs = _pair_by_time(rows.filter(is_mine), rows.filter(~is_mine))
    assert mine.height == theirs.height > 0.9 * min(is_mine.sum(), (~is_mine).sum())
    assert np.abs(mine["day"].to_numpy() - theirs["day"].to_numpy()).max() < 200
    assert abs((mine["day"] - theirs["day"]).mean()) < 3.0
    half = n // 2
    first = _pair_by_time(rows[:half].filter(is_mine[:half]), rows[:half].filter(~is_mine[:half]))[0]
    assert mine["day"][: first.height].equals(first["day"]), "later rows changed earlier pairs"

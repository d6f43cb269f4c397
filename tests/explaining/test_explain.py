"""What two versions do differently: counts, segments, contributions and the parts of a change of score, all checked."""

from __future__ import annotations

import dataclasses
import json

import lightgbm
import numpy as np
import polars as pl
import pytest

import evermodel as em
from evermodel.core.errors import AskedWrongly, NoData
from evermodel.explaining.contributions import compute_contributions
from evermodel.explaining.explanation import Condition, ConditionKind
from evermodel.explaining.explanation_wording import describe_segments
from evermodel.explaining.score_change import split_score_change
from evermodel.explaining.segments import find_segments
from evermodel.explaining.win_counts import count_flips
from evermodel.registry.lookup import open_store
from evermodel.registry.prediction import clean_rows
from evermodel.registry.versions import load_version
from tests.cli.ground import ask

WEIGHTS = np.array([1.0, -1.5, 0.5])
NAMES = ("a", "b", "c")


def rows(n, seed, *, flip=None):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 3))
    y = (random.random(n) < 1.0 / (1.0 + np.exp(-x @ WEIGHTS))).astype(int)
    frame = pl.DataFrame({**{name: x[:, i] for i, name in enumerate(NAMES)}, "y": y})
    if flip is not None:
        frame = frame.with_columns(pl.when(flip).then(1 - pl.col("y")).otherwise(pl.col("y")).alias("y"))
    return frame


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """A booster, and a second version trained on rows whose labels are flipped where a is large."""
    folder = tmp_path_factory.mktemp("explain")
    reference = rows(3_000, 0)
    data = lightgbm.Dataset(reference.select(NAMES).to_numpy(), reference["y"].to_numpy())
    settings = {"objective": "binary", "verbose": -1, "num_leaves": 7, "num_threads": 1}
    lightgbm.train(settings, data, 40).save_model(folder / "m.txt")
    m = em.open(folder / "registry").adopt(folder / "m.txt", data=reference, target="y", name="m")
    m.update(rows(4_000, 1, flip=pl.col("a") > 0.5), strategy="refit")
    assert [v.name for v in m.versions] == ["v1", "v2"]
    return folder / "registry"


@pytest.fixture(scope="module")
def models(registry):
    store = open_store(registry)
    return tuple(load_version(store, store.read_card("m", v)) for v in ("v1", "v2"))


def test_where_labels_were_flipped_is_where_the_new_version_lost(registry):
    explanation = em.open(registry)["m"].explain("v1", "v2", rows(4_000, 2))
    lost = [s for s in explanation.segments if s.gain < s.elsewhere]
    assert lost and lost[0].confirmed
    assert any(
        c.column == "a" and c.kind is ConditionKind.ABOVE and abs(c.value - 0.5) < 0.3 for c in lost[0].conditions
    )
    assert lost[0].low <= lost[0].gain <= lost[0].high < 0
    assert explanation.flips.losses > explanation.flips.wins
    assert explanation.flips.low <= explanation.flips.net <= explanation.flips.high < 0
    assert {c.column for c in explanation.contributions.columns[:2]} == {"a", "b"}
    assert explanation.calibration_new > explanation.calibration_old
    text = str(explanation)
    assert "Where a > " in text and "the loss rose by" in text


def test_two_equal_versions_differ_nowhere(models):
    now = clean_rows(models[0], rows(2_000, 3), (), labelled=True).collect()
    gain = np.random.default_rng(0).normal(size=2_000)
    quiet = [
        find_segments(now.frame.select(NAMES), np.random.default_rng(s).permutation(gain), None, s) for s in range(40)
    ]
    assert sum(any(s.confirmed for s in segments) for segments in quiet) <= 6  # 5 % of 40 are 2
    contributions, values, _ = compute_contributions(models[0], models[0], now.frame, now.frame)
    assert not values.any() and contributions.columns[0].share == 0.0


def test_contributions_of_boosters_are_exact_and_sum_to_the_difference(models):
    now = clean_rows(models[0], rows(500, 4), (), labelled=True).collect()
    contributions, _, _ = compute_contributions(*models, now.frame, now.frame)
    assert contributions.largest_error < 1e-9
    assert contributions.exact
    assert abs(sum(c.share for c in contributions.columns) - 1.0) < 1e-9


def test_contributions_of_linear_models_are_those_of_the_formula(tmp_path):
    import skops.io
    from sklearn.linear_model import LogisticRegression

    reference = rows(2_000, 5)
    x, y = reference.select(NAMES).to_numpy(), reference["y"].to_numpy()
    linear = LogisticRegression().fit(x, y)
    skops.io.dump(linear, tmp_path / "m.skops")
    em.adopt(tmp_path / "m.skops", data=reference, target="y", name="m", registry=tmp_path / "registry")
    store = open_store(tmp_path / "registry")
    old = load_version(store, store.read_card("m", "v1"))
    steeper = old.framework.replace_weights(old.obj, [w * 1.5 for w in old.framework.get_weights(old.obj)])
    new = dataclasses.replace(old, obj=steeper)
    now = clean_rows(old, rows(300, 6), (), labelled=True).collect().frame
    contributions, values, names = compute_contributions(old, new, now, now, seed=7)
    assert contributions.exact
    background = now.select(names).sample(16, seed=7)
    drawn = now.select(names)[np.sort(np.random.default_rng(7).choice(300, 200, replace=False))]
    expected = 0.5 * linear.coef_[0] * (drawn.to_numpy() - background.to_numpy().mean(axis=0))
    assert np.abs(values - expected).max() < 1e-4


def test_the_one_column_of_a_text_classifier_is_all_that_differs_and_few_predictions_say_so(tmp_path):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    random, words = np.random.default_rng(0), np.array(["late", "parcel", "login", "password", "refund", "money"])
    kinds = random.integers(0, 3, 600)
    texts = [" ".join([*words[[2 * k, 2 * k + 1]], *random.choice(words, 2)]) for k in kinds]
    frame = pl.DataFrame({"text": texts, "kind": [("post", "access", "pay")[k] for k in kinds]})
    versions = []
    for name, strength in (("soft", 0.1), ("hard", 5.0)):
        pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression(C=strength)).fit(frame["text"], frame["kind"])
        em.adopt(pipeline, data=frame, target="kind", name=name, registry=tmp_path)
        versions.append(load_version(open_store(tmp_path), open_store(tmp_path).read_card(name, "v1")))
    old, new = versions
    asked = []
    counted = [dataclasses.replace(m, framework=Counting(m.framework, asked)) for m in versions]
    contributions, values, names = compute_contributions(*counted, frame.select("text"), frame.select("text"), seed=7)
    assert names == ("text",) and contributions.exact and values.shape == (200, 1)
    assert sum(asked) < 2_000  # by the orders: 200 rows x 32 x 2 of each version
    drawn = frame.select("text")[np.sort(np.random.default_rng(7).choice(600, 200, replace=False))]
    background = frame.select("text").sample(16, seed=7)
    places = new.predict(drawn).argmax(axis=1)

    def odds(model, x, at):
        p = np.clip(model.predict(x)[np.arange(x.height), at], 1e-6, 1 - 1e-6)
        return np.log(p / (1 - p))

    for row in (0, 77, 199):
        own = odds(new, drawn[[row]], places[[row]]) - odds(old, drawn[[row]], places[[row]])
        there = np.repeat(places[row], 16)
        mean = (odds(new, background, there) - odds(old, background, there)).mean()
        assert abs(values[row, 0] - (own[0] - mean)) < 1e-9


class Counting:
    """A framework that notes how many rows it is asked for."""

    def __init__(self, framework, asked):
        self._framework, self._asked = framework, asked

    def __getattr__(self, name):
        return getattr(self._framework, name)

    def predict(self, obj, x):
        self._asked.append(len(x))
        return self._framework.predict(obj, x)


def test_the_parts_of_a_change_of_score_sum_to_it(models):
    before, now = (
        clean_rows(models[0], rows(1_000, s, flip=f), (), labelled=True).collect()
        for s, f in ((8, None), (9, pl.col("a") > 0.5))
    )
    change = split_score_change(*models, before, now)
    whole = change.losses["new version, newer rows"] - change.losses["old version, earlier rows"]
    assert change.by_model + change.by_data == pytest.approx(whole)
    same = split_score_change(models[0], models[0], before, now)
    assert same.by_model == 0.0 and same.by_data > 0.1


def test_wins_and_losses_are_counted_by_row():
    flips = count_flips(np.array([1.0, 1.0, 0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0, 0.0]))
    assert (flips.wins, flips.losses, flips.rows) == (2, 1, 5)
    assert flips.net == pytest.approx(0.2)


def test_conditions_select_missing_values_and_categories():
    frame = pl.DataFrame({"x": [1.0, None, 3.0], "k": ["u", "v", None]})
    assert Condition("x", ConditionKind.MISSING).select(frame).tolist() == [False, True, False]
    assert Condition("x", ConditionKind.ABOVE, 1.0).select(frame).tolist() == [False, False, True]
    assert Condition("k", ConditionKind.EQUAL, "v").select(frame).tolist() == [False, True, False]
    assert Condition("k", ConditionKind.EQUAL, "v").text == "k = v"


@pytest.mark.parametrize("seed", range(6))
def test_a_segment_of_two_columns_is_named_first_though_each_alone_stands_out(seed):
    """The cuts of one column stand out more than the plan; all rows that lost are in the segment, and vary more."""
    random = np.random.default_rng(seed)
    frame = pl.DataFrame(random.normal(size=(4_000, 5)), [*"abcde"]).with_columns(
        plan=pl.Series(random.choice(["basic", "plus", "pro"], 4_000))
    )
    truth = frame.select((pl.col("plan") == "pro") & (pl.col("a") > 0.4)).to_series().to_numpy()
    lost = (
        random.normal(0.0, 0.1, 4_000) - 0.05 * frame["a"].to_numpy().clip(0) - truth * random.exponential(0.25, 4_000)
    )
    found = find_segments(frame, lost, None, seed)
    turned = [s.gain < s.elsewhere for s in found]
    assert turned == sorted(turned)  # gains before losses, and nothing that turned round where it was confirmed
    worst = next(s for s in found if s.gain < s.elsewhere)
    hit = worst.select(frame)
    assert (hit & truth).sum() > 0.7 * hit.sum(), worst.condition
    assert (hit & truth).sum() > 0.7 * truth.sum(), worst.condition


def test_segments_of_noise_alone_are_hardly_ever_beyond_doubt():
    found = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        frame = pl.DataFrame(random.normal(size=(600, 6)), [*"abcdef"])
        found += any(s.confirmed for s in find_segments(frame, random.standard_t(3, 600), None, seed))
    assert found <= 8  # of 60, at 5 % each: more would come once in 500 times


def test_too_few_rows_find_no_segment():
    assert find_segments(pl.DataFrame({"x": np.arange(50.0)}), np.arange(50.0), None) == ()
    assert describe_segments(()) == ["No part of the rows changed otherwise than the rest, beyond doubt."]


def test_without_rows_those_kept_out_of_training_are_used(registry):
    explanation = em.explain("m", "v1", "v2", registry=registry)
    assert explanation.rows >= 60
    assert explanation.score_change is None or explanation.score_change.new_rows >= 60


def test_the_command_prints_and_gives_json(registry, tmp_path):
    file = tmp_path / "later.csv"
    rows(1_000, 11).write_csv(file)
    shown = ask(["explain", "m", "v1", "v2", str(file)], registry)
    assert shown.code == 0 and "newly right" in shown.out, shown.out
    found = json.loads(ask(["explain", "m", "v1", "v2", str(file), "--json"], registry).out)
    assert found["flips"]["rows"] == 1_000
    assert {c["column"] for c in found["contributions"]["columns"]} == set(NAMES)


@pytest.mark.parametrize(
    "words, part",
    [
        (["v1"], "no version or two"),
        (["v1", "v1"], "with itself"),
        (["v1", "v9"], "v9"),
        (["a.csv", "b.csv"], "one source"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_words(registry, words, part):
    answer = ask(["explain", "m", *words], registry)
    assert answer.code == 2 and part in answer.out + answer.err


def test_few_rows_and_adopted_versions_are_refused(registry):
    with pytest.raises(NoData, match="60"):
        em.explain("m", "v1", "v2", rows(20, 12), registry=registry)
    with pytest.raises(AskedWrongly, match="no older version"):
        em.explain("m", None, "v1", registry=registry)


def test_the_report_says_what_changed_and_why(registry, tmp_path):
    with_it, without = tmp_path / "with.html", tmp_path / "without.html"
    em.report("m", "v2", to=with_it, registry=registry)
    em.report("m", "v2", to=without, explanation=False, registry=registry)
    assert "What it does differently from v1, and why" in with_it.read_text()
    assert "What it does differently" not in without.read_text()

"""LightGBM: what only this framework has. The laws common to all stand in test_framework_laws.py."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from evermodel.core.contract import Column, Contract
from evermodel.core.errors import BadData, BadModel, BadSetting, EvermodelError, Unsafe
from evermodel.core.table import Array, Roles
from evermodel.core.training import Epoch, Training
from evermodel.core.transform import Feature, Transform
from evermodel.frameworks import lightgbm as plug

lgb = pytest.importorskip("lightgbm")
QUIET = {"num_threads": 1, "verbosity": -1, "num_leaves": 7, "min_data_per_group": 10, "cat_smooth": 1}
KINDS: dict[str, dict[str, Any]] = {
    "binary": {"objective": "binary"},
    "multiclass": {"objective": "multiclass", "num_class": 3},
    "ova": {"objective": "multiclassova", "num_class": 3},
    "regression": {"objective": "regression"},
    "poisson": {"objective": "poisson"},
    "quantile": {"objective": "quantile", "alpha": 0.8},
    "forest": {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
    "dart": {"objective": "binary", "boosting": "dart"},
    "linear": {"objective": "regression", "linear_tree": True},
}


def rows(kind: str, seed: int = 0, n: int = 400) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 4))
    x[:, 3] = random.integers(0, 5, n)
    z = x[:, 0] + x[:, 1] + 2.0 * (x[:, 3] == 2)
    if KINDS[kind]["objective"].startswith("multiclass"):
        return x, np.digitize(z, [-0.5, 1.0])
    return x, (z > 0).astype(np.int64) if KINDS[kind]["objective"] == "binary" else np.exp(z / 2)


def booster(kind: str, rounds: int = 12, seed: int = 0) -> Any:
    x, y = rows(kind, seed)
    return lgb.train({**KINDS[kind], **QUIET}, lgb.Dataset(x, y, categorical_feature=[3]), rounds)


def classes(kind: str) -> tuple[int, ...]:
    y = rows(kind)[1]
    return tuple(range(int(y.max()) + 1)) if y.dtype == np.int64 else ()


def margin(obj: Any, x: Array) -> Array:
    """Raw output; a forest's is the mean of its trees, which LightGBM gives only as a probability."""
    model = plug._boosted(obj)
    if "average_output" not in model.native.header:
        return np.asarray(model.booster.predict(x, raw_score=True))
    p = model.booster.predict(x)
    return np.asarray(np.log(p / (1 - p)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_predicts_what_the_booster_predicted(kind: str, tmp_path: Path) -> None:
    model, (x, _) = booster(kind), rows(kind)
    model.save_model(tmp_path / "m.txt")
    assert plug.opens(tmp_path / "m.txt")
    np.testing.assert_array_equal(plug.predict(plug.read(tmp_path / "m.txt"), x), model.predict(x))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression", "poisson", "quantile", "linear"])
def test_a_fresh_fit_on_the_same_rows_is_the_deployed_model_again(kind: str) -> None:
    model, (x, y) = booster(kind), rows(kind)
    again = plug.fit(model, x, y, Training(classes=classes(kind), categorical=(3,)), fresh=True)
    np.testing.assert_allclose(plug.predict(again, x), model.predict(x), rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_combined_margin_is_the_weighted_mean(kind: str, tmp_path: Path) -> None:
    members = [booster(kind, 12, seed=0), booster(kind, 7, seed=1), booster(kind, 3, seed=2)]
    x, shares = rows(kind, seed=3)[0], (0.5, 0.3, 0.2)
    both = plug.combined(members, shares)
    wanted = sum(share * margin(m, x) for share, m in zip(shares, members, strict=True))
    np.testing.assert_allclose(margin(both, x), wanted, atol=1e-9)
    plug.write(both, tmp_path / "both.txt")
    plain = lgb.Booster(model_file=tmp_path / "both.txt")
    np.testing.assert_array_equal(plain.predict(x), plug.predict(both, x))


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_put_side_by_side_comes_apart_again(kind: str, tmp_path: Path) -> None:
    members, x = [booster(kind, 12, seed=0), booster(kind, 7, seed=1)], rows(kind, seed=3)[0]
    both = plug.combined(members, [3, 1])
    plug.save(both, tmp_path)
    for whole in (both, plug.with_rounds(plug.load(tmp_path), 5)):
        found = plug.parts(whole, x)
        assert len(found) == (0 if kind in ("ova", "poisson", "quantile") else 2), "answers made otherwise"
        for part, member in zip(found, members if found else (), strict=True):
            mean_of = member.current_iteration() if kind == "forest" else 1  # its raw score is a sum
            np.testing.assert_allclose(part, member.predict(x, raw_score=True) / mean_of, atol=1e-9)
        alone = plug.apart(whole)
        assert [(plug.trees(one), share) for one, share in alone] == [(12, 0.75), (7, 0.25)]
        for (one, _), member in zip(alone, members, strict=True):
            mean_of = member.current_iteration() if kind == "forest" else 1
            np.testing.assert_allclose(margin(one, x), member.predict(x, raw_score=True) / mean_of, atol=1e-9)
    for other in (members[0], plug.first(both, 12), plug.combined(members, [1, 0])):
        assert plug.parts(other, x) == ()
        assert plug.apart(other) == ()
    again, y = rows(kind)
    if kind in ("binary", "regression"):
        assert plug.parts(plug.refit_leaves(both, again, y, decay=0.5), x) == (), "its leaves answer for each other now"


def test_combined_models_do_not_grow_the_next_training() -> None:
    both = plug.combined([booster("binary", 12), booster("binary", 12, seed=1)], [1, 1])
    x, y = rows("binary")
    further = plug.fit(both, x, y, Training(classes=(0, 1), epochs=5), fresh=False)
    assert plug._boosted(further).native.rounds == 29
    assert plug._boosted(plug.fit(further, x, y, Training(classes=(0, 1)), fresh=True)).native.rounds == 12


def test_unlike_boosters_are_not_combined() -> None:
    with pytest.raises(BadModel, match="objective agrees"):
        plug.combined([booster("binary"), booster("regression")], [1, 1])


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_leaf_refit_keeps_the_trees_and_moves_the_leaves(kind: str) -> None:
    model, (x, y) = booster(kind), rows(kind, seed=5)
    kept, moved = plug.refit_leaves(model, x, y, decay=1.0), plug.refit_leaves(model, x, y, decay=0.5)
    np.testing.assert_allclose(plug.predict(kept, x), model.predict(x), rtol=1e-9)
    assert np.abs(plug.predict(moved, x) - model.predict(x)).max() > 1e-3
    assert [t.split("leaf_value")[0] for t in moved.native.trees] == [
        t.split("leaf_value")[0] for t in kept.native.trees
    ]


def test_a_new_category_that_sorts_first_and_reordered_columns_change_nothing() -> None:
    """The trap of LightGBM with pandas: its codes follow the order of the categories in each frame."""
    column = Column("c", "category", categories=("b", "d", "e"))
    contract = Contract("binary", Roles(target="y"), (column, Column("v", "number")), classes=(0, 1))
    random = np.random.default_rng(0)
    old = pl.DataFrame({"c": random.choice(["b", "d", "e"], 600), "v": random.normal(size=600)})
    y = (old["c"] == "b").to_numpy().astype(np.int64)
    transform = Transform((Feature("c", "code", categories=column.categories), Feature("v")), dtype="float64")
    told = Training(classes=(0, 1), categorical=transform.categorical())
    model = plug.fit(booster_of(transform(old), y), transform(old), y, told, fresh=True)
    new = pl.DataFrame({"v": random.normal(size=600), "c": random.choice(["a", "b", "d", "e"], 600)})
    wider = transform.widened(contract.with_categories({"c": ("a",)})).fitted(new)
    labels = (new["c"] == "b").to_numpy().astype(np.int64)
    further = plug.fit(model, wider(new), labels, told, fresh=False)
    for obj in (model, further):
        assert ((plug.predict(obj, wider(old)) > 0.5) == y).all()
    assert ((plug.predict(further, wider(new)) > 0.5) == labels).all()


def booster_of(x: Array, y: Array) -> Any:
    return lgb.train({"objective": "binary", **QUIET, "min_data_in_leaf": 5}, lgb.Dataset(x, y), 10)


def test_pandas_code_tables_are_read_and_kept(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"c": pd.Categorical(["x", "y", "z"] * 50), "v": np.arange(150.0)})
    y = np.arange(150) % 3 == 0
    model = lgb.train({"objective": "binary", **QUIET}, lgb.Dataset(frame, y), 5)
    needs = plug.needs(model)
    assert (needs.names, needs.categories) == (("c", "v"), (("x", "y", "z"),))
    codes = np.column_stack([frame["c"].cat.codes, frame["v"]]).astype(float)
    again = plug.fit(model, codes, y.astype(int), Training(classes=(0, 1), categorical=(0,)), fresh=True)
    plug.write(again, tmp_path / "m.txt")
    plain = lgb.Booster(model_file=tmp_path / "m.txt")
    np.testing.assert_array_equal(plain.predict(frame), plug.predict(again, codes))


def test_labels_of_the_sklearn_interface_are_kept(tmp_path: Path) -> None:
    x, _ = rows("binary")
    said = np.where(x[:, 0] > 0, "yes", "no")
    model = lgb.LGBMClassifier(n_estimators=5, n_jobs=1, verbosity=-1).fit(x, said)
    plug.save(model, tmp_path)
    assert plug.needs(plug.load(tmp_path)).classes == ("no", "yes")
    np.testing.assert_array_equal(plug.predict(plug.load(tmp_path), x), model.predict_proba(x)[:, 1])


def test_more_classes_need_a_fresh_fit() -> None:
    x, y = rows("multiclass")
    told = Training(classes=("a", "b", "c"))
    grown = plug.fit(booster("binary"), x, y, told, fresh=True)
    assert plug.predict(grown, x).shape == (len(x), 3)
    with pytest.raises(BadSetting, match="never saw"):
        plug.fit(booster("binary"), x, y, told, fresh=False)


def test_the_curve_and_the_deadline() -> None:
    x, y = rows("binary")
    heard: list[Epoch] = []
    watched = rows("binary", seed=9)
    plug.fit(
        booster("binary", 25), x, y, Training(classes=(0, 1), validation=watched, on_epoch=heard.append), fresh=True
    )
    assert [e.number for e in heard] == [10, 20, 25]
    assert heard[-1].loss < heard[0].loss
    assert heard[-1].validation_score is not None and 0.5 < heard[-1].validation_score <= 1
    began = time.monotonic()
    short = plug.fit(booster("binary"), x, y, Training(epochs=10**6, deadline=began + 0.2), fresh=True)
    assert time.monotonic() - began < 5
    assert 1 <= short.native.rounds < 10**6


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression", "linear", "poisson", "dart"])
def test_the_curve_of_rows_watched_is_what_lightgbm_says(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (x, y), watched = rows(kind), rows(kind, seed=9)

    def curve() -> list[tuple[float | None, float | None]]:
        heard: list[Epoch] = []
        told = Training(
            validation=watched, on_epoch=heard.append, classes=tuple(range(KINDS[kind].get("num_class", 0)))
        )
        plug.fit(booster(kind, 25), x, y, told, fresh=True)
        return [(e.validation_loss, e.validation_score) for e in heard]

    ours = curve()
    monkeypatch.setattr(plug, "watches_itself", lambda told, fresh: False)
    assert len(ours) == 3
    np.testing.assert_allclose(ours, curve(), rtol=1e-6)  # LightGBM keeps labels as float32


def test_weights_count() -> None:
    x, y = rows("binary")
    heavy = np.where(y == 1, 20.0, 0.05)
    p, q = (plug.predict(plug.fit(booster("binary"), x, y, Training(weight=w), fresh=True), x) for w in (None, heavy))
    assert q.mean() > p.mean() + 0.1


@pytest.mark.parametrize("objective", ["lambdarank", "custom", "cross_entropy_lambda"])
def test_ranking_and_custom_objectives_are_refused(objective: str, tmp_path: Path) -> None:
    text = booster("binary").model_to_string().replace("objective=binary sigmoid:1", f"objective={objective}")
    (tmp_path / "m.txt").write_bytes(text.encode())
    with pytest.raises(BadModel, match="classify or regress"):
        plug.needs(plug.read(tmp_path / "m.txt"))


def test_a_pickle_is_opened_only_when_trusted(tmp_path: Path) -> None:
    import pickle

    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(booster("binary")))
    assert plug.opens(path)
    with pytest.raises(Unsafe):
        plug.read(path)
    assert plug.owns(plug.read(path, trust=True))


def test_wrong_width_is_refused() -> None:
    with pytest.raises(BadData, match="4 columns"):
        plug.predict(booster("binary"), np.zeros((3, 5)))


BROKEN = {
    "a child that points to itself": ("left_child=1 ", "left_child=0 "),
    "a child that is not there": ("left_child=1 ", "left_child=99999999 "),
    "a column that is not there": ("split_feature=0 ", "split_feature=70000 "),
    "more leaves than values": ("num_leaves=7", "num_leaves=9"),
    "leaves without end": ("num_leaves=7", "num_leaves=99999999999999999999"),
    "not a number": ("leaf_value=", "leaf_value=nan "),
    "more classes than trees": ("num_class=1", "num_class=3"),
    "sizes too large": ("tree_sizes=", "tree_sizes=9"),
    "no sizes": ("tree_sizes=", "tree_sizesX="),
    "negative sizes": ("tree_sizes=", "tree_sizes=-"),
    "columns without end": ("max_feature_idx=3", "max_feature_idx=2000000000"),
    "a category set that is not there": ("cat_boundaries=0", "cat_boundaries=7"),
    "a parameter without a value": ("[boosting: gbdt]", "[boosting]"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_crafted_file_is_refused(what: str, tmp_path: Path) -> None:
    text = booster("binary").model_to_string()
    before, after = BROKEN[what]
    assert before in text
    (tmp_path / "m.txt").write_bytes(text.replace(before, after, 1).encode())
    with pytest.raises(BadModel):
        plug.read(tmp_path / "m.txt")


@pytest.mark.parametrize("kind", ["binary", "linear"])
def test_damaged_files_never_crash(kind: str, tmp_path: Path) -> None:
    """Whatever one byte becomes or wherever the file ends: an error of ours, or a model that predicts."""
    whole = booster(kind, 3).model_to_string().encode()
    random, path, x = np.random.default_rng(0), tmp_path / "m.txt", rows(kind)[0][:5]
    refused = 0
    for number in range(150):
        at = int(random.integers(5, len(whole)))
        data = (
            whole[:at]
            if number % 3 == 0
            else whole[:at] + bytes(random.integers(45, 58, 1, np.uint8)) + whole[at + 1 :]
        )
        path.write_bytes(data)
        try:
            plug.predict(plug.read(path), x)
        except EvermodelError:
            refused += 1
    assert 50 <= refused < 150

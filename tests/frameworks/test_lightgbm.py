"""LightGBM: what only this framework has. The checks common to all are in test_framework_checks.py."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Column, Contract
from evermodel.core.errors import BadData, BadModel, BadSetting, EvermodelError, Unsafe
from evermodel.core.model.training import Training
from evermodel.core.model.transform import Feature, Transform
from evermodel.core.plugins import Confidence
from evermodel.core.records.column_roles import Roles
from evermodel.core.records.learning_curve import Epoch
from evermodel.plugins.frameworks import lightgbm as plugin

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
    model = plugin._boosted(obj)
    if "average_output" not in model.native.header:
        return np.asarray(model.booster.predict(x, raw_score=True))
    p = model.booster.predict(x)
    return np.asarray(np.log(p / (1 - p)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_predicts_what_the_booster_predicted(kind: str, tmp_path: Path) -> None:
    model, (x, _) = booster(kind), rows(kind)
    model.save_model(tmp_path / "m.txt")
    assert plugin.recognize(tmp_path / "m.txt") is Confidence.CERTAIN
    np.testing.assert_array_equal(plugin.predict(plugin.read_file(tmp_path / "m.txt"), x), model.predict(x))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression", "poisson", "quantile", "linear"])
def test_a_fresh_fit_on_the_same_rows_is_the_deployed_model_again(kind: str) -> None:
    model, (x, y) = booster(kind), rows(kind)
    again = plugin.fit(model, x, y, Training(classes=classes(kind), categorical=(3,)), from_scratch=True)
    np.testing.assert_allclose(plugin.predict(again, x), model.predict(x), rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_combined_margin_is_the_weighted_mean(kind: str, tmp_path: Path) -> None:
    members = [booster(kind, 12, seed=0), booster(kind, 7, seed=1), booster(kind, 3, seed=2)]
    x, shares = rows(kind, seed=3)[0], (0.5, 0.3, 0.2)
    both = plugin.combine(members, shares)
    wanted = sum(share * margin(m, x) for share, m in zip(shares, members, strict=True))
    np.testing.assert_allclose(margin(both, x), wanted, atol=1e-9)
    plugin.write_file(both, tmp_path / "both.txt")
    plain = lgb.Booster(model_file=tmp_path / "both.txt")
    np.testing.assert_array_equal(plain.predict(x), plugin.predict(both, x))


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_put_side_by_side_comes_apart_again(kind: str, tmp_path: Path) -> None:
    members, x = [booster(kind, 12, seed=0), booster(kind, 7, seed=1)], rows(kind, seed=3)[0]
    both = plugin.combine(members, [3, 1])
    plugin.save(both, tmp_path)
    for whole in (both, plugin.replace_rounds(plugin.load(tmp_path), 5)):
        found = plugin.predict_parts(whole, x)
        assert len(found) == (0 if kind in ("ova", "poisson", "quantile") else 2), "answers made otherwise"
        for part, member in zip(found, members if found else (), strict=True):
            mean_of = member.current_iteration() if kind == "forest" else 1  # its raw score is a sum
            np.testing.assert_allclose(part, member.predict(x, raw_score=True) / mean_of, atol=1e-9)
        alone = plugin.split_parts(whole)
        assert [(plugin.count_trees(one), share) for one, share in alone] == [(12, 0.75), (7, 0.25)]
        for (one, _), member in zip(alone, members, strict=True):
            mean_of = member.current_iteration() if kind == "forest" else 1
            np.testing.assert_allclose(margin(one, x), member.predict(x, raw_score=True) / mean_of, atol=1e-9)
    for other in (members[0], plugin.keep_first_trees(both, 12), plugin.combine(members, [1, 0])):
        assert plugin.predict_parts(other, x) == ()
        assert plugin.split_parts(other) == ()
    again, y = rows(kind)
    if kind in ("binary", "regression"):
        assert plugin.predict_parts(plugin.refit_leaves(both, again, y, decay=0.5), x) == (), (
            "its leaves answer for each other now"
        )


def test_combined_models_do_not_grow_the_next_training() -> None:
    both = plugin.combine([booster("binary", 12), booster("binary", 12, seed=1)], [1, 1])
    x, y = rows("binary")
    further = plugin.fit(both, x, y, Training(classes=(0, 1), epochs=5), from_scratch=False)
    assert plugin._boosted(further).native.rounds == 29
    assert plugin._boosted(plugin.fit(further, x, y, Training(classes=(0, 1)), from_scratch=True)).native.rounds == 12


def test_unlike_boosters_are_not_combined() -> None:
    with pytest.raises(BadModel, match="objective agrees"):
        plugin.combine([booster("binary"), booster("regression")], [1, 1])


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_leaf_refit_keeps_the_trees_and_moves_the_leaves(kind: str) -> None:
    model, (x, y) = booster(kind), rows(kind, seed=5)
    kept, moved = plugin.refit_leaves(model, x, y, decay=1.0), plugin.refit_leaves(model, x, y, decay=0.5)
    np.testing.assert_allclose(plugin.predict(kept, x), model.predict(x), rtol=1e-9)
    assert np.abs(plugin.predict(moved, x) - model.predict(x)).max() > 1e-3
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
    model = plugin.fit(booster_of(transform(old), y), transform(old), y, told, from_scratch=True)
    new = pl.DataFrame({"v": random.normal(size=600), "c": random.choice(["a", "b", "d", "e"], 600)})
    wider = transform.widen(contract.with_categories({"c": ("a",)})).fit(new)
    labels = (new["c"] == "b").to_numpy().astype(np.int64)
    further = plugin.fit(model, wider(new), labels, told, from_scratch=False)
    for obj in (model, further):
        assert ((plugin.predict(obj, wider(old)) > 0.5) == y).all()
    assert ((plugin.predict(further, wider(new)) > 0.5) == labels).all()


def booster_of(x: Array, y: Array) -> Any:
    return lgb.train({"objective": "binary", **QUIET, "min_data_in_leaf": 5}, lgb.Dataset(x, y), 10)


def test_pandas_code_tables_are_read_and_kept(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"c": pd.Categorical(["x", "y", "z"] * 50), "v": np.arange(150.0)})
    y = np.arange(150) % 3 == 0
    model = lgb.train({"objective": "binary", **QUIET}, lgb.Dataset(frame, y), 5)
    needs = plugin.read_signature(model)
    assert (needs.names, needs.columns[0].categories) == (("c", "v"), ("x", "y", "z"))
    codes = np.column_stack([frame["c"].cat.codes, frame["v"]]).astype(float)
    again = plugin.fit(model, codes, y.astype(int), Training(classes=(0, 1), categorical=(0,)), from_scratch=True)
    plugin.write_file(again, tmp_path / "m.txt")
    plain = lgb.Booster(model_file=tmp_path / "m.txt")
    np.testing.assert_array_equal(plain.predict(frame), plugin.predict(again, codes))


def test_labels_of_the_sklearn_interface_are_kept(tmp_path: Path) -> None:
    x, _ = rows("binary")
    said = np.where(x[:, 0] > 0, "yes", "no")
    model = lgb.LGBMClassifier(n_estimators=5, n_jobs=1, verbosity=-1).fit(x, said)
    plugin.save(model, tmp_path)
    assert plugin.read_signature(plugin.load(tmp_path)).classes == ("no", "yes")
    np.testing.assert_array_equal(plugin.predict(plugin.load(tmp_path), x), model.predict_proba(x)[:, 1])


def test_more_classes_need_a_fresh_fit() -> None:
    x, y = rows("multiclass")
    told = Training(classes=("a", "b", "c"))
    grown = plugin.fit(booster("binary"), x, y, told, from_scratch=True)
    assert plugin.predict(grown, x).shape == (len(x), 3)
    with pytest.raises(BadSetting, match="never saw"):
        plugin.fit(booster("binary"), x, y, told, from_scratch=False)


def test_the_curve_and_the_deadline() -> None:
    x, y = rows("binary")
    heard: list[Epoch] = []
    watched = rows("binary", seed=9)
    plugin.fit(
        booster("binary", 25),
        x,
        y,
        Training(classes=(0, 1), validation=watched, on_epoch=heard.append),
        from_scratch=True,
    )
    assert [e.number for e in heard] == [10, 20, 25]
    assert heard[-1].loss < heard[0].loss
    assert heard[-1].validation_score is not None and 0.5 < heard[-1].validation_score <= 1
    began = time.monotonic()
    short = plugin.fit(booster("binary"), x, y, Training(epochs=10**6, deadline=began + 0.2), from_scratch=True)
    assert time.monotonic() - began < 60
    assert 1 <= short.native.rounds < 10**6


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression", "linear", "poisson", "dart"])
def test_the_curve_of_rows_watched_is_what_lightgbm_says(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (x, y), watched = rows(kind), rows(kind, seed=9)

    def curve() -> list[tuple[float | None, float | None]]:
        heard: list[Epoch] = []
        told = Training(
            validation=watched, on_epoch=heard.append, classes=tuple(range(KINDS[kind].get("num_class", 0)))
        )
        plugin.fit(booster(kind, 25), x, y, told, from_scratch=True)
        return [(e.validation_loss, e.validation_score) for e in heard]

    ours = curve()
    monkeypatch.setattr(plugin, "watches_itself", lambda told, from_scratch: False)
    assert len(ours) == 3
    np.testing.assert_allclose(ours, curve(), rtol=1e-6)  # LightGBM keeps labels as float32


def test_weights_count() -> None:
    x, y = rows("binary")
    heavy = np.where(y == 1, 20.0, 0.05)
    p, q = (
        plugin.predict(plugin.fit(booster("binary"), x, y, Training(weight=w), from_scratch=True), x)
        for w in (None, heavy)
    )
    assert q.mean() > p.mean() + 0.1


@pytest.mark.parametrize("objective", ["lambdarank", "custom", "cross_entropy_lambda"])
def test_ranking_and_custom_objectives_are_refused(objective: str, tmp_path: Path) -> None:
    text = booster("binary").model_to_string().replace("objective=binary sigmoid:1", f"objective={objective}")
    (tmp_path / "m.txt").write_bytes(text.encode())
    with pytest.raises(BadModel, match="classify or regress"):
        plugin.read_signature(plugin.read_file(tmp_path / "m.txt"))


def test_a_pickle_is_opened_only_when_trusted(tmp_path: Path) -> None:
    import pickle

    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(booster("binary")))
    assert plugin.recognize(path) is Confidence.CERTAIN
    with pytest.raises(Unsafe):
        plugin.read_file(path)
    assert plugin.is_model(plugin.read_file(path, trust=True))


def test_wrong_width_is_refused() -> None:
    with pytest.raises(BadData, match="4 columns"):
        plugin.predict(booster("binary"), np.zeros((3, 5)))


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
        plugin.read_file(tmp_path / "m.txt")


SINGLE_LEAF = {
    "linear, without nodes": "num_leaves=1\nnum_cat=0\nleaf_value=0.5\nis_linear=1\nleaf_const=1\nnum_features=0\n"
    "leaf_features=\nleaf_coeff=",
    "linear, with category sets": "num_leaves=1\nnum_cat=5\nleaf_value=0.5\nis_linear=1\nleaf_const=1\n"
    "num_features=0\nleaf_features=\nleaf_coeff=",
    "category sets without end": "num_leaves=1\nnum_cat=1000000000\nleaf_value=0.5\nis_linear=0",
}


def chain(levels: int) -> str:
    """A tree of LightGBM in which every right child is the next node."""
    fields = {
        "num_leaves": [levels + 1],
        "num_cat": [0],
        "split_feature": [0] * levels,
        "threshold": [-9] * levels,
        "decision_type": [2] * levels,
        "left_child": [-(i + 1) for i in range(levels)],
        "right_child": [*range(1, levels), -(levels + 1)],
        "leaf_value": [0.1] * (levels + 1),
    }
    return "\n".join(f"{key}={' '.join(map(str, values))}" for key, values in fields.items()) + "\nis_linear=0"


@pytest.mark.parametrize("tree", [*SINGLE_LEAF.values(), chain(200_000)], ids=[*SINGLE_LEAF, "200,000 levels"])
def test_a_tree_that_would_end_the_process_is_refused(tree: str, tmp_path: Path) -> None:
    header = booster("binary").model_to_string().split("\n\n")[0].split("\n")
    body = f"Tree=0\n{tree}\nshrinkage=1\n\n\n"
    lines = [f"tree_sizes={len(body)}" if line.startswith("tree_sizes") else line for line in header]
    text = "\n".join(lines) + f"\n\n{body}end of trees\n\npandas_categorical:null\n"
    (tmp_path / "m.txt").write_bytes(text.encode())
    with pytest.raises(BadModel, match="not a whole LightGBM model"):
        plugin.read_file(tmp_path / "m.txt")


def test_a_chain_of_a_thousand_levels_is_read(tmp_path: Path) -> None:
    header = booster("binary").model_to_string().split("\n\n")[0].split("\n")
    body = f"Tree=0\n{chain(1000)}\nshrinkage=1\n\n\n"
    lines = [f"tree_sizes={len(body)}" if line.startswith("tree_sizes") else line for line in header]
    text = "\n".join(lines) + f"\n\n{body}end of trees\n\npandas_categorical:null\n"
    (tmp_path / "m.txt").write_bytes(text.encode())
    assert np.isfinite(plugin.predict(plugin.read_file(tmp_path / "m.txt"), rows("binary")[0])).all()


def test_a_linear_model_without_a_split_is_read(tmp_path: Path) -> None:
    """LightGBM writes empty lists of nodes for it, which are let through."""
    x, y = rows("regression")
    settings = {"objective": "regression", "linear_tree": True, "min_data_in_leaf": len(y), "verbose": -1}
    single = lgb.train(settings, lgb.Dataset(x, y), 2)
    single.save_model(tmp_path / "m.txt")
    assert np.allclose(plugin.predict(plugin.read_file(tmp_path / "m.txt"), x), single.predict(x))


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
            plugin.predict(plugin.read_file(path), x)
        except EvermodelError:
            refused += 1
    assert 50 <= refused < 150


def test_rows_weighted_by_age_do_not_make_the_file_larger(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2_000, 4))
    y = (x[:, 0] + random.normal(size=2_000) > 0).astype(np.int64)
    plain = lgb.train({"objective": "regression", "verbose": -1}, lgb.Dataset(x, y.astype(float)), 20)
    plain.save_model(tmp_path / "plain.txt")
    deployed = plugin.read_file(tmp_path / "plain.txt")
    weight = 0.5 ** (np.arange(2_000)[::-1] / 700.0)
    again = plugin.fit(deployed, x, y.astype(float), Training(weight=weight), from_scratch=True)
    plugin.write_file(again, tmp_path / "again.txt")
    assert (tmp_path / "again.txt").stat().st_size <= 1.1 * (tmp_path / "plain.txt").stat().st_size
    written = lgb.Booster(model_file=tmp_path / "again.txt")
    assert np.array_equal(written.predict(x), plugin.predict(again, x).ravel())

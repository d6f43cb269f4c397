"""XGBoost: what only this framework has. The checks common to all are in test_framework_checks.py."""

from __future__ import annotations

import json
import pickle
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
from evermodel.plugins.frameworks import xgboost as plugin
from evermodel.plugins.frameworks._xgboost.document import parse, trees_of

xgb = pytest.importorskip("xgboost")
GROWN = {"max_depth": 4, "nthread": 1, "eta": 0.2, "reg_lambda": 2.0}
KINDS: dict[str, dict[str, Any]] = {
    "binary": {"objective": "binary:logistic"},
    "multiclass": {"objective": "multi:softprob", "num_class": 3},
    "softmax": {"objective": "multi:softmax", "num_class": 3},
    "regression": {"objective": "reg:squarederror"},
    "poisson": {"objective": "count:poisson"},
    "gamma": {"objective": "reg:gamma"},
    "tweedie": {"objective": "reg:tweedie", "tweedie_variance_power": 1.3},
    "quantile": {"objective": "reg:quantileerror", "quantile_alpha": 0.7},
    "dart": {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.2},
    "forest": {"objective": "binary:logistic", "num_parallel_tree": 3},
}
TYPES = ["q", "q", "q", "c"]


def rows(kind: str, seed: int = 0, n: int = 400) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 4))
    x[:, 3] = random.integers(0, 5, n)
    z = x[:, 0] + x[:, 1] + 2.0 * (x[:, 3] == 2) + seed  # other seeds, other base scores
    if "num_class" in KINDS[kind]:
        return x, np.digitize(z, [-0.5, 1.0])
    return x, (z > 0).astype(np.int64) if KINDS[kind]["objective"].startswith("binary") else np.exp(z / 2)


def table(x: Array, y: Array | None = None) -> Any:
    return xgb.DMatrix(x, y, feature_types=TYPES, enable_categorical=True)


def booster(kind: str, rounds: int = 12, seed: int = 0) -> Any:
    return xgb.train({**KINDS[kind], **GROWN}, table(*rows(kind, seed)), rounds)


def margin(obj: Any, x: Array) -> Array:
    return np.asarray(plugin.convert_object(obj).booster.predict(table(x), output_margin=True))


def classes(kind: str) -> tuple[int, ...]:
    y = rows(kind)[1]
    return tuple(range(int(y.max()) + 1)) if y.dtype == np.int64 else ()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".ubj", ".json"])
def test_a_file_predicts_what_the_booster_predicted(kind: str, suffix: str, tmp_path: Path) -> None:
    model, (x, _), path = booster(kind), rows(kind), tmp_path / f"m{suffix}"
    model.save_model(path)
    assert plugin.recognize(path) is Confidence.CERTAIN
    found = plugin.read_file(path)
    np.testing.assert_array_equal(margin(found, x), model.predict(table(x), output_margin=True))
    if kind == "softmax":
        np.testing.assert_array_equal(plugin.predict(found, x).argmax(axis=1), model.predict(table(x)))
    else:
        np.testing.assert_array_equal(plugin.predict(found, x), model.predict(table(x)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_live_booster_is_trained_again_as_it_was(kind: str) -> None:
    model, (x, y) = booster(kind), rows(kind)
    again = plugin.fit(model, x, y, Training(classes=classes(kind), categorical=(3,)), from_scratch=True)
    if kind == "dart":  # drops trees at random: the same recipe, other trees, nearly the same answers
        assert plugin.count_rounds(again) == plugin.count_rounds(model)
        assert np.corrcoef(margin(again, x).ravel(), margin(model, x).ravel())[0, 1] > 0.9
        return
    np.testing.assert_allclose(margin(again, x), margin(model, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression", "gamma", "tweedie"])
def test_a_file_tells_how_it_was_trained_though_it_does_not_say(kind: str, tmp_path: Path) -> None:
    model, (x, y) = booster(kind), rows(kind)
    model.save_model(tmp_path / "m.ubj")
    found = plugin.read_file(tmp_path / "m.ubj")
    assert float(found.recipe["learning_rate"]) == pytest.approx(0.2, rel=1e-4)
    assert float(found.recipe["reg_lambda"]) == 2.0
    again = plugin.fit(found, x, y, Training(classes=classes(kind), categorical=(3,)), from_scratch=True)
    np.testing.assert_allclose(margin(again, x), margin(model, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_combined_margin_is_the_weighted_mean(kind: str, tmp_path: Path) -> None:
    members = [booster(kind, 12, seed=0), booster(kind, 7, seed=1), booster(kind, 3, seed=2)]
    x, shares = rows(kind, seed=3)[0], (0.5, 0.3, 0.2)
    both = plugin.combine(members, shares)
    wanted = sum(s * margin(m, x).astype(np.float64) for s, m in zip(shares, members, strict=True))
    np.testing.assert_allclose(margin(both, x), wanted, rtol=1e-6, atol=2e-6)
    plugin.write_file(both, tmp_path / "both.ubj")
    plain = xgb.Booster(model_file=tmp_path / "both.ubj")
    np.testing.assert_array_equal(plain.predict(table(x), output_margin=True), margin(both, x))


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_put_side_by_side_comes_apart_again(kind: str, tmp_path: Path) -> None:
    members, x = [booster(kind, 12, seed=0), booster(kind, 7, seed=1)], rows(kind, seed=3)[0]
    both = plugin.combine(members, [3, 1])
    plugin.save(both, tmp_path)
    for whole in (both, plugin.replace_rounds(plugin.load(tmp_path), 5)):
        found = plugin.predict_parts(whole, x)
        assert len(found) == (0 if kind in ("poisson", "gamma", "tweedie", "quantile") else 2), "answers made otherwise"
        for part, member in zip(found, members if found else (), strict=True):
            apart = part - margin(member, x)  # their base scores are taken as one: the same for every row
            np.testing.assert_allclose(apart, np.broadcast_to(apart.mean(axis=0), apart.shape), atol=2e-5)
        alone = plugin.split_parts(whole)
        assert [(plugin.count_trees(one), plugin.count_rounds(one), share) for one, share in alone] == [
            (12, 12, 0.75),
            (7, 7, 0.25),
        ]
        for (one, _), member in zip(alone, members, strict=True):
            apart = margin(one, x) - margin(member, x)
            np.testing.assert_allclose(apart, np.broadcast_to(apart.mean(axis=0), apart.shape), atol=2e-5)
    for other in (members[0], plugin.keep_first_trees(both, 12), plugin.combine(members, [1, 0])):
        assert plugin.predict_parts(other, x) == ()
        assert plugin.split_parts(other) == ()


def test_combined_models_do_not_grow_the_next_training() -> None:
    both = plugin.combine([booster("multiclass", 12), booster("multiclass", 12, seed=1)], [1, 1])
    x, y = rows("multiclass")
    further = plugin.fit(both, x, y, Training(classes=(0, 1, 2), epochs=5), from_scratch=False)
    assert further.booster.num_boosted_rounds() == 29
    fresh = plugin.fit(further, x, y, Training(classes=(0, 1, 2)), from_scratch=True)
    assert fresh.booster.num_boosted_rounds() == 12


def test_unlike_boosters_are_not_combined() -> None:
    with pytest.raises(BadModel, match="objective"):
        plugin.combine([booster("binary"), booster("regression")], [1, 1])


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression", "gamma", "dart", "forest"])
def test_leaf_refit_keeps_the_trees_and_moves_the_leaves(kind: str) -> None:
    model, (x, y) = booster(kind), rows(kind, seed=1)
    kept, moved = plugin.refit_leaves(model, x, y, decay=1.0), plugin.refit_leaves(model, x, y, decay=0.5)
    np.testing.assert_allclose(margin(kept, x), margin(model, x), rtol=1e-5, atol=1e-5)
    assert np.abs(margin(moved, x) - margin(model, x)).max() > 1e-2
    trees = [
        [t["split_indices"] for t in trees_of(parse(bytes(plugin.convert_object(m).booster.save_raw("json"))))["trees"]]
        for m in (model, moved)
    ]
    assert trees[0] == trees[1]


def test_leaves_that_are_quantiles_are_not_learnt_from_gradients() -> None:
    with pytest.raises(BadSetting, match="quantileerror"):
        plugin.refit_leaves(booster("quantile"), *rows("quantile"), decay=0.5)


def test_a_new_category_that_sorts_first_and_reordered_columns_change_nothing() -> None:
    column = Column("c", "category", categories=("b", "d", "e"))
    contract = Contract("binary", Roles(target="y"), (column, Column("v", "number")), classes=(0, 1))
    random = np.random.default_rng(0)
    old = pl.DataFrame({"c": random.choice(["b", "d", "e"], 600), "v": random.normal(size=600)})
    y = (old["c"] == "b").to_numpy().astype(np.int64)
    transform = Transform((Feature("c", "code", categories=column.categories), Feature("v")), dtype="float64")
    told = Training(classes=(0, 1), categorical=transform.categorical())
    start = xgb.train({"objective": "binary:logistic", **GROWN}, xgb.DMatrix(transform(old), y), 10)
    model = plugin.fit(start, transform(old), y, told, from_scratch=True)
    new = pl.DataFrame({"v": random.normal(size=600), "c": random.choice(["a", "b", "d", "e"], 600)})
    wider = transform.widen(contract.with_categories({"c": ("a",)})).fit(new)
    labels = (new["c"] == "b").to_numpy().astype(np.int64)
    further = plugin.fit(model, wider(new), labels, told, from_scratch=False)
    for obj in (model, further):
        assert ((plugin.predict(obj, wider(old)) > 0.5) == y).all()
    assert ((plugin.predict(further, wider(new)) > 0.5) == labels).all()


def test_tables_of_categories_are_read_and_kept(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"c": pd.Categorical(["x", "y", "z"] * 50), "v": np.arange(150.0)})
    y = (np.arange(150) % 3 == 0).astype(int)
    model = xgb.XGBClassifier(n_estimators=5, n_jobs=1, enable_categorical=True).fit(frame, y)
    needs = plugin.read_signature(model)
    assert (needs.names, needs.columns[0].categories, needs.classes) == (("c", "v"), ("x", "y", "z"), (0, 1))
    codes = np.column_stack([frame["c"].cat.codes, frame["v"]]).astype(float)
    np.testing.assert_array_equal(plugin.predict(model, codes), model.predict_proba(frame)[:, 1])
    for fresh in (True, False):
        again = plugin.fit(model, codes, y, Training(classes=(0, 1), categorical=(0,)), from_scratch=fresh)
        plugin.write_file(again, tmp_path / "m.ubj")
        plain = xgb.Booster(model_file=tmp_path / "m.ubj")
        np.testing.assert_array_equal(
            plain.predict(xgb.DMatrix(frame, enable_categorical=True)), plugin.predict(again, codes)
        )


def test_more_classes_need_a_fresh_fit() -> None:
    x, y = rows("multiclass")
    told = Training(classes=("a", "b", "c"))
    grown = plugin.fit(booster("binary"), x, y, told, from_scratch=True)
    assert plugin.predict(grown, x).shape == (len(x), 3)
    assert plugin.predict(plugin.fit(grown, x, y, told, from_scratch=True), x).shape == (len(x), 3)
    with pytest.raises(BadSetting, match="never saw"):
        plugin.fit(booster("binary"), x, y, told, from_scratch=False)


def test_the_curve_and_the_deadline() -> None:
    x, y = rows("binary")
    heard: list[Epoch] = []
    told = Training(classes=(0, 1), validation=rows("binary", seed=9), on_epoch=heard.append)
    plugin.fit(booster("binary", 25), x, y, told, from_scratch=True)
    assert [e.number for e in heard] == [10, 20, 25]
    assert heard[-1].loss < heard[0].loss
    assert heard[-1].validation_score is not None and 0.5 < heard[-1].validation_score <= 1
    began = time.monotonic()
    short = plugin.fit(booster("binary"), x, y, Training(epochs=10**6, deadline=began + 0.2), from_scratch=True)
    assert time.monotonic() - began < 60
    assert 1 <= short.booster.num_boosted_rounds() < 10**6


def test_weights_count() -> None:
    x, y = rows("binary")
    heavy = np.where(y == 1, 20.0, 0.05)
    p, q = (
        plugin.predict(plugin.fit(booster("binary"), x, y, Training(weight=w), from_scratch=True), x)
        for w in (None, heavy)
    )
    assert q.mean() > p.mean() + 0.1


@pytest.mark.parametrize("objective", ["rank:ndcg", "survival:cox", "binary:hinge", "binary:logitraw", "mine"])
def test_objectives_without_a_probability_are_refused(objective: str, tmp_path: Path) -> None:
    booster("binary").save_model(tmp_path / "m.json")
    text = (tmp_path / "m.json").read_text().replace("binary:logistic", objective)
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(BadModel, match="probabilities"):
        plugin.read_file(tmp_path / "m.json")


def test_a_linear_booster_is_refused(tmp_path: Path) -> None:
    x, y = rows("regression")
    xgb.train({"booster": "gblinear", "nthread": 1}, xgb.DMatrix(x, y), 2).save_model(tmp_path / "m.json")
    with pytest.raises(BadModel, match="linear"):
        plugin.read_file(tmp_path / "m.json")


def test_a_pickle_is_opened_only_when_trusted(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(booster("binary")))
    assert plugin.recognize(path) is Confidence.CERTAIN
    with pytest.raises(Unsafe):
        plugin.read_file(path)
    assert plugin.is_model(plugin.read_file(path, trust=True))


def test_wrong_width_and_infinity_are_refused() -> None:
    with pytest.raises(BadData, match="4 columns"):
        plugin.predict(booster("binary"), np.zeros((3, 5)))
    with pytest.raises(BadData, match="XGBoost"):
        plugin.predict(booster("binary"), np.full((3, 4), np.inf))


def tree(document: Any) -> Any:
    return trees_of(document)["trees"][1]


BROKEN = {
    "a child that points to the root": lambda d: tree(d)["left_children"].__setitem__(1, 0),
    "a child that points to itself": lambda d: tree(d)["left_children"].__setitem__(1, 1),
    "a child that is not there": lambda d: tree(d)["right_children"].__setitem__(0, 10**9),
    "a child that is a fraction": lambda d: tree(d)["right_children"].__setitem__(0, 1.5),
    "a column that is not there": lambda d: tree(d)["split_indices"].__setitem__(0, 70_000),
    "an array that is too short": lambda d: tree(d)["sum_hessian"].pop(),
    "a tree in another's place": lambda d: tree(d).update(id=40),
    "leaves of several values": lambda d: tree(d)["tree_param"].update(size_leaf_vector="7"),
    "a class that is not there": lambda d: trees_of(d)["tree_info"].__setitem__(0, 9),
    "rounds past the end": lambda d: trees_of(d)["iteration_indptr"].__setitem__(-1, 99),
    "a base score that is no number": lambda d: d["learner"]["learner_model_param"].update(base_score="[nan]"),
    "columns without end": lambda d: d["learner"]["learner_model_param"].update(num_feature="99999999999"),
    "no learner": lambda d: d.pop("learner"),
    "a category without end": lambda d: tree(d)["categories"].__setitem__(0, 2**40),
    "a category set past the end": lambda d: tree(d)["categories_sizes"].__setitem__(0, 10**6),
}


def lengthen(document: dict[str, Any], levels: int) -> None:
    """The first tree becomes a chain: each inner node has one leaf and the next inner node."""
    count = 2 * levels + 1
    left, right, parents = [-1] * count, [-1] * count, [2**31 - 1] * count
    for node in range(0, 2 * levels, 2):
        left[node], right[node] = node + 1, node + 2
        parents[node + 1] = parents[node + 2] = node
    values = [-9.0 if child != -1 else 0.1 for child in left]
    nothing = {key: [0] * count for key in ("split_indices", "split_type", "default_left")}
    more = {
        "base_weights": [0.0] * count,
        "loss_changes": [0.0] * count,
        "sum_hessian": [1.0] * count,
        "split_conditions": values,
    }
    sets: dict[str, list[int]] = {f"categories{part}": [] for part in ("", "_nodes", "_segments", "_sizes")}
    tree(document).update(left_children=left, right_children=right, parents=parents, **nothing, **more, **sets)
    tree(document)["tree_param"]["num_nodes"] = str(count)


BROKEN["300,000 levels"] = lambda d: lengthen(d, 300_000)


def test_a_chain_of_a_thousand_levels_is_read(tmp_path: Path) -> None:
    document = json.loads(bytes(booster("binary").save_raw("json")))
    lengthen(document, 1000)
    (tmp_path / "m.json").write_text(json.dumps(document))
    assert np.isfinite(plugin.predict(plugin.read_file(tmp_path / "m.json"), rows("binary")[0])).all()


@pytest.mark.parametrize("what", BROKEN)
def test_a_crafted_file_is_refused(what: str, tmp_path: Path) -> None:
    document = json.loads(bytes(booster("binary").save_raw("json")))
    BROKEN[what](document)
    (tmp_path / "m.json").write_text(json.dumps(document))
    with pytest.raises(BadModel):
        plugin.read_file(tmp_path / "m.json")


@pytest.mark.parametrize("suffix", [".ubj", ".json"])
def test_damaged_files_never_crash(suffix: str, tmp_path: Path) -> None:
    """Whatever one byte becomes or wherever the file ends: an error of ours, or a model that predicts."""
    path, x = tmp_path / f"m{suffix}", rows("binary")[0][:5]
    booster("binary", 3).save_model(path)
    whole, random, refused = path.read_bytes(), np.random.default_rng(0), 0
    for number in range(300):
        at = int(random.integers(0, len(whole)))
        changed = whole[:at] + bytes(random.integers(0, 256, 1, np.uint8)) + whole[at + 1 :]
        path.write_bytes(whole[:at] if number % 3 == 0 else changed)
        try:
            plugin.predict(plugin.read_file(path), x)
        except EvermodelError:
            refused += 1
    assert 100 <= refused < 300

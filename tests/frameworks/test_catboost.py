"""CatBoost: its own files and live objects, categories by name, classes and links as the file says them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import evermodel as em
from evermodel.core.errors import BadModel, BadSetting
from evermodel.core.model.training import Training
from evermodel.plugins.frameworks import catboost as plugin
from evermodel.registry.adoption.model_file import open_model

catboost = pytest.importorskip("catboost", reason='needs pip install "evermodel[catboost]"')
QUIET = {"allow_writing_files": False, "verbose": 0, "thread_count": 1, "iterations": 15, "depth": 3}


def make_rows(seed: int, n: int = 700, turn: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "age": random.normal(size=n),
            "shop": random.choice(["x", "y", "z"], n),
            "code": random.integers(1, 5, n),
            "size": random.normal(size=n),
        }
    )
    score = (1 - turn) * rows.age + (rows.shop == "x") + 0.8 * (rows.code == 2) + turn * rows["size"]
    score += random.normal(0, 0.3, n)
    return rows.assign(kept=np.where(score > 0.5, "yes", "no"), level=np.digitize(score, [0.2, 0.9]), amount=score)


INPUTS = ["age", "shop", "code", "size"]


@pytest.mark.parametrize("target", ["kept", "level", "amount"])
def test_categories_by_name_are_adopted_updated_and_saved(target: str, tmp_path: Path) -> None:
    rows, later = make_rows(1), make_rows(3)
    kind = catboost.CatBoostRegressor if target == "amount" else catboost.CatBoostClassifier
    plain = kind(cat_features=["shop", "code"], **QUIET).fit(rows[INPUTS], rows[target])
    plain.save_model(str(tmp_path / "m.cbm"))
    registry = em.open(tmp_path / "r")
    model = registry.adopt(tmp_path / "m.cbm", data=rows[[*INPUTS, target]], target=target, name="m")
    np.testing.assert_allclose(read_answers(model.predict(later[INPUTS])), ask(plain, later), atol=1e-6)
    model.update(make_rows(2, turn=0.7)[[*INPUTS, target]], strategy="refit")
    saved = model.save(tmp_path / "out.cbm", version="v2")
    assert saved.proof is not None and saved.proof.difference < 1e-6
    updated = kind().load_model(str(tmp_path / "out.cbm"))
    assert updated.feature_names_ == INPUTS and updated.get_cat_feature_indices() == [1, 2]
    np.testing.assert_allclose(read_answers(model.version("v2").predict(later[INPUTS])), ask(updated, later), atol=1e-6)
    if target != "amount":
        assert list(updated.classes_) == list(plain.classes_)


def ask(plain, rows: pd.DataFrame) -> np.ndarray:
    return plain.predict_proba(rows[INPUTS]) if hasattr(plain, "predict_proba") else plain.predict(rows[INPUTS])


def read_answers(frame) -> np.ndarray:
    columns = [name for name in frame.columns if name.startswith("p_")]
    return np.asarray(frame[columns]) if columns else np.asarray(frame["prediction"])


def test_numbers_alone_make_a_matrix_in_both_formats(tmp_path: Path) -> None:
    rows = make_rows(1)
    x, y = rows[["age", "size"]].to_numpy(), np.random.default_rng(0).poisson(np.exp(rows.age.clip(-2, 2)))
    plain = catboost.CatBoostRegressor(loss_function="Poisson", **QUIET).fit(x, y)
    for suffix in (".cbm", ".json"):
        plain.save_model(str(tmp_path / f"m{suffix}"), format=suffix[1:])
        opened = open_model(tmp_path / f"m{suffix}")
        signature = opened.framework.read_signature(opened.obj)
        assert (signature.layout, signature.names, signature.task) == ("matrix", None, "regression")
        np.testing.assert_allclose(plugin.predict(opened.obj, x), plain.predict(x), rtol=1e-6)  # counts, not logarithms


def test_the_recipe_of_the_deployed_model_is_kept() -> None:
    rows = make_rows(1)
    x, y = rows[["age", "size"]].to_numpy(), (rows.kept == "yes").astype(int).to_numpy()
    plain = catboost.CatBoostClassifier(l2_leaf_reg=9.0, learning_rate=0.17, **QUIET).fit(x, y)
    again = plugin.fit(plain, x, y, Training(classes=(0, 1), seed=0), from_scratch=True)
    np.testing.assert_array_equal(plugin.predict(again, x), plain.predict_proba(x)[:, 1])
    assert again.recipe["l2_leaf_reg"] == 9.0 and again.rounds == 15
    three = plugin.fit(plain, x, rows.level.to_numpy(), Training(classes=(0, 1, 2)), from_scratch=True)
    assert plugin.predict(three, x).shape == (len(x), 3)
    with pytest.raises(BadSetting, match="same way twice"):
        plugin.fit(plain, x, y, Training(classes=(0, 1)), from_scratch=False)


def test_what_cannot_be_kept_is_refused_in_words(tmp_path: Path) -> None:
    rows = make_rows(1)
    x = rows[["age", "size"]].to_numpy()
    with pytest.raises(BadModel, match="not fitted"):
        plugin.convert_object(catboost.CatBoostClassifier())
    ranking = catboost.CatBoost({"loss_function": "YetiRank", **QUIET})
    ranking.fit(catboost.Pool(x, rows.level, group_id=np.arange(len(x)) // 10))
    with pytest.raises(BadModel, match="'YetiRank' predicts neither"):
        open_model(ranking)
    (tmp_path / "torn.cbm").write_bytes(b"CBM1" + b"\xff" * 40)
    with pytest.raises(BadModel, match=r"torn\.cbm is shorter than"):
        open_model(tmp_path / "torn.cbm")
    (tmp_path / "other.json").write_text(json.dumps({"features_info": 1}))
    with pytest.raises(BadModel, match="no model file we know"):
        open_model(tmp_path / "other.json")
    named = catboost.CatBoostClassifier(cat_features=["shop"], **QUIET).fit(rows[["age", "shop"]], rows.kept)
    with pytest.raises(BadSetting, match=r"as \.cbm only"):
        plugin.write_file(named, tmp_path / "named.json")


def test_a_damaged_file_ends_a_child_process_and_not_this_one(tmp_path: Path, monkeypatch) -> None:
    """CatBoost aborts where a table in the file points elsewhere."""
    rows = make_rows(1)
    plain = catboost.CatBoostRegressor(**QUIET).fit(rows[["age", "size"]], rows.amount)
    plain.save_model(str(tmp_path / "m.cbm"))
    whole = bytearray((tmp_path / "m.cbm").read_bytes())
    whole[8:24] = b"\xff" * 16
    (tmp_path / "m.cbm").write_bytes(whole)
    monkeypatch.delenv("EVERMODEL_SANDBOX", raising=False)
    with pytest.raises(BadModel, match=r"m\.cbm cannot be read"):
        open_model(tmp_path / "m.cbm")


def first_leaf(node: dict) -> dict:
    return node if "value" in node else first_leaf(node["left"])


def put_deep(document: dict) -> None:
    node = first_leaf(document["trees"][0])
    leaf = dict(node)
    for _ in range(150):
        split = {"border": 0, "float_feature_index": 0, "split_index": 0, "split_type": "FloatFeature"}
        node.pop("value"), node.pop("weight")
        node.update(split=split, right=dict(leaf), left=dict(leaf))
        node = node["left"]


# What is changed in a sound file of symmetric trees, or of others, and what is said. CatBoost crashes at several.
DAMAGED = {
    "column": (False, lambda d: d["oblivious_trees"][0]["splits"][0].update(float_feature_index=7), "at a border"),
    "border": (False, lambda d: d["oblivious_trees"][0]["splits"][0].update(border=1234.5), "at a border"),
    "number": (False, lambda d: d["oblivious_trees"][0]["splits"][0].update(split_index=1 << 31), "has the number"),
    "kind": (False, lambda d: d["oblivious_trees"][0]["splits"][0].update(split_type="X"), "of the type 'X'"),
    "leaves": (False, lambda d: d["oblivious_trees"][0]["leaf_values"].pop(), "splits and 1 outputs"),
    "endless": (False, lambda d: d["oblivious_trees"][0]["leaf_values"].__setitem__(0, float("inf")), "no number"),
    "outputs": (False, lambda d: d.update(scale_and_bias=[1, [0, 0]]), "splits and 2 outputs"),
    "no bias": (False, lambda d: d.pop("scale_and_bias"), "KeyError: 'scale_and_bias'"),
    "no trees": (False, lambda d: d.update(oblivious_trees=[]), "holds no trees"),
    "falling": (False, lambda d: d["features_info"]["float_features"][0]["borders"].reverse(), "no rising numbers"),
    "twice": (False, lambda d: d["features_info"]["float_features"][1].update(flat_feature_index=0), "have one number"),
    "huge": (False, lambda d: d["features_info"]["float_features"][1].update(flat_feature_index=1 << 40), "one number"),
    "names": (False, lambda d: d["model_info"].pop("params"), "cannot be read as a CatBoost model"),
    "a leaf": (True, lambda d: first_leaf(d["trees"][0]).update(value=[1, 2, 3]), "a leaf holds other than 1"),
    "a text": (True, lambda d: first_leaf(d["trees"][0]).update(value="1"), "a leaf holds other than 1"),
    "half": (True, lambda d: first_leaf(d["trees"][0]).pop("value"), "KeyError: 'left'"),
    "deep": (True, put_deep, "more than 100 levels"),
}


@pytest.mark.parametrize("change", DAMAGED)
def test_json_that_does_not_hold_together_is_refused(change, tmp_path: Path) -> None:
    other_trees, damage, said = DAMAGED[change]
    rows = make_rows(1)
    kind = {"grow_policy": "Lossguide"} if other_trees else {}
    plain = catboost.CatBoostRegressor(**QUIET, **kind).fit(rows[["age", "size"]], rows.amount)
    plain.save_model(str(tmp_path / "m.json"), format="json")
    assert plugin.read_file(tmp_path / "m.json").rounds == 15
    document = json.loads((tmp_path / "m.json").read_text())
    damage(document)
    (tmp_path / "m.json").write_text(json.dumps(document))
    with pytest.raises(BadModel) as caught:
        plugin.read_file(tmp_path / "m.json")
    assert said in caught.value.message and "\n" not in caught.value.message

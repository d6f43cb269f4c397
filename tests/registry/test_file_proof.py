"""A saved file is used by its framework alone in a clean process; the documented transform gives its input."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks import lightgbm as plugin
from evermodel.registry.lookup import card_of, open_store
from evermodel.registry.versions import load_version

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "transform-json.md"


def rows(n: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    a, b = random.normal(size=n), random.normal(50.0, 9.0, size=n)
    kind = random.choice(["red", "green", "blue"], n)
    y = (a + (b - 50.0) / 9.0 + (kind == "red") + random.normal(size=n) > 0).astype(int)
    frame = pl.DataFrame({"a": a, "b": b, "kind": kind, "y": y})
    return frame.with_columns(pl.when(pl.int_range(n) % 13 == 0).then(None).otherwise(pl.col("a")).alias("a"))


@pytest.fixture
def adopted(tmp_path):
    import lightgbm

    frame = rows(600, 1)
    codes = frame["kind"].replace_strict({"blue": 0, "green": 1, "red": 2}).to_numpy()
    x = np.column_stack([frame["a"].to_numpy(), frame["b"].to_numpy(), codes])
    settings = {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1}
    lightgbm.train(settings, lightgbm.Dataset(x, frame["y"].to_numpy()), 20).save_model(tmp_path / "m.txt")
    evermodel.adopt(tmp_path / "m.txt", data=frame, target="y", name="m", registry=tmp_path / "registry")
    return tmp_path


def test_a_saved_file_answers_in_a_clean_process_bit_for_bit(adopted):
    saved = evermodel.save("m", to=adopted / "back.txt", registry=adopted / "registry")
    assert saved.proof is not None
    assert (saved.proof.rows, saved.proof.difference, saved.proof.inputs) == (16, 0.0, (3,))
    assert "answers 16 rows as the version does, bit for bit" in str(saved)
    assert sorted(p.name for p in adopted.glob("back*")) == ["back.transform.json", "back.txt"]


def test_a_file_that_answers_otherwise_is_not_saved(adopted, monkeypatch):
    def write_other(obj, to):
        plugin._put(to, plugin.to_text(plugin._boosted(plugin.keep_first_trees(obj, 3)).native))

    monkeypatch.setattr(plugin, "write_file", write_other)
    with pytest.raises(BadModel, match="its answers differ from the version's by"):
        evermodel.save("m", to=adopted / "back.txt", registry=adopted / "registry")
    assert not list(adopted.glob("back*")) and not list(adopted.glob(".evermodel*"))
    assert evermodel.save("m", to=adopted / "back.txt", proof=False, registry=adopted / "registry").proof is None


def test_the_documented_lines_of_numpy_give_what_the_model_takes(adopted):
    import lightgbm

    source = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert source is not None
    names: dict[str, object] = {}
    exec(source[1], names)  # noqa: S102 - the page is ours
    evermodel.save("m", to=adopted / "back.txt", proof=False, registry=adopted / "registry")
    new = rows(40, 5).with_columns(pl.when(pl.int_range(40) == 3).then(pl.lit("new")).otherwise("kind").alias("kind"))
    x = names["transform"](new.to_dict(as_series=False), adopted / "back.transform.json")
    store = open_store(adopted / "registry")
    model = load_version(store, card_of(store, "m", None))
    np.testing.assert_array_equal(x, model.transform(new))
    plain = lightgbm.Booster(model_file=adopted / "back.txt").predict(x)
    np.testing.assert_array_equal(plain, model.predict(new)[:, 1])

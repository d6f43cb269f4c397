"""A bare network says how many inputs it takes, and not which: columns that number the rows, flags, wrong readings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import evermodel as em
from evermodel.core.errors import Ambiguous, BadModel

keras = pytest.importorskip("keras", reason='needs pip install "evermodel[keras]"')
CITIES = ("Bern", "Oslo", "Paris", "Rome")
# age, income, four cities, member
WEIGHTS = np.array([1.6, 0.8, -0.5, 1.5, 0.3, -1.0, -1.0])


def draw_rows(seed: int, n: int = 1500) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        "customer_id": random.permutation(n) + 70_000,
        "age": random.integers(18, 90, n),
        "income": random.lognormal(10, 0.5, n),
        "city": random.choice(CITIES, n),
        "member": random.choice(["no", "yes"], n),
    }
    return pl.DataFrame(columns)


def feed(rows: pl.DataFrame, like: pl.DataFrame) -> np.ndarray:
    """As the network was fed: two scaled numbers, the cities one-hot, the flag as 0 and 1."""
    numbers = [(rows[c] - like[c].mean()) / like[c].std(ddof=0) for c in ("age", "income")]
    return np.column_stack([*numbers, *[rows["city"] == c for c in CITIES], rows["member"] == "yes"]).astype("float32")


def make_network(factor: float = 1.0) -> Any:
    network = keras.Sequential([keras.Input((7,)), keras.layers.Dense(1, activation="sigmoid")])
    network.set_weights([factor * WEIGHTS[:, None].astype("float32"), np.zeros(1, "float32")])
    return network


def label(rows: pl.DataFrame, like: pl.DataFrame, seed: int) -> pl.DataFrame:
    p = 1 / (1 + np.exp(-feed(rows, like) @ WEIGHTS))
    return rows.with_columns(bought=pl.Series((np.random.default_rng(seed).random(len(p)) < p).astype(int)))


@pytest.fixture(scope="module")
def reference() -> pl.DataFrame:
    rows = draw_rows(1)
    return label(rows, rows, 1)


def test_a_number_of_the_rows_is_left_out_and_flags_are_one_column(reference, tmp_path: Path) -> None:
    network = make_network()
    registry = em.open(tmp_path)
    result = registry.adopt(network, data=reference, target="bought", name="m")
    later = label(draw_rows(2), reference, 2)
    expected = network.predict(feed(later, reference), verbose=0)[:, 0]
    np.testing.assert_allclose(result.predict(later.drop("bought"))["p_1"].to_numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(result.predict(later.drop("bought", "customer_id"))["p_1"], expected, atol=1e-5)
    updated = result.update(later.drop("customer_id"), strategy="refit")  # nobody has to deliver it any more
    assert "customer_id" not in str(updated)


def test_a_category_newer_than_the_model_is_unknown_to_it(reference, tmp_path: Path) -> None:
    network = make_network()
    new = pl.when(pl.int_range(pl.len()) < 6).then(pl.lit("Madrid")).otherwise(pl.col("city")).alias("city")
    rows = reference.with_columns(new)
    model = em.open(tmp_path).adopt(network, data=rows, target="bought", name="m")
    expected = network.predict(feed(rows, reference), verbose=0)[:, 0]  # Madrid: none of the four
    np.testing.assert_allclose(model.predict(rows.drop("bought"))["p_1"].to_numpy(), expected, atol=1e-5)


def test_what_is_taken_is_said(reference, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from evermodel.registry.adoption.adopt import adopt

    result = adopt(make_network(), data=reference, target="bought", name="m", registry=tmp_path)
    text = str(result)
    assert "columns  age, income, city, member\n" in text
    assert "customer_id: left out, its whole numbers never repeat" in text
    wide = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1, activation="sigmoid")])
    wide.set_weights([np.r_[0.0, WEIGHTS][:, None].astype("float32"), np.zeros(1, "float32")])
    result = adopt(wide, data=reference, target="bought", name="w", registry=tmp_path)
    assert result.columns == ("customer_id", "age", "income", "city", "member")
    assert "customer_id: taken as an input though its whole numbers never repeat" in str(result)


def test_a_reading_that_needs_a_correction_is_not_believed(reference, tmp_path: Path) -> None:
    registry = em.open(tmp_path)
    with pytest.raises(BadModel, match=r"probably not how it was trained.*far too sure") as caught:
        registry.adopt(make_network(5.0), data=reference, target="bought", name="m")
    assert "`inputs`" in caught.value.hint
    named = ["age", "income", "city", "member"]
    with pytest.raises(Ambiguous, match="do not show how the columns are fed"):
        registry.adopt(make_network(5.0), data=reference, target="bought", name="m", inputs=named)
    stated = {"inputs": named, "transform": "standard"}  # the user knows it
    registry.adopt(make_network(5.0), data=reference, target="bought", name="m", **stated)
    assert registry["m"].champion is not None


def test_weights_for_the_classes_are_no_reason_to_refuse(reference, tmp_path: Path) -> None:
    network = make_network()
    network.set_weights([network.get_weights()[0], np.full(1, 1.5, "float32")])  # as if class 1 had counted 4 times
    model = em.open(tmp_path).adopt(network, data=reference, target="bought", name="m")
    expected = network.predict(feed(reference, reference), verbose=0)[:, 0]
    np.testing.assert_allclose(model.predict(reference.drop("bought"))["p_1"].to_numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(("words", "said"), [((0, 1), "contradicts the order 0, 1"), (("a", "b"), "unusual order")])
def test_columns_in_another_order_are_not_believed(words, said, reference, tmp_path: Path) -> None:
    """The flag first, the numbers last: the best of the usual readings turns the classes round."""
    network = keras.Sequential([keras.Input((7,)), keras.layers.Dense(1, activation="sigmoid")])
    network.set_weights([WEIGHTS[::-1][:, None].astype("float32"), np.full(1, 1.5, "float32")])
    rows = reference.with_columns(bought=pl.Series([words[code] for code in reference["bought"]]))
    with pytest.raises((BadModel, Ambiguous), match=said):
        em.open(tmp_path).adopt(network, data=rows, target="bought", name="m")

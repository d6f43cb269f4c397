"""Raw texts beside numbers, each an input of a network that holds its own words, through its whole life."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import evermodel as em
from evermodel.core.errors import ContractBroken
from evermodel.core.records.model_signature import NamedInput
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version
from evermodel.server.prepared_model import prepare_model

keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("Keras runs its text layers on TensorFlow alone", allow_module_level=True)

import tensorflow as tf  # noqa: E402  # it is there where Keras runs on it

WORDS = ("good", "bad", "fine", "poor", "meh", "wow", "dull", "Größe")
CITIES = ("Bern", "Chur", "Genf")
COLUMNS = ("city", "price", "review", "shop")


def reviews(n: int, seed: int) -> pl.DataFrame:
    """Rows whose label hangs on words, a city, a price and the number of a shop."""
    random, worth = np.random.default_rng(seed), np.random.default_rng(0).normal(size=len(WORDS))
    said = [random.integers(0, len(WORDS), random.integers(2, 7)) for _ in range(n)]
    city, price, shop = random.integers(0, 3, n), random.normal(100, 20, n), random.choice([7, 11, 40], n)
    score = np.array([worth[words].sum() for words in said]) + (city - 1) + (price - 100) / 20 + (shop == 40)
    return pl.DataFrame(
        {
            "review": [" ".join(WORDS[word] for word in words) for words in said],
            "price": price,
            "city": [CITIES[place] for place in city],
            "shop": shop,
            "liked": (score + random.normal(0, 0.3, n) > 0.5).astype(int),
        }
    ).with_row_index("t", 9_000 * seed)


def feed(rows: pl.DataFrame) -> dict[str, Any]:
    """What the deployed program gives its network: raw values, which it learnt to scale by itself."""
    texts = {name: tf.constant(rows[name].to_list())[:, None] for name in ("city", "review")}
    numbers = {"price": rows["price"].to_numpy()[:, None].astype("float32"), "shop": rows["shop"].to_numpy()[:, None]}
    return texts | numbers


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    layers, rows = keras.layers, reviews(1500, 1)
    keras.utils.set_random_seed(0)
    words, cities = layers.TextVectorization(50, output_sequence_length=6), layers.StringLookup(output_mode="one_hot")
    shops, scaled = layers.IntegerLookup(output_mode="one_hot"), layers.Normalization()
    words.adapt(rows["review"].to_numpy().astype(str))
    cities.adapt(rows["city"].to_numpy().astype(str))
    shops.adapt(rows["shop"].to_numpy())
    scaled.adapt(rows["price"].to_numpy()[:, None])
    kinds = {"city": "string", "review": "string", "price": "float32", "shop": "int64"}
    given = {name: keras.Input((1,), name=name, dtype=kind) for name, kind in kinds.items()}
    read = layers.GlobalAveragePooling1D()(layers.Embedding(50, 4)(words(given["review"])))
    parts = [read, cities(given["city"]), scaled(given["price"]), shops(given["shop"])]
    hidden = layers.Dense(8, activation="relu")(layers.Concatenate()(parts))
    model = keras.Model(given, layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    model.fit(feed(rows), rows["liked"].to_numpy(), epochs=3, verbose=0)
    at = tmp_path_factory.mktemp("network") / "reviews.keras"
    model.save(at)
    return at


@pytest.fixture(scope="module")
def adopted(network: Path) -> Any:
    registry = em.open(network.parent / "registry")
    return registry.adopt(network, data=reviews(1500, 1), target="liked", time="t", name="reviews")


def test_each_input_takes_the_column_of_its_name(adopted: Any, network: Path) -> None:
    assert adopted.champion.card.signature.inputs == (
        NamedInput("city", (1,), "string", ("city",)),
        NamedInput("price", (1,), "float32", ("price",)),
        NamedInput("review", (1,), "string", ("review",)),
        NamedInput("shop", (1,), "int64", ("shop",)),
    )
    rows = reviews(300, 3)
    expected = keras.models.load_model(network).predict(feed(rows), verbose=0)[:, 0]
    np.testing.assert_allclose(adopted.predict(rows.drop("liked"))["p_1"], expected, atol=1e-6)
    rows.select(COLUMNS).write_csv(network.parent / "rows.csv")
    np.testing.assert_allclose(adopted.predict(network.parent / "rows.csv")["p_1"], expected, atol=1e-6)


def test_an_update_is_judged_and_the_saved_file_is_proven_by_plain_keras(adopted: Any, tmp_path: Path) -> None:
    result = adopted.update(reviews(900, 2), policy="refresh")
    assert result.decision == "promote", result.headline
    adopted.save(tmp_path / "updated.keras")  # raises where plain Keras answers otherwise
    rows = reviews(200, 4)
    plain = keras.models.load_model(tmp_path / "updated.keras")
    found = adopted.predict(rows.drop("liked"))["p_1"].to_numpy()
    np.testing.assert_allclose(plain.predict(feed(rows), verbose=0)[:, 0], found, atol=1e-6)
    assert ((found > 0.5) == (rows["liked"].to_numpy() == 1)).mean() > 0.85
    first = adopted.version("v1").load()
    words = [next(e for e in m.layers if "vectorization" in e.name).get_vocabulary() for m in (first, plain)]
    assert words[0] == words[1]
    given = adopted.champion.prepare(rows.drop("liked"))
    assert given["review"][:, 0].tolist() == rows["review"].to_list()
    assert given["shop"].dtype == np.int64
    assert "1,000 rows" in str(adopted.watch(reviews(1000, 5)))


def test_the_server_answers_as_plain_keras_does(adopted: Any) -> None:
    store, version = open_store(adopted.location), adopted.champion
    at = store.version_folder("reviews", version.name)
    prepared = prepare_model("reviews", version.name, load_version(store, version.card), at)
    rows = reviews(30, 6)
    columns = {name: rows[name].to_list() for name in COLUMNS}
    columns["review"][3] = None  # a text that is missing is an empty one
    checked = prepared.checker.check_columns(columns, 30)
    given = feed(rows.with_columns(review=pl.Series([text or "" for text in columns["review"]])))
    expected = version.load().predict(given, verbose=0)[:, 0]
    assert checked.refused == ()
    np.testing.assert_allclose(prepared.predict(checked).raw[:, 1], expected, atol=1e-6)


def test_a_model_that_waits_for_rows_of_texts_and_numbers(network: Path, tmp_path: Path) -> None:
    registry = em.open(tmp_path)
    waiting = registry.adopt(network, target="liked", time="t", name="waiting")
    assert waiting is not None
    registry["waiting"].update(reviews(1200, 1))
    assert registry["waiting"].champion.inputs == COLUMNS


def test_numbers_of_every_size_reach_the_network_bit_by_bit(network: Path) -> None:
    from evermodel.plugins.frameworks._keras import feeding

    model = keras.models.load_model(network)
    numbers = np.array([0.1, -1e-300, 1e300, 123456789.123456789, 5e-324, np.nextafter(1.0, 2.0), np.nan, -0.0])
    rows = np.empty((len(numbers), 4), dtype=object)
    rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3] = "Bern", numbers, "good", 7.0
    written = tf.constant(feeding.prepare_rows(model, rows))
    assert np.array_equal(feeding._read_numbers(written[:, 1]).numpy(), numbers, equal_nan=True)
    fed = feeding.cut_rows(model, written)
    assert fed["shop"].numpy().tolist() == [[7]] * len(numbers)


def test_numbers_where_texts_are_needed_are_their_spelling(adopted: Any) -> None:
    rows = reviews(20, 7).drop("liked")
    with pytest.raises(ContractBroken, match="'price'"):
        adopted.predict(rows.with_columns(price=pl.lit("cheap")))

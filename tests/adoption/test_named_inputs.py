"""A network of several named inputs lives through the whole loop, and its file stays one that plain Keras uses."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

if importlib.util.find_spec("keras") is None:
    pytest.skip('needs pip install "evermodel[keras]"', allow_module_level=True)

import keras

import evermodel as em
from evermodel.core.data.image_decoding import decode_images
from evermodel.core.errors import Ambiguous, BadSetting, ContractBroken, NotFound
from evermodel.core.records.model_signature import NamedInput
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version
from evermodel.server.checked_rows import RowChecker
from evermodel.server.prepared_model import prepare_model

CUSTOMERS = 20
SIGNATURE = '[inputs.customer]\ncolumns = ["who"]\n'


def purchases(n: int, seed: int) -> pl.DataFrame:
    """Rows whose label hangs on the customer and on two numbers; ``t`` orders them."""
    random = np.random.default_rng(seed)
    taste = np.random.default_rng(0).normal(size=CUSTOMERS)
    who, age, income = random.integers(0, CUSTOMERS, n), random.normal(40, 12, n), random.normal(3000, 900, n)
    score = 1.5 * taste[who] + (age - 40) / 12 + (income - 3000) / 1800 + random.normal(0, 0.4, n)
    return pl.DataFrame({"age": age, "who": who, "income": income, "bought": (score > 0).astype(int)}).with_row_index(
        "t"
    )


def feed(rows: pl.DataFrame) -> dict[str, Any]:
    """What the deployed program makes of rows for its network."""
    numbers = np.stack([(rows["age"] - 40) / 12, (rows["income"] - 3000) / 900], axis=1).astype(np.float32)
    return {"customer": rows["who"].to_numpy()[:, None].astype(np.int32), "numbers": numbers}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(1)
    numbers = keras.Input((2,), name="numbers")
    customer = keras.Input((1,), name="customer", dtype="int32")
    taste = keras.layers.Flatten()(keras.layers.Embedding(CUSTOMERS, 4)(customer))
    hidden = keras.layers.Dense(8, activation="relu")(keras.layers.Concatenate()([numbers, taste]))
    model = keras.Model({"customer": customer, "numbers": numbers}, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile("adam", "binary_crossentropy")
    rows = purchases(1200, 1)
    model.fit(feed(rows), rows["bought"].to_numpy(), epochs=20, verbose=0)
    at = tmp_path_factory.mktemp("network") / "purchases.keras"
    model.save(at)
    return at


@pytest.fixture(scope="module")
def adopted(network: Path) -> Any:
    """The model, adopted with a signature file."""
    (network.parent / "signature.toml").write_text(SIGNATURE)
    registry = em.open(network.parent / "registry")
    registry.adopt(
        network,
        data=purchases(1200, 1),
        target="bought",
        time="t",
        name="purchases",
        signature=network.parent / "signature.toml",
    )
    return registry["purchases"]


def test_inputs_are_described_by_name_shape_type_and_columns(adopted: Any) -> None:
    signature = adopted.version("v1").card.signature
    assert signature.inputs == (
        NamedInput("customer", (1,), "int32", ("who",), CUSTOMERS),
        NamedInput("numbers", (2,), "float32", ("age", "income")),
    )
    shown = {row["what"]: row["value"] for row in em.show("purchases", "v1", registry=adopted.location).rows}
    assert shown["input customer"] == f"int32, 1 a row, whole numbers from 0 to {CUSTOMERS - 1}, of who"
    assert shown["input numbers"] == "float32, 2 a row, of age, income"


def test_an_update_is_judged_and_the_saved_file_answers_by_name_in_plain_keras(adopted: Any, tmp_path: Path) -> None:
    result = adopted.update(purchases(900, 2).with_columns(pl.col("t") + 5000))
    assert result.decision == "promote", result.headline
    assert adopted.champion.card.signature == adopted.version("v1").card.signature
    rows = purchases(50, 3)
    adopted.save(tmp_path / "updated.keras", proof=False)
    plain = keras.models.load_model(tmp_path / "updated.keras")
    given = adopted.champion.prepare(rows.drop("bought"))
    assert {name: (part.shape, str(part.dtype)) for name, part in given.items()} == {
        "customer": ((50, 1), "int32"),
        "numbers": ((50, 2), "float32"),
    }
    assert np.array_equal(given["customer"][:, 0], rows["who"].to_numpy())
    expected = adopted.predict(rows.drop("bought"))["p_1"].to_numpy()
    np.testing.assert_allclose(plain.predict(given, verbose=0)[:, 0], expected, atol=1e-6)
    accuracy = float(np.mean((expected > 0.5) == (rows["bought"].to_numpy() == 1)))
    assert accuracy > 0.8


def test_a_code_beyond_the_table_is_refused_by_row_and_left_out_of_an_update(adopted: Any) -> None:
    rows = purchases(40, 4)
    odd = rows.with_columns(pl.when(pl.int_range(40) == 2).then(CUSTOMERS).otherwise("who").alias("who"))
    with pytest.raises(ContractBroken, match=rf"'who' holds {CUSTOMERS}, a value beyond .*: 1 rows \(3\)"):
        adopted.predict(odd.drop("bought"))
    found = adopted.evaluate(odd)
    assert found.rows == 39


def test_columns_that_names_do_not_give_are_asked_for(network: Path, tmp_path: Path) -> None:
    registry = em.open(tmp_path)
    with pytest.raises(Ambiguous, match="which columns make the model's inputs 'customer'") as raised:
        registry.adopt(network, data=purchases(300, 1), target="bought", time="t", name="a")
    assert "signature" in raised.value.hint
    same_name = purchases(1200, 1).rename({"who": "Customer"})
    assert registry.adopt(network, data=same_name, target="bought", time="t", name="b").champion.inputs == (
        "Customer",
        "age",
        "income",
    )


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ('[inputs.buyer]\ncolumns = ["who"]', NotFound, "no input of the model 'buyer'"),
        ('[inputs.customer]\ncolumns = ["whom"]', NotFound, "no column 'whom'"),
        ('[inputs.customer]\ncolumns = ["who"]\n[inputs.numbers]\ncolumns = ["who", "age"]', BadSetting, "twice"),
        ('[inputs.customer]\ncolumn = "who"', BadSetting, "a list of columns and nothing else"),
        ("[inputs", BadSetting, "is no TOML"),
        ('[inputs.numbers]\ncolumns = ["age"]', ContractBroken, "takes 2 numbers a row; 1 column is"),
    ],
)
def test_a_wrong_signature_file_is_one_sentence(
    network: Path, tmp_path: Path, text: str, error: type[Exception], said: str
) -> None:
    (tmp_path / "signature.toml").write_text(text)
    with pytest.raises(error, match=said):
        em.open(tmp_path).adopt(
            network,
            data=purchases(300, 1).drop("income") if error is ContractBroken else purchases(300, 1),
            target="bought",
            time="t",
            name="a",
            signature=tmp_path / "signature.toml",
        )
    assert len(em.open(tmp_path).models) == 0


def series(n: int, seed: int, *, by_column: bool = False) -> pl.DataFrame:
    """Windows of three steps of two columns, and what comes next: it hangs on the newest step and on the trend."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 3, 2)).astype(np.float32)
    y = x[:, 2, 0] + 0.8 * (x[:, 2, 1] - x[:, 0, 1]) + random.normal(0, 0.2, n)
    flat = x.transpose(0, 2, 1).reshape(n, 6) if by_column else x.reshape(n, 6)
    return pl.DataFrame(flat, [f"v{i}" for i in range(6)]).with_columns(y=y, t=pl.int_range(n) + 10_000 * seed)


@pytest.fixture(scope="module")
def recurrent() -> Any:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((3, 2), name="window"), keras.layers.SimpleRNN(8), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    rows = series(1000, 1)
    model.fit(rows.select(pl.col("^v.$")).to_numpy().reshape(-1, 3, 2), rows["y"].to_numpy(), epochs=4, verbose=0)
    return model


@pytest.mark.parametrize("by_column", [False, True])
def test_windows_are_read_in_the_order_that_the_rows_prove(recurrent: Any, tmp_path: Path, by_column: bool) -> None:
    rows = series(1000, 1, by_column=by_column)
    adopted = em.open(tmp_path).adopt(recurrent, data=rows, target="y", time="t", name="series")
    order = ("v0", "v3", "v1", "v4", "v2", "v5") if by_column else ("v0", "v1", "v2", "v3", "v4", "v5")
    assert adopted.champion.card.signature.inputs == (NamedInput("window", (3, 2), "float32", order),)
    new = series(500, 2, by_column=by_column)
    given = adopted.champion.prepare(new.drop("y"))["window"]
    assert np.array_equal(given, new.select(order).to_numpy().reshape(-1, 3, 2))
    if not by_column:
        assert adopted.update(new).decision == "promote"
    answers = adopted.champion.load().predict(given, verbose=0)[:, 0]
    np.testing.assert_allclose(answers, adopted.predict(new.drop("y"))["prediction"], atol=1e-5)


def test_a_long_table_for_a_model_of_windows_is_refused_with_what_to_do(recurrent: Any, tmp_path: Path) -> None:
    rows = series(300, 1).select("t", "v0", "v1", "y")
    with pytest.raises(ContractBroken, match="takes 6 numbers a row; 2 columns") as raised:
        em.open(tmp_path).adopt(recurrent, data=rows, target="y", time="t", name="series")
    assert "windows of 3 steps" in raised.value.hint


def test_a_model_that_waits_keeps_its_signature_file(network: Path, tmp_path: Path) -> None:
    (tmp_path / "signature.toml").write_text(SIGNATURE)
    registry = em.open(tmp_path / "registry")
    registry.adopt(network, target="bought", time="t", name="waiting", signature=tmp_path / "signature.toml")
    (tmp_path / "signature.toml").unlink()
    registry["waiting"].update(purchases(1500, 1))
    first = registry["waiting"].champion.card.signature
    assert [part.columns for part in first.inputs] == [("who",), ("age", "income")]


def offers(n: int, seed: int) -> pl.DataFrame:
    """Pictures with a price: what sells hangs on the picture's brightness and on the price."""
    from PIL import Image

    random = np.random.default_rng(seed)
    light, price, pictures = random.integers(20, 235, n), random.normal(100, 20, n), []
    for level in light:
        pixels = np.clip(level + random.normal(0, 8, (4, 4, 3)), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        pictures.append(file.getvalue())
    sold = (light - 127) / 60 - (price - 100) / 20 + random.normal(0, 0.3, n) > 0
    return pl.DataFrame({"photo": pictures, "price": price, "sold": sold.astype(int)}).with_row_index("t", 9_000 * seed)


def test_pictures_beside_numbers_are_one_input_each(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    keras.utils.set_random_seed(4)
    photo, price = keras.Input((4, 4, 3), name="photo"), keras.Input((1,), name="price")
    seen = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 2, activation="relu")(photo))
    model = keras.Model([photo, price], keras.layers.Dense(1, "sigmoid")(keras.layers.Concatenate()([seen, price])))
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    rows = offers(600, 1)
    pixels = decode_images(rows["photo"], (4, 4, 3)) / 255
    scaled = ((rows["price"] - 100) / 20).to_numpy()[:, None]
    model.fit([pixels, scaled], rows["sold"].to_numpy(), epochs=25, verbose=0)
    adopted = em.open(tmp_path).adopt(model, data=rows, target="sold", time="t", name="offers")
    assert adopted.champion.card.signature.inputs == (
        NamedInput("photo", (4, 4, 3), "float32", ("photo",)),
        NamedInput("price", (1,), "float32", ("price",)),
    )
    new = offers(300, 2)
    assert adopted.update(new).decision in ("promote", "hold")
    given = adopted.champion.prepare(new.drop("sold"))
    np.testing.assert_allclose(given["photo"], decode_images(new["photo"], (4, 4, 3)) / 255, atol=1e-6)
    found = adopted.predict(new.drop("sold"))["p_1"].to_numpy()
    plain = adopted.champion.load().predict([given["photo"], given["price"]], verbose=0)[:, 0]
    np.testing.assert_allclose(plain, found, atol=1e-6)
    assert ((found > 0.5) == (new["sold"].to_numpy() == 1)).mean() > 0.85


@pytest.mark.parametrize(("others", "first"), [(1, "photo"), (1, "tab"), (2, "photo")])
def test_a_picture_goes_to_the_input_of_its_name_and_numbers_to_the_other(others, first, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    photo, tab = keras.Input((4, 4, 3), name="photo"), keras.Input((1 + others,), name="tab")
    seen = keras.layers.Concatenate()(
        [keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(photo)), tab]
    )
    inputs = [photo, tab] if first == "photo" else [tab, photo]
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(seen))
    slopes = [4 * 255 / 60 / 3] * 3 + [-4 / 20] + [0.0] * others
    model.layers[-1].set_weights([np.array(slopes)[:, None], np.array([4 * (5 - 127 / 60)])])
    extra = [pl.lit(0.5).alias(f"width{i}") + pl.int_range(pl.len()) % 7 for i in range(others)]
    rows = (
        offers(400, 1).drop("t").with_columns(extra).select("photo", "price", pl.selectors.starts_with("width"), "sold")
    )
    adopted = em.open(tmp_path).adopt(model, data=rows, target="sold", name="offers")
    numbers = ("price", *(f"width{i}" for i in range(others)))
    assert {part.name: part.columns for part in adopted.champion.card.signature.inputs} == {
        "photo": ("photo",),
        "tab": numbers,
    }
    given = {"photo": decode_images(rows["photo"], (4, 4, 3)), "tab": rows.select(numbers).to_numpy()}
    plain = model.predict([given[part.name] for part in inputs], verbose=0)[:, 0]
    np.testing.assert_allclose(adopted.predict(rows.drop("sold"))["p_1"].to_numpy(), plain, atol=1e-5)


def test_the_server_answers_rows_of_named_inputs_and_refuses_a_code_beyond_the_table(adopted: Any) -> None:
    store, version = open_store(adopted.location), adopted.champion
    prepared = prepare_model(
        "purchases", version.name, load_version(store, version.card), store.version_folder("purchases", version.name)
    )
    rows = purchases(20, 5)
    columns = {name: rows[name].to_list() for name in ("who", "age", "income")}
    columns["who"][3], columns["who"][5] = CUSTOMERS, 1.5
    checked = prepared.checker.check_columns(columns, 20)
    assert [(row.row, row.column, row.reason) for row in checked.refused] == [
        (row, "who", f"must be a whole number from 0 to {CUSTOMERS - 1}") for row in (3, 5)
    ]
    kept = [row for row in range(20) if row not in (3, 5)]
    expected = adopted.predict(rows.drop("bought"))["p_1"].to_numpy()[kept]
    np.testing.assert_allclose(prepared.predict(checked).raw[:, 1], expected, atol=1e-6)
    assert "who" in prepared.needed


def texts(n: int, seed: int) -> pl.DataFrame:
    """Token ids in a list, as tokenizers give them, and a number; what is liked hangs on the words and the number."""
    random = np.random.default_rng(seed)
    ids, size = random.integers(1, 15, (n, 4)), random.normal(size=n)
    worth = np.random.default_rng(0).normal(size=15)[ids].sum(axis=1)
    liked = (worth + size + random.normal(0, 0.3, n) > 0).astype(int)
    return pl.DataFrame({"tokens": ids.tolist(), "size": size, "liked": liked}).with_row_index("t", 9_000 * seed)


def test_a_list_column_of_token_ids_is_an_input_of_its_name(tmp_path: Path) -> None:
    keras.utils.set_random_seed(5)
    tokens, size = keras.Input((4,), name="tokens", dtype="int32"), keras.Input((1,), name="size")
    words = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(15, 3)(tokens))
    model = keras.Model([tokens, size], keras.layers.Dense(1, "sigmoid")(keras.layers.Concatenate()([words, size])))
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
    rows = texts(800, 1)
    fed = [np.array(rows["tokens"].to_list(), np.int32), rows["size"].to_numpy()[:, None]]
    model.fit(fed, rows["liked"].to_numpy(), epochs=10, verbose=0)
    adopted = em.open(tmp_path).adopt(model, data=rows, target="liked", time="t", name="texts")
    places = tuple(f"tokens[{i}]" for i in range(4))
    assert adopted.champion.card.signature.inputs == (
        NamedInput("tokens", (4,), "int32", places, 15),
        NamedInput("size", (1,), "float32", ("size",)),
    )
    new = texts(400, 2)
    assert adopted.update(new).decision in ("promote", "hold")
    found = adopted.predict(new.drop("liked"))["p_1"].to_numpy()
    given = [np.array(new["tokens"].to_list(), np.int32), new["size"].to_numpy()[:, None]]
    np.testing.assert_allclose(adopted.champion.load().predict(given, verbose=0)[:, 0], found, atol=1e-6)
    longer = new.drop("liked").with_columns(pl.col("tokens").list.concat([pl.lit([3])]))
    with pytest.raises(ContractBroken, match="lists in 'tokens' are longer"):
        adopted.predict(longer)
    model_rows = RowChecker(load_version(open_store(tmp_path), adopted.champion.card).contract)
    checked = model_rows.check_columns({"tokens": new["tokens"].head(3).to_list(), "size": [0.1, 0.2, 0.3]}, 3)
    with pytest.raises(ContractBroken, match=r"missing: 'tokens\[0\]'"):
        model_rows.check_columns({"tokens": [[1, 2, 3, 4, 5]], "size": [0.1]}, 1)
    assert checked.refused == () and np.array_equal(checked.numbers[:, :4], new["tokens"].head(3).to_list())


def test_the_entity_may_be_an_input_of_its_name(network: Path, tmp_path: Path) -> None:
    rows = purchases(1200, 1).rename({"who": "customer"})
    model = em.open(tmp_path).adopt(network, data=rows, target="bought", time="t", entity="customer", name="a")
    assert model.champion.card.signature.inputs[0].columns == ("customer",)
    assert model.champion.inputs == ("customer", "age", "income")

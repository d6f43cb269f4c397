"""One file that takes raw columns: the transform and the output become part of the model's own object."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.data.contract import Column, Contract
from evermodel.core.errors import BadModel, BadSetting
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.transform import Feature, Transform
from evermodel.core.records.column_roles import Roles
from evermodel.plugins.frameworks import keras as keras_plugin
from evermodel.plugins.frameworks import lightgbm as lightgbm_plugin
from evermodel.plugins.frameworks import sklearn as sklearn_plugin
from evermodel.registry.embedding import UNKNOWN, embed_preprocessing

COLUMNS = (
    Column("seen at", "number"),  # seconds: in float32 they would be off by a minute
    Column("kind", "category", categories=("red", "green", "blue")),
    Column("size", "number"),
    Column("grade", "category", categories=("a", "b")),
)
FEATURES = (
    Feature("seen at", center=1.7e9, scale=60.0, fill=1.7e9),
    Feature("kind", "onehot", categories=("red", "green", "blue")),
    Feature("size", center=3.0, scale=2.0, fill=2.5),
    Feature("grade", "onehot_drop_first", categories=("a", "b")),
    Feature("grade", "code", categories=("a", "b"), fill=7.0),
)
ROWS = pl.DataFrame(
    {
        "seen at": [1.7e9 + 1.0, 1.7e9 - 90.0, None, 1.7e9 + 33.0],
        "kind": ["red", "blue", None, "violet"],
        "size": [1.0, None, 4.5, -2.0],
        "grade": ["b", "a", None, "c"],
    },
    schema={"seen at": pl.Float64, "kind": pl.String, "size": pl.Float64, "grade": pl.String},
)


def build_contract(task: str, classes: tuple[object, ...] = ()) -> Contract:
    return Contract(task, Roles(target="y"), COLUMNS, classes)  # type: ignore[arg-type]


def build_network(units: int, activation: str) -> Model:
    import keras

    keras.utils.set_random_seed(0)
    width = sum(f.width for f in FEATURES)
    net = keras.Sequential([keras.Input((width,)), keras.layers.Dense(units, activation)])
    task, classes = ("multiclass", ("x", "y", "z")) if units == 3 else ("binary", (0, 1))
    net.compile("sgd", "mse" if activation == "linear" else "binary_crossentropy")
    contract = build_contract("regression") if activation == "linear" else build_contract(task, classes)
    kind = "value" if activation == "linear" else "probability"
    return Model(contract, Transform(FEATURES), net, keras_plugin, Output(kind))  # type: ignore[arg-type]


def answer_plainly(embedded: Model, rows: pl.DataFrame) -> np.ndarray:
    """What the object itself says of raw columns, given by name, without Evermodel's transform."""
    import tensorflow as tf

    numbers = {n: tf.constant(rows[n].to_numpy()[:, None]) for n in ("seen at", "size")}
    texts = {n: tf.constant([[v or ""] for v in rows[n]]) for n in ("kind", "grade")}
    return np.asarray(embedded.obj({**numbers, **texts}))  # predict() would round the moments to float32 first


@pytest.mark.parametrize(
    "output",
    [Output(), Output(temperature=1.7, shift=(0.1, -0.4)), Output("probability", offset=0.3)],
    ids=["as it is", "recalibrated", "corrected"],
)
def test_a_network_takes_raw_columns_and_answers_the_second_class(output):
    model = dataclasses.replace(build_network(1, "sigmoid"), output=output)
    embedded = embed_preprocessing(model, Path("m.keras"), ROWS)
    np.testing.assert_allclose(answer_plainly(embedded, ROWS)[:, 0], model.predict(ROWS)[:, 1], rtol=2e-6)


def test_three_classes_keep_their_order_and_calibration():
    model = dataclasses.replace(build_network(3, "softmax"), output=Output(temperature=0.8, shift=(0.2, 0.0, -0.3)))
    embedded = embed_preprocessing(model, Path("m.keras"), ROWS)
    np.testing.assert_allclose(answer_plainly(embedded, ROWS), model.predict(ROWS), rtol=5e-6)


@pytest.mark.parametrize("kind", ["none", "log1p", "log", "log2", "log10", "sqrt", "square", "cbrt"])
def test_a_regression_answers_in_the_units_of_the_target(kind):
    output = Output("value", scale=0.5, shift=(2.5,), gain=1.1, offset=-0.2, target_transform=kind)
    model = dataclasses.replace(build_network(1, "linear"), output=output)
    embedded = embed_preprocessing(model, Path("m.keras"), ROWS)
    expected = model.predict(ROWS)
    np.testing.assert_allclose(answer_plainly(embedded, ROWS)[:, 0], expected, atol=1e-5 * np.abs(expected).max())


def test_a_name_with_a_slash_is_no_input_of_keras():
    model = build_network(1, "sigmoid")
    features = (Feature("a/b", center=1.0), *FEATURES[1:])
    model = dataclasses.replace(model, transform=Transform(features))
    with pytest.raises(BadModel, match="no input named 'a/b'"):
        embed_preprocessing(model, Path("m.keras"), None)


def test_a_format_without_operations_is_refused():
    with pytest.raises(BadSetting, match=r"With preprocessing, `to` must end in \.keras\. Got 'm\.h5'"):
        embed_preprocessing(build_network(1, "sigmoid"), Path("m.h5"), ROWS)


def test_a_framework_without_a_place_for_it_is_refused():
    model = dataclasses.replace(build_network(1, "sigmoid"), framework=lightgbm_plugin)
    with pytest.raises(BadModel, match="cannot hold its preprocessing"):
        embed_preprocessing(model, Path("m.txt"), ROWS)


def test_pictures_are_refused():
    model = build_network(1, "sigmoid")
    transform = Transform((Feature("seen at", "image"),), layout="image", image=(8, 8, 3))
    with pytest.raises(BadModel, match="decoded before the network"):
        embed_preprocessing(dataclasses.replace(model, transform=transform), Path("m.keras"), None)


def test_a_network_whose_answers_would_differ_is_refused(monkeypatch):
    model = build_network(1, "sigmoid")
    shifted = dataclasses.replace(FEATURES[0], center=1.7e9 + 1.0)
    embed = keras_plugin.embed_preprocessing

    def embed_another(obj, transform, output, columns):
        return embed(obj, Transform((shifted, *FEATURES[1:])), output, columns)

    monkeypatch.setattr(keras_plugin, "embed_preprocessing", embed_another)
    with pytest.raises(BadModel, match="answers otherwise, by up to"):
        embed_preprocessing(model, Path("m.keras"), ROWS)


def build_estimator(last: object, *, task: str = "binary", output: Output | None = None) -> Model:
    random = np.random.default_rng(0)
    x = random.normal(size=(80, sum(f.width for f in FEATURES)))
    y = x[:, 0] + x[:, 3]
    fitted = last.fit(x, y if task == "regression" else (y > 0).astype(int))  # type: ignore[attr-defined]
    contract = build_contract(task, () if task == "regression" else (0, 1))
    usual = Output("value") if task == "regression" else Output()
    transform = Transform(FEATURES, dtype="float64")
    return Model(contract, transform, fitted, sklearn_plugin, output or usual)  # type: ignore[arg-type]


def test_a_pipeline_takes_raw_columns_bit_for_bit():
    from sklearn.linear_model import LogisticRegression, Ridge

    frame = ROWS.to_pandas()
    model = build_estimator(LogisticRegression())
    embedded = embed_preprocessing(model, Path("m.skops"), ROWS)
    np.testing.assert_array_equal(embedded.obj.predict_proba(frame), model.predict(ROWS))
    model = build_estimator(Ridge(), task="regression")
    embedded = embed_preprocessing(model, Path("m.skops"), ROWS)
    np.testing.assert_array_equal(embedded.obj.predict(frame), model.predict(ROWS))
    assert [type(step).__name__ for step in embedded.obj] == ["ColumnTransformer", "Ridge"]


def test_an_answer_that_is_corrected_behind_the_estimator_is_refused():
    from sklearn.linear_model import LogisticRegression

    model = build_estimator(LogisticRegression(), output=Output(temperature=2.0))
    with pytest.raises(BadModel, match="corrected behind it"):
        embed_preprocessing(model, Path("m.skops"), ROWS)


def read_rows(n: int) -> pl.DataFrame:
    random = np.random.default_rng(1)
    a, b, kind = random.normal(size=n), random.normal(50.0, 9.0, size=n), random.choice(["red", "green", "blue"], n)
    y = (a + (b - 50.0) / 9.0 + 2.0 * (kind == "red") > 0).astype(int)
    return pl.DataFrame({"a": a, "b": b, "kind": kind, "y": y})


def test_the_saved_file_of_a_network_is_proven_by_plain_keras(tmp_path):
    import keras
    import tensorflow as tf

    frame = read_rows(400)
    hot = np.array(["blue", "green", "red"]) == frame["kind"].to_numpy()[:, None]
    x = np.column_stack([frame["a"].to_numpy(), (frame["b"].to_numpy() - 50.0) / 9.0, hot])
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")])
    net.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
    net.fit(x, frame["y"].to_numpy(), epochs=5, verbose=0)
    net.save(tmp_path / "m.keras")
    registry = tmp_path / "registry"
    evermodel.adopt(tmp_path / "m.keras", data=frame, target="y", name="m", registry=registry)
    saved = evermodel.save("m", to=tmp_path / "raw.keras", with_preprocessing=True, registry=registry)
    assert saved.proof is not None
    assert saved.proof.names == ("a", "b", "kind")
    assert "takes 3 inputs by name (a, b, kind), answers 16 rows as the version does" in str(saved)
    loaded = keras.models.load_model(tmp_path / "raw.keras")
    rows = frame[:50].with_columns(pl.when(pl.int_range(50) == 4).then(pl.lit(UNKNOWN)).otherwise("kind").alias("kind"))
    given = {n: tf.constant(rows[n].to_numpy()[:, None]) for n in ("a", "b")}
    given["kind"] = tf.constant([[v] for v in rows["kind"]])
    expected = evermodel.open(registry)["m"].predict(rows.drop("y"))["p_1"].to_numpy()
    np.testing.assert_allclose(loaded.predict(given, verbose=0)[:, 0], expected, rtol=5e-6)


def test_the_saved_file_of_an_estimator_is_proven_by_plain_scikit_learn(tmp_path):
    import skops.io
    from sklearn.linear_model import LogisticRegression

    frame = read_rows(400)
    hot = np.array(["blue", "green", "red"]) == frame["kind"].to_numpy()[:, None]
    x = np.column_stack([frame["a"].to_numpy(), frame["b"].to_numpy(), hot])
    skops.io.dump(LogisticRegression(max_iter=1000).fit(x, frame["y"].to_numpy()), tmp_path / "m.skops")
    registry = tmp_path / "registry"
    evermodel.adopt(tmp_path / "m.skops", data=frame, target="y", name="m", registry=registry)
    saved = evermodel.save("m", to=tmp_path / "raw.skops", with_preprocessing=True, registry=registry)
    assert "takes 3 inputs, answers 16 rows as the version does, bit for bit" in str(saved)
    loaded = skops.io.load(tmp_path / "raw.skops", trusted=[])
    expected = evermodel.open(registry)["m"].predict(frame.drop("y"))["p_1"].to_numpy()
    np.testing.assert_allclose(loaded.predict_proba(frame.drop("y").to_pandas())[:, 1], expected, rtol=1e-7)
    raw = evermodel.adopt(tmp_path / "raw.skops", data=frame, target="y", name="raw", registry=registry)
    assert raw.version == "v1"

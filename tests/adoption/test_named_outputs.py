"""A network of several answers: one is judged, all are trained and shown, and its file stays one for plain Keras."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

if importlib.util.find_spec("keras") is None:
    pytest.skip('needs pip install "evermodel[keras]"', allow_module_level=True)

import keras

import evermodel as em
from evermodel.core.errors import Ambiguous, BadModel, BadSetting, ContractBroken
from evermodel.core.records.model_signature import NamedOutput
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version
from evermodel.server.answering import build_answer
from evermodel.server.open_inference import build_outputs, describe_model
from evermodel.server.prepared_model import prepare_model

NAMES = ["a", "b", "c"]


def visits(n: int, seed: int) -> pl.DataFrame:
    """Rows of three numbers with a truth value, a number and one of three grades that hang on them."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 3)).astype(np.float32)
    noise = random.normal(0, 0.3, (n, 3))
    return pl.DataFrame(dict(zip(NAMES, x.T, strict=True))).with_columns(
        pl.Series("buys", np.where(x[:, 0] - x[:, 1] + noise[:, 0] > 0, "yes", "no")),
        pl.Series("spent", 2 * x[:, 1] + x[:, 2] + noise[:, 1]),
        pl.Series("grade", np.digitize(x[:, 2] + noise[:, 2], [-0.5, 0.5])),
        pl.Series("t", np.arange(n) + 10_000 * seed),
    )


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(1)
    given = keras.Input((3,))
    hidden = keras.layers.Dense(16, activation="relu")(given)
    model = keras.Model(
        given,
        {
            "visit": keras.layers.Dense(3, activation="softmax", name="visit")(hidden),
            "buy": keras.layers.Dense(1, activation="sigmoid", name="buy")(hidden),
            "money": keras.layers.Dense(1, name="money")(hidden),
        },
    )
    model.compile("adam", {"visit": "sparse_categorical_crossentropy", "buy": "binary_crossentropy", "money": "mse"})
    rows = visits(1200, 1)
    truth = {"buy": (rows["buys"] == "yes").to_numpy().astype(int), "money": rows["spent"].to_numpy()}
    model.fit(rows.select(NAMES).to_numpy(), truth | {"visit": rows["grade"].to_numpy()}, epochs=12, verbose=0)
    at = tmp_path_factory.mktemp("network") / "visits.keras"
    model.save(at)
    return at


@pytest.fixture(scope="module")
def adopted(network: Path) -> Any:
    file = network.parent / "signature.toml"
    file.write_text(
        '[outputs.buy]\ntarget = "buys"\n[outputs.money]\ntarget = "spent"\nprimary = true\n'
        '[outputs.visit]\ntarget = "grade"\n'
    )
    registry = em.open(network.parent / "registry")
    # The target as an argument is what a person names; the file says which output it belongs to.
    registry.adopt(network, data=visits(1200, 1), target="spent", time="t", name="visits", signature=file)
    return registry["visits"]


def test_each_answer_has_its_target_and_one_is_judged(adopted: Any) -> None:
    assert adopted.champion.card.signature.outputs == (
        NamedOutput("buy", "buys", "binary", 0, 1, "probability", ("no", "yes")),
        NamedOutput("money", "spent", "regression", 1, 2, "value", (), primary=True),
        NamedOutput("visit", "grade", "multiclass", 2, 5, "probability", ("0", "1", "2")),
    )
    assert adopted.champion.task == "regression" and adopted.champion.inputs == tuple(NAMES)
    shown = {row["what"]: row["value"] for row in em.show("visits", "v1", registry=adopted.location).rows}
    assert shown["output money"] == "regression, target spent, the one that is judged"
    assert shown["output visit"] == "multiclass of 0, 1, 2, target grade"


def test_the_columns_of_the_one_input_may_stand_in_the_signature_file(network: Path, tmp_path: Path) -> None:
    outputs = '[outputs.buy]\ntarget = "buys"\nprimary = true\n[outputs.money]\ntarget = "spent"\n[outputs.visit]\n'
    file = tmp_path / "signature.toml"
    file.write_text(f'[inputs.row]\ncolumns = {json.dumps(NAMES)}\n{outputs}target = "grade"\n')
    registry = em.open(tmp_path / "registry")
    rows = visits(1200, 1).select(*reversed(NAMES), "buys", "spent", "grade", "t")  # not in the model's order
    found = registry.adopt(network, data=rows, target="buys", time="t", name="visits", signature=file)
    assert found.champion.inputs == tuple(NAMES)
    with pytest.raises(BadSetting, match="name other columns, or another order"):
        registry.adopt(
            network, data=rows, target="buys", time="t", name="b", signature=file, inputs=list(reversed(NAMES))
        )
    file.write_text(f'[inputs.a]\ncolumns = ["{NAMES[0]}"]\n[inputs.b]\ncolumns = ["{NAMES[1]}"]\n')
    with pytest.raises(BadSetting, match="takes one flat row; the signature file names several inputs"):
        registry.adopt(network, data=rows, target="buys", time="t", name="b", signature=file)


def test_an_update_trains_all_answers_and_the_file_gives_them_in_plain_keras(adopted: Any, tmp_path: Path) -> None:
    result = adopted.update(visits(900, 2))
    assert result.decision == "promote", result.headline
    told = [reason for reason in result.reasons if "not judged" in reason]
    assert [reason.split("'")[1] for reason in told] == ["buys", "grade"]
    rows = visits(200, 3)
    found = adopted.predict(rows.select(NAMES))
    assert found.columns == [
        *("prediction", "prediction_buys", "p_buys_no", "p_buys_yes"),
        *("prediction_grade", "p_grade_0", "p_grade_1", "p_grade_2"),
    ]
    adopted.save(tmp_path / "updated.keras", proof=False)
    plain = keras.models.load_model(tmp_path / "updated.keras")
    answers = plain.predict(adopted.champion.prepare(rows.select(NAMES)), verbose=0)
    assert set(answers) == {"visit", "buy", "money"}
    np.testing.assert_allclose(answers["money"][:, 0], found["prediction"], atol=1e-5)
    np.testing.assert_allclose(answers["buy"][:, 0], found["p_buys_yes"], atol=1e-6)
    np.testing.assert_allclose(answers["visit"], found.select("^p_grade_.*$").to_numpy(), atol=1e-6)
    assert (found["prediction_buys"] == rows["buys"]).mean() > 0.8
    assert (found["prediction_grade"] == rows["grade"]).mean() > 0.7
    before = adopted.version("v1").load().get_weights()
    assert min(np.abs(a - b).max() for a, b in zip(plain.get_weights(), before, strict=True)) > 0


def test_a_delivery_without_one_of_the_targets_is_refused(adopted: Any) -> None:
    with pytest.raises(ContractBroken, match="'grade'"):
        adopted.update(visits(300, 4).drop("grade"))


@pytest.mark.parametrize(
    ("target", "error", "said"),
    [
        ("spent", BadModel, "gives 3 answers a row: buy .binary., money .regression., visit .multiclass."),
        ("buys,spent", BadSetting, "gives 3 answers a row .*; 2 targets are named"),
        ("buys,grade,spent", BadSetting, "answer 'visit' has 3 classes; its target 'spent' holds 400"),
    ],
)
def test_targets_that_do_not_fit_the_answers_are_refused(
    network: Path, tmp_path: Path, target: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        em.open(tmp_path).adopt(network, data=visits(400, 1), target=target, time="t", name="a")
    assert len(em.open(tmp_path).models) == 0


def test_classes_of_an_unknown_order_are_asked_for(network: Path, tmp_path: Path) -> None:
    rows = visits(400, 1).with_columns(pl.col("grade").replace_strict({0: "low", 1: "middle", 2: "high"}))
    with pytest.raises(Ambiguous, match="order of the classes of 'grade' is not known"):
        em.open(tmp_path).adopt(network, data=rows, target="buys,spent,grade", time="t", name="a")


def test_the_units_of_one_output_are_several_answers_where_several_targets_are_named(tmp_path: Path) -> None:
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    rows = visits(800, 5).with_columns((pl.col("a") * 2).alias("later"))
    model.fit(rows.select(NAMES).to_numpy(), rows.select("spent", "later").to_numpy(), epochs=40, verbose=0)
    forecast = em.open(tmp_path).adopt(
        model, data=rows.drop("buys", "grade"), target="spent,later", time="t", name="forecast"
    )
    new = visits(400, 6).with_columns((pl.col("a") * 2).alias("later"))
    assert forecast.update(new).decision == "promote"
    found = forecast.predict(new.select(NAMES))
    for column, answer in (("spent", "prediction"), ("later", "prediction_later")):
        error = float(((found[answer] - new[column]) ** 2).mean()) / float(new[column].var())
        assert error < 0.2, (column, error)


def test_one_hot_targets_of_a_model_of_one_answer_are_refused_with_what_to_do(tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("adam", "categorical_crossentropy")
    model.save(tmp_path / "m.keras")
    rows = visits(200, 5).with_columns(**{f"grade_{g}": (pl.col("grade") == g).cast(pl.Int64) for g in range(3)})
    rows = rows.drop("buys", "spent", "t", "grade")
    with pytest.raises(BadSetting, match="one answer a row") as refused:
        em.open(tmp_path / "r").adopt(tmp_path / "m.keras", data=rows, target="grade_0,grade_1,grade_2", name="m")
    assert "into one column" in refused.value.hint
    assert "`classes`" in refused.value.hint


def test_the_server_gives_every_answer(adopted: Any) -> None:
    store, version = open_store(adopted.location), adopted.version("v1")
    prepared = prepare_model("visits", "v1", load_version(store, version.card), store.version_folder("visits", "v1"))
    rows = visits(40, 7)
    columns = {name: rows[name].to_list() for name in NAMES}
    columns["b"][3] = "many"
    checked = prepared.checker.check_columns(columns, 40)
    predicted = prepared.predict(checked)
    answer = build_answer(prepared, checked, predicted, "id")
    kept = rows.filter(pl.int_range(40) != 3)
    plain = version.load().predict(version.prepare(kept.select(NAMES)), verbose=0)
    assert answer["outputs"]["buys"]["classes"] == ("no", "yes")
    assert answer["outputs"]["buys"]["predictions"][3] is None and answer["predictions"][3] is None
    shares = [p[1] for p in answer["outputs"]["buys"]["probabilities"] if p is not None]
    np.testing.assert_allclose(shares, plain["buy"][:, 0], atol=1e-6)
    grades = [grade for grade in answer["outputs"]["grade"]["predictions"] if grade is not None]
    assert grades == plain["visit"].argmax(axis=1).tolist()
    tensors = build_outputs(prepared, predicted)
    assert {name: (tensor["datatype"], tensor["shape"]) for name, tensor in tensors.items()} == {
        "prediction": ("FP64", [39]),
        "prediction_buys": ("BYTES", [39]),
        "probabilities_buys": ("FP64", [39, 2]),
        "prediction_grade": ("BYTES", [39]),
        "probabilities_grade": ("FP64", [39, 3]),
    }
    assert [output["name"] for output in describe_model(prepared)["outputs"]] == list(tensors)


def turn_grades(rows: pl.DataFrame) -> pl.DataFrame:
    """A delivery whose older grades are turned round, so that a network trained on them answers the newest worse."""
    old = pl.int_range(pl.len()) < 0.7 * pl.len()
    return rows.with_columns(grade=pl.when(old).then(2 - pl.col("grade")).otherwise("grade"))


@pytest.mark.parametrize("guard", [True, False])
def test_a_challenger_that_harms_another_answer_is_rejected_unless_it_is_not_guarded(
    network: Path, tmp_path: Path, guard: bool
) -> None:
    file = tmp_path / "signature.toml"
    file.write_text(
        '[outputs.buy]\ntarget = "buys"\n[outputs.money]\ntarget = "spent"\nprimary = true\n'
        f'[outputs.visit]\ntarget = "grade"\nguard = {str(guard).lower()}\n'
    )
    model = em.open(tmp_path / "registry").adopt(
        network, data=visits(1200, 1), target="spent", time="t", name="visits", signature=file
    )
    result = model.update(turn_grades(visits(1500, 8)), strategy="resume", policy="refresh", settings={"epochs": 8})
    harmed = [reason for reason in result.reasons if "'grade' is worse beyond doubt" in reason]
    assert (result.decision == "reject", bool(harmed)) == (guard, guard), result
    if not guard:
        assert result.decision == "promote"
        shown = {row["what"]: row["value"] for row in em.show("visits", "v1", registry=model.location).rows}
        assert shown["output visit"].endswith("not guarded")


def test_every_answer_is_measured_in_service_with_labels_that_come_now_or_later(adopted: Any) -> None:
    now, later = visits(600, 9), visits(1000, 10)
    targets = ["buys", "spent", "grade"]
    given = pl.concat([now, later.with_columns(pl.lit(None, later.schema[name]).alias(name) for name in targets)])
    watched = adopted.watch(given.with_columns(id=pl.int_range(1600)), window="1600rows")
    answers = adopted.predict(pl.concat([now, later]).select(NAMES))
    known = watched.status.windows[-1].answers
    right = (answers["prediction_buys"].head(600) == now["buys"]).mean()
    assert known["buys"]["accuracy"].value == pytest.approx(right) and known["buys"]["accuracy"].n == 600
    right = (answers["prediction_grade"].head(600) == now["grade"]).mean()
    assert known["grade"]["accuracy"].value == pytest.approx(right)
    labels = later.select(targets).with_columns(id=pl.int_range(600, 1600))
    joined = adopted.watch(labels=labels)
    known = joined.status.windows[-1].answers
    both = pl.concat([now, later])
    right = (answers["prediction_buys"] == both["buys"]).mean()
    assert known["buys"]["accuracy"].value == pytest.approx(right) and known["buys"]["accuracy"].n == 1600
    assert "grade accuracy" in str(joined)
    text = em.expose("visits", registry=adopted.location).text
    wanted = ("evermodel_answer_quality{", 'answer="buys"', 'metric="accuracy"')
    line = next(line for line in text.splitlines() if all(part in line for part in wanted))
    assert float(line.rsplit(" ", 1)[1]) == pytest.approx(right)

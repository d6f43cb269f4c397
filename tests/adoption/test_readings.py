"""What a deployed model expects is stated, in its file, proven or asked for: never guessed into service."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evermodel as em
from evermodel.core.errors import Ambiguous, BadData, BadModel, BadSetting, ContractBroken
from evermodel.core.records.adoption_record import Basis, Subject

lightgbm = pytest.importorskip("lightgbm", reason='needs pip install "evermodel[boost]"')
SETTINGS = {"verbose": -1, "num_threads": 1, "deterministic": True, "num_leaves": 15}
NAMES = ("a", "b", "c")


def numbers(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3))


def train(x: np.ndarray, y: np.ndarray, at: Path, rounds: int = 40, **settings: object) -> Path:
    lightgbm.train(SETTINGS | settings, lightgbm.Dataset(x, y, feature_name=list(NAMES)), rounds).save_model(at)
    return at


def frame(x: np.ndarray, y: object) -> pl.DataFrame:
    return pl.DataFrame({name: x[:, i] for i, name in enumerate(NAMES)} | {"y": y})


def levels(x: np.ndarray, seed: int, noise: float = 0.4) -> np.ndarray:
    z = 2 * x[:, 0] - x[:, 1] + noise * np.random.default_rng(seed).normal(size=len(x))
    return np.digitize(z, [-1.0, 1.0])


@pytest.fixture(scope="module")
def three_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    x = numbers(1500, 1)
    at = tmp_path_factory.mktemp("risk") / "risk.txt"
    return train(x, levels(x, 1), at, objective="multiclass", num_class=3)


@pytest.mark.parametrize(
    "words", [("low", "medium", "high"), ("high", "medium", "low"), ("klein", "groß", "riesig"), ("B", "a", "C")]
)
def test_the_order_of_words_is_the_model_s_own_and_not_the_alphabet_s(three_classes, words, tmp_path) -> None:
    x = numbers(900, 2)
    y = [words[code] for code in levels(x, 2)]
    model = em.open(tmp_path).adopt(three_classes, data=frame(x, y), target="y", name="risk")
    assert model.champion.classes == words
    answers = model.predict(frame(x, y).drop("y"))
    plain = lightgbm.Booster(model_file=str(three_classes)).predict(x)
    for code, word in enumerate(words):
        np.testing.assert_allclose(answers[f"p_{word}"].to_numpy(), plain[:, code], atol=1e-6)
    assert np.mean(answers["prediction"].to_numpy() == np.array(y)) > 0.8


def test_words_that_the_rows_do_not_prove_are_asked_for(tmp_path) -> None:
    random = np.random.default_rng(0)
    x = numbers(400, 3)
    weak = random.random(400) < 1 / (1 + np.exp(-0.6 * x[:, 0]))
    file = train(x, weak.astype(int), tmp_path / "weak.txt", rounds=3, objective="binary", learning_rate=0.02)
    new = numbers(60, 4)
    y = np.where(random.random(60) < 1 / (1 + np.exp(-2 * new[:, 0])), "churn", "stay")
    registry = em.open(tmp_path / "r")
    with pytest.raises(Ambiguous, match="`classes`"):
        registry.adopt(file, data=frame(new, y), target="y", name="m")
    assert list(registry) == []
    model = registry.adopt(file, data=frame(new, y), target="y", name="m", classes=("stay", "churn"))
    assert model.champion.classes == ("stay", "churn")


def test_numbers_that_the_model_contradicts_are_asked_about(tmp_path) -> None:
    x = numbers(900, 5)
    y = (x[:, 0] > 0).astype(int)
    file = train(x, y, tmp_path / "m.txt", objective="binary")
    with pytest.raises(Ambiguous, match="contradicts the order 0, 1"):
        em.open(tmp_path / "r").adopt(file, data=frame(x, 1 - y), target="y")


def test_classes_that_are_named_wrongly_are_refused(three_classes, tmp_path) -> None:
    x = numbers(900, 2)
    rows = frame(x, [("low", "medium", "high")[code] for code in levels(x, 2)])
    registry = em.open(tmp_path)
    for classes, words in [
        (("low", "high"), "gives 3 classes; `classes` names 2"),
        (("low", "high", "huge"), "medium, which `classes` does not name"),
        (("low", "low", "high"), "names a class twice"),
        (("high", "medium", "low"), "contradicts the order high, medium, low"),
    ]:
        with pytest.raises((BadSetting, Ambiguous), match=words):
            registry.adopt(three_classes, data=rows, target="y", classes=classes)
    assert list(registry) == []


TRANSFORMS = {
    "log1p": (np.log1p, np.expm1),
    "log": (np.log, np.exp),
    "log10": (np.log10, lambda z: 10.0**z),
    "sqrt": (np.sqrt, np.square),
}


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_prices_trained_under_a_transform_come_back_in_their_own_units(kind, tmp_path) -> None:
    forward, backward = TRANSFORMS[kind]
    x, new = numbers(1500, 1), numbers(500, 2)

    def price(x: np.ndarray, seed: int) -> np.ndarray:
        return np.exp(12 + 0.6 * x[:, 0] - 0.3 * x[:, 1] + 0.1 * np.random.default_rng(seed).normal(size=len(x)))

    file = train(x, forward(price(x, 1)), tmp_path / "price.txt", rounds=80, objective="regression")
    true = backward(lightgbm.Booster(model_file=str(file)).predict(new))
    registry = em.open(tmp_path / "r")
    model = registry.adopt(file, data=frame(x, price(x, 1)), target="y", name="found")
    answers = model.predict(frame(new, price(new, 2)).drop("y"))["prediction"].to_numpy()
    assert np.abs(answers / true - 1).max() < 1e-4
    stated = registry.adopt(file, data=frame(x, price(x, 1)), target="y", name="stated", target_transform=kind)
    assert np.allclose(stated.predict(frame(new, price(new, 2)))["prediction"].to_numpy(), true, rtol=1e-9)
    assert stated.adoption.inferences[1].basis is Basis.GIVEN


def test_an_update_of_a_model_of_logarithms_learns_logarithms(tmp_path) -> None:
    x = numbers(2400, 1)
    y = np.exp(12 + 0.6 * x[:, 0] + 0.1 * np.random.default_rng(1).normal(size=2400))
    file = train(x[:1200], np.log1p(y[:1200]), tmp_path / "m.txt", objective="regression")
    model = em.open(tmp_path / "r").adopt(file, data=frame(x[:1200], y[:1200]), target="y", name="m")
    model.update(frame(x[1200:], y[1200:]), strategy="refit")
    new = numbers(300, 9)
    answers = model.version("v2").predict(frame(new, np.zeros(300)).drop("y"))["prediction"].to_numpy()
    assert np.median(np.abs(answers / np.exp(12 + 0.6 * new[:, 0]) - 1)) < 0.1


@pytest.fixture
def scaled(tmp_path) -> tuple[Path, pl.DataFrame, np.ndarray]:
    """A model of a standardised target, its rows, and what the deployed system answered for them."""
    x = numbers(1200, 1)
    y = 5000 + 800 * x[:, 0] - 300 * x[:, 1] + 50 * np.random.default_rng(1).normal(size=1200)
    mean, spread = float(y.mean()), float(y.std())
    file = train(x, (y - mean) / spread, tmp_path / "scaled.txt", objective="regression")
    return file, frame(x, y), mean + spread * lightgbm.Booster(model_file=str(file)).predict(x)


def test_a_correction_by_a_line_is_asked_for_and_not_guessed(scaled, tmp_path) -> None:
    file, rows, _ = scaled
    with pytest.raises(Ambiguous, match="`target_transform`"):
        em.open(tmp_path / "r").adopt(file, data=rows, target="y")


def test_a_scaled_target_is_taken_as_stated(scaled, tmp_path) -> None:
    file, rows, deployed = scaled
    said = f"scale:{rows['y'].mean()}:{rows['y'].std(ddof=0)}"
    model = em.open(tmp_path / "r").adopt(file, data=rows, target="y", target_transform=said)
    assert np.abs(model.predict(rows)["prediction"].to_numpy() - deployed).max() < 1e-6


def test_the_deployed_model_s_answers_prove_what_was_done_to_the_target(scaled, tmp_path) -> None:
    file, rows, deployed = scaled
    pl.DataFrame({"prediction": deployed}).write_csv(tmp_path / "answers.csv")
    given = {
        "array": (rows, deployed),
        "file": (rows, tmp_path / "answers.csv"),
        "column": (rows.with_columns(was=deployed), "was"),
    }
    for name, (data, predictions) in given.items():
        model = em.open(tmp_path / "r").adopt(file, data=data, target="y", name=name, predictions=predictions)
        parity = model.adoption.parity
        assert parity.rows == 1200 and parity.largest < 1e-6
        assert model.champion.inputs == NAMES, "the answers are no input"
        assert np.abs(model.predict(rows)["prediction"].to_numpy() - deployed).max() < 1e-6


def test_answers_of_another_model_are_refused(scaled, three_classes, tmp_path) -> None:
    file, rows, deployed = scaled
    registry = em.open(tmp_path / "r")
    with pytest.raises(BadModel, match="No reading of the model gives the answers"):
        registry.adopt(file, data=rows, target="y", predictions=np.random.default_rng(0).permutation(deployed))
    with pytest.raises(BadData, match="Got 100 predictions for 1,200"):
        registry.adopt(file, data=rows, target="y", predictions=deployed[:100])
    assert list(registry) == []


def test_answers_that_are_only_near_are_not_called_proof(three_classes, tmp_path) -> None:
    x = numbers(900, 7)
    words = np.array(["low", "medium", "high"])
    p = lightgbm.Booster(model_file=str(three_classes)).predict(x)
    rows = frame(x, words[levels(x, 7)])
    registry = em.open(tmp_path / "r")

    def answers(noise: float) -> pl.DataFrame:
        other = p + noise * np.random.default_rng(0).normal(size=p.shape)
        return pl.DataFrame({f"p_{w}": other[:, i] for i, w in enumerate(words)})

    with pytest.raises(BadModel, match="another version of its framework"):  # trees take no scaler: nothing is guessed
        registry.adopt(three_classes, data=rows, target="y", predictions=answers(0.004))
    model = registry.adopt(three_classes, data=rows, target="y", name="halves", predictions=answers(0.0004))
    assert not model.adoption.parity.same
    shown = str(em.show("halves", "v1", registry=tmp_path / "r"))
    assert "near the deployed model's answers and not equal" in shown and "proven" not in shown


def test_a_scaler_learnt_from_other_rows_is_told(tmp_path) -> None:
    keras = pytest.importorskip("keras")
    x = numbers(4000, 3)
    y = (x[:, 0] + x[:, 1] + np.random.default_rng(3).normal(size=4000) > 0).astype(int)
    center, scale = x.mean(axis=0), x.std(axis=0)
    network = keras.Sequential([keras.Input((len(NAMES),)), keras.layers.Dense(1, "sigmoid")])
    network.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
    network.fit((x - center) / scale, y, epochs=20, batch_size=200, verbose=0)
    network.save(tmp_path / "m.keras")
    shifted = 10 + 3 * x[:2500]  # columns that plainly need a scaler
    deployed = network.predict((shifted - (10 + 3 * center)) / (3 * scale), verbose=0)[:, 0]
    rows = frame(shifted, y[:2500])
    model = em.open(tmp_path / "r").adopt(tmp_path / "m.keras", data=rows, target="y", predictions=deployed)
    parity = model.adoption.parity
    assert parity.estimated and not parity.same and 0 < parity.mean < 0.01
    shown = str(em.show("m", "v1", registry=tmp_path / "r"))
    assert "give the fitted scaler as `transform`" in shown and "nearest to the deployed model's answers" in shown


def test_deployed_labels_and_probabilities_prove_the_order_of_classes(three_classes, tmp_path) -> None:
    x = numbers(300, 7)
    words = np.array(["low", "medium", "high"])
    p = lightgbm.Booster(model_file=str(three_classes)).predict(x)
    rows = frame(x, words[levels(x, 7)])
    for name, answers in {
        "labels": words[p.argmax(axis=1)],
        "probabilities": pl.DataFrame({f"p_{w}": p[:, i].round(4) for i, w in enumerate(words)}),
    }.items():
        model = em.open(tmp_path).adopt(three_classes, data=rows, target="y", name=name, predictions=answers)
        assert model.champion.classes == tuple(words)
        assert model.adoption.parity.different_labels == 0


def test_what_was_inferred_is_kept_and_shown(three_classes, tmp_path) -> None:
    x = numbers(900, 2)
    rows = frame(x, [("low", "medium", "high")[code] for code in levels(x, 2)])
    model = em.open(tmp_path).adopt(three_classes, data=rows, target="y", name="risk")
    classes = next(i for i in model.adoption.inferences if i.subject is Subject.CLASSES)
    assert (classes.basis, classes.choice, classes.rows) == (Basis.PROVEN, "low, medium, high", 900)
    assert classes.lead > 7
    shown = str(em.show("risk", "v1", registry=tmp_path))
    assert "low, medium, high (shown by the reference rows; next:" in shown


def test_texts_and_parts_of_windows_are_refused_in_words_where_a_model_takes_numbers(tmp_path) -> None:
    keras = pytest.importorskip("keras")
    random = np.random.default_rng(0)
    said = [" ".join(random.choice(["please", "help", "my", "card", "is", "lost"], 6)) for _ in range(300)]
    rows = pl.DataFrame({"said": [f"{text} {i}" for i, text in enumerate(said)], "y": random.integers(0, 2, 300)})
    one = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, "sigmoid")])
    with pytest.raises(ContractBroken, match="'said' holds texts, and the model takes numbers"):
        em.open(tmp_path / "r").adopt(one, data=rows, target="y", name="m")
    windows = keras.Sequential([keras.layers.Input((3, 4)), keras.layers.LSTM(2), keras.layers.Dense(1)])
    wide = pl.DataFrame({f"c{i}": random.normal(size=300) for i in range(12)} | {"y": random.normal(size=300)})
    with pytest.raises(ContractBroken, match="takes 12 numbers a row; 11 columns") as error:
        em.open(tmp_path / "r").adopt(windows, data=wide.drop("c11"), target="y", name="m")
    assert "windows of 3 steps" in error.value.hint
    layers = keras.layers
    flat = keras.Sequential([layers.Input((12,)), layers.Reshape((3, 4)), layers.Flatten(), layers.Dense(1)])
    flat.set_weights([np.eye(12)[:, :1], np.zeros(1)])  # answers its first column
    assert em.open(tmp_path / "r").adopt(flat, data=wide.with_columns(y=pl.col("c0")), target="y", name="flat")


def test_fewer_classes_in_new_rows_are_no_leak(tmp_path) -> None:
    random = np.random.default_rng(3)

    def draw(n: int, classes: list[int]) -> pl.DataFrame:
        y = random.choice(classes, n)
        return pl.DataFrame({"a": y + 0.3 * random.normal(size=n), "b": random.normal(size=n), "y": y})

    old = draw(1500, [1, 2, 3, 4, 5])
    settings = SETTINGS | {"objective": "multiclass", "num_class": 5}
    rows = lightgbm.Dataset(old.select("a", "b").to_numpy(), old["y"].to_numpy() - 1, feature_name=["a", "b"])
    lightgbm.train(settings, rows, 30).save_model(tmp_path / "m.txt")
    model = em.open(tmp_path / "r").adopt(tmp_path / "m.txt", data=old, target="y", name="m")
    result = model.update(draw(800, [1, 5]), strategy="refit")
    assert not any("suspect" in reason for reason in result.reasons), str(result)


def test_columns_that_were_standard_already_are_not_scaled_again(tmp_path) -> None:
    keras = pytest.importorskip("keras")
    x = 0.95 * numbers(800, 3)
    network = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1, "sigmoid")])
    network.set_weights([np.array([[1.5], [-0.8], [0.3]]), np.zeros(1)])
    surer = 1 / (1 + np.exp(-1.05 * (x @ [1.5, -0.8, 0.3])))  # scaled again, the network would fit these rows better
    y = (np.random.default_rng(4).random(800) < surer).astype(int)
    model = em.open(tmp_path).adopt(network, data=frame(x, y), target="y", name="m")
    answers = model.predict(frame(x, y).drop("y"))["p_1"].to_numpy()
    np.testing.assert_allclose(answers, network.predict(x, verbose=0)[:, 0], atol=1e-5)
    assert "no scaling" in model.adoption.inferences[0].choice


def _scale_upstream(kind: str, raw: np.ndarray, like: np.ndarray) -> np.ndarray:
    if kind == "by rows of another month":
        return (raw - like.mean(axis=0) - 2.0) / (1.08 * like.std(axis=0))
    scaled = (raw - like.mean(axis=0)) / like.std(axis=0, ddof=1)
    return np.column_stack([scaled, np.zeros(len(raw))]) if kind == "and a constant column" else scaled


@pytest.mark.parametrize("answer", ["sigmoid", "linear"])
@pytest.mark.parametrize("kind", ["by the same rows", "and a constant column", "by rows of another month"])
def test_a_careful_network_of_columns_scaled_upstream_answers_as_it_does_alone(kind, answer, tmp_path) -> None:
    keras = pytest.importorskip("keras")
    raw, later = 40 + 15 * numbers(1500, 11), 55 + 30 * numbers(300, 12)
    x, new = (_scale_upstream(kind, part, raw) for part in (raw, later))
    slopes = np.array([2.0, -1.0, 0.5, 0.0])[: x.shape[1], None]
    network = keras.Sequential([keras.layers.Input((x.shape[1],)), keras.layers.Dense(1, answer)])
    network.set_weights([slopes, np.zeros(1)])
    random, truth = np.random.default_rng(13), 1.4 * (x @ slopes)[:, 0]  # scaled again, it fits the rows better
    chance = random.random(1500)
    y = truth + chance if answer == "linear" else (chance < 1 / (1 + np.exp(-truth))).astype(int)
    columns = [f"x{i}" for i in range(x.shape[1])]
    rows = pl.DataFrame(x, schema=columns).with_columns(y=pl.Series(y))
    model = em.open(tmp_path).adopt(network, data=rows, target="y", name="m")
    answers = model.predict(pl.DataFrame(new, schema=columns)).to_numpy()[:, -1]
    np.testing.assert_allclose(answers.astype(float), network.predict(new, verbose=0)[:, 0], atol=1e-5)


@pytest.mark.parametrize("scaling", ["standard", "minmax_symmetric", "minmax"])
def test_scaled_columns_that_seem_to_need_scaling_are_asked_about(scaling, tmp_path) -> None:
    keras = pytest.importorskip("keras")
    x, new = numbers(900, 21), numbers(100, 22)
    x = (x - x.mean(axis=0)) / x.std(axis=0) * 0.81 + np.array([-0.2, 0.2, -0.2])
    low, high = x.min(axis=0), x.max(axis=0)
    center, scale = {
        "standard": (x.mean(axis=0), x.std(axis=0)),
        "minmax_symmetric": ((low + high) / 2, (high - low) / 2),
        "minmax": (low, high - low),
    }[scaling]
    slopes = np.array([[6.0], [-4.0], [3.0]]) * np.mean(scale)
    network = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1, "sigmoid")])
    network.set_weights([slopes, -slopes.sum(axis=0) / 2 if scaling == "minmax" else np.zeros(1)])
    fitting = network.predict((x - center) / scale, verbose=0)[:, 0]
    y = (np.random.default_rng(23).random(900) < fitting).astype(int)
    registry = em.open(tmp_path)
    with pytest.raises(Ambiguous, match="as if they were scaled before") as asked:
        registry.adopt(network, data=frame(x, y), target="y", name="m")
    assert "none as `transform`" in asked.value.hint and list(registry) == []
    model = registry.adopt(network, data=frame(x, y), target="y", name="m", transform="none")
    answers = model.predict(frame(new, np.zeros(100)).drop("y"))["p_1"].to_numpy()
    np.testing.assert_allclose(answers, network.predict(new, verbose=0)[:, 0], atol=1e-5)
    assert model.adoption.inferences[0].basis is Basis.GIVEN


def test_a_model_that_waits_keeps_that_its_columns_go_in_as_they_are(tmp_path) -> None:
    keras = pytest.importorskip("keras")
    x = 40 + 15 * numbers(1200, 31)
    network = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1, "sigmoid")])
    network.set_weights([np.array([[0.1], [-0.05], [0.02]]), np.array([-2.8])])
    y = (np.random.default_rng(32).random(1200) < network.predict(x, verbose=0)[:, 0]).astype(int)
    registry = em.open(tmp_path)
    registry.adopt(network, target="y", name="m", transform="none")
    model = registry["m"]
    model.update(frame(x, y))
    assert "no scaling, numbers (as you said" in str(em.show("m", "v2", registry=tmp_path))

"""How a bare network is fed: taken where its rows show it, asked about elsewhere, and never wrong without a word."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
from sklearn.preprocessing import MaxAbsScaler, PowerTransformer

import evermodel as em
from evermodel.core.errors import Ambiguous, EvermodelError
from evermodel.core.model.transform import Feature, Transform, scaling_numbers
from evermodel.registry.adoption.readings.power_feeding import apply_powers
from evermodel.registry.adoption.readings.reading import Reading
from evermodel.registry.adoption.readings.unused_signal import measure_unused_signal

torch = pytest.importorskip("torch")
NAMES = ["amount", "income", "age", "balance"]


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two skewed columns and two even ones, and the score that they make."""
    z = np.random.default_rng(seed).normal(size=(n, 4))
    x = np.c_[np.exp(4 + z[:, 0]), np.exp(9 + 0.8 * z[:, 1]), 45 + 15 * z[:, 2], 500 * z[:, 3]]
    return x, 1.2 * z[:, 0] - 0.9 * z[:, 1] + 0.8 * np.maximum(z[:, 2], 0) + 0.5 * z[:, 3]


FEEDINGS = {
    "none": lambda x: (np.zeros(4), np.ones(4)),
    "standard": lambda x: (x.mean(axis=0), x.std(axis=0)),
    "minmax": lambda x: (x.min(axis=0), x.max(axis=0) - x.min(axis=0)),
    "robust": lambda x: (np.median(x, axis=0), np.subtract(*np.quantile(x, (0.75, 0.25), axis=0))),
    "maxabs": lambda x: (np.zeros(4), np.abs(x).max(axis=0)),
}


def train(fed: str, epochs: int, seed: int = 0, task: str = "binary", *, logarithm: bool = False, first=draw):
    """The bare network, its rows, and new rows with what the deployed system answers."""
    random = np.random.default_rng(seed)
    (x, score), (new, _) = first(1000, seed + 1), first(500, seed + 2)
    y = (score + 0.6 * random.logistic(size=1000) > 0.2).astype(int) if task == "binary" else score
    y = y if task == "binary" else y + 0.4 * random.normal(size=1000)

    def change(v: np.ndarray) -> np.ndarray:
        return np.c_[np.log1p(v[:, :2]), v[:, 2:]] if logarithm else v

    center, scale = FEEDINGS[fed](change(x))
    torch.manual_seed(seed)
    nn = torch.nn
    network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    loss = nn.BCEWithLogitsLoss() if task == "binary" else nn.MSELoss()
    inputs, truth = torch.tensor((change(x) - center) / scale).float(), torch.tensor(y).float()[:, None]
    optimizer = torch.optim.Adam(network.parameters(), 0.003)
    for _ in range(epochs):
        for rows in torch.randperm(1000).split(32):
            optimizer.zero_grad()
            loss(network(inputs[rows]), truth[rows]).backward()
            optimizer.step()

    def answer(v: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            raw = network(torch.tensor((change(v) - center) / scale).float()).numpy()[:, 0].astype(float)
        return 1 / (1 + np.exp(-raw)) if task == "binary" else raw

    reference = pl.DataFrame(x, schema=NAMES).with_columns(y=pl.Series(y))
    return network.eval(), reference, pl.DataFrame(new, schema=NAMES), answer(x), answer(new)


def differ(model, new: pl.DataFrame, expected: np.ndarray) -> float:
    found = model.predict(new)
    return float(np.abs(found["p_1" if "p_1" in found.columns else "prediction"].to_numpy() - expected).mean())


def draw_unit(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    z = np.random.default_rng(seed).normal(size=(n, 4))
    return z, 1.2 * z[:, 0] - 0.9 * z[:, 1] + 0.8 * np.maximum(z[:, 2], 0) + 0.5 * z[:, 3]


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize(("fed", "first"), [("standard", draw), ("none", draw_unit)])
def test_a_network_that_was_trained_to_the_end_is_taken_without_a_question(fed, first, task, tmp_path) -> None:
    network, reference, new, _, expected = train(fed, 60, task=task, first=first)
    model = em.open(tmp_path).adopt(network, data=reference, target="y", name="m")
    assert differ(model, new, expected) < 1e-5


@pytest.mark.parametrize("fed", ["standard", "minmax", "robust", "maxabs"])
def test_a_hardly_trained_network_is_asked_about_and_taken_as_stated(fed, tmp_path) -> None:
    network, reference, new, own, expected = train(fed, 2)
    registry = em.open(tmp_path)
    with pytest.raises(EvermodelError) as asked:
        registry.adopt(network, data=reference, target="y", name="m")
    assert "`predictions`" in asked.value.hint and "`transform`" in asked.value.hint
    assert list(registry) == []
    stated = registry.adopt(network, data=reference, target="y", name="stated", transform=fed)
    assert differ(stated, new, expected) < 1e-5
    proven = registry.adopt(network, data=reference, target="y", name="proven", predictions=own)
    assert differ(proven, new, expected) < 1e-5


def test_the_question_names_what_confirms_the_best_reading(tmp_path) -> None:
    network, reference, new, _, expected = train("standard", 3, task="binary", first=lambda n, s: even(n, s))
    registry = em.open(tmp_path)
    with pytest.raises(Ambiguous, match="do not show how the columns are fed to the network") as asked:
        registry.adopt(network, data=reference, target="y", name="m")
    assert "say standard as `transform`" in asked.value.hint
    assert differ(registry.adopt(network, data=reference, target="y", transform="standard"), new, expected) < 1e-5


def even(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    z, score = draw_unit(n, seed)
    return z * [1500, 0.4, 12, 25] + [5000, 3, 40, -20], score


@pytest.mark.parametrize("epochs", [2, 8, 40])
@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize(("fed", "logarithm"), [("standard", True), *((kind, False) for kind in FEEDINGS)])
def test_no_network_is_taken_wrongly_without_a_word(fed, logarithm, task, epochs, tmp_path) -> None:
    network, reference, new, _, expected = train(fed, epochs, 10, task, logarithm=logarithm)
    try:
        model = em.open(tmp_path).adopt(network, data=reference, target="y", name="m")
    except EvermodelError as asked:
        assert asked.hint
        return
    assert differ(model, new, expected) <= 0.02


def make_reading(answers: np.ndarray, y: np.ndarray) -> Reading:
    from evermodel.core.model.output import Output

    class Kept:
        output = Output("value")

        def scale_target(self, values: np.ndarray) -> np.ndarray:
            return values

    return Reading(Kept(), "numbers", answers, y, 0.5)  # type: ignore[arg-type]


def test_unused_signal_is_what_the_inputs_say_and_the_answers_do_not() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(4000, 3))
    y = x @ [1.0, 2.0, 0.0] + random.normal(size=4000)
    full, half = x @ [1.0, 2.0, 0.0], x @ [1.0, 0.0, 0.0]
    assert measure_unused_signal(make_reading(full, y), full, x) == pytest.approx(0.0, abs=0.005)
    assert measure_unused_signal(make_reading(half, y), half, x) == pytest.approx(4 / 6, abs=0.02)
    p = 1 / (1 + np.exp(-2 * x[:, 0]))
    labels = (random.uniform(size=4000) < p).astype(int)
    told, untold = np.c_[1 - p, p], np.full((4000, 2), 0.5)
    assert measure_unused_signal(make_reading(told, labels), told, x) == pytest.approx(0.0, abs=0.005)
    surprise = 1 + float(np.mean(np.log(np.where(labels == 1, p, 1 - p)))) / np.log(2)
    assert measure_unused_signal(make_reading(untold, labels), untold, x) == pytest.approx(surprise, abs=0.02)


def test_powers_and_largest_values_are_those_of_scikit_learn() -> None:
    x, _ = draw(400, 3)
    frame = pl.DataFrame(x, schema=NAMES)
    transform = Transform(tuple(Feature(name) for name in NAMES), dtype="float64")
    np.testing.assert_allclose(apply_powers(transform, frame), PowerTransformer().fit_transform(x), atol=1e-4)
    numbers = [scaling_numbers("maxabs", x[:, i]) for i in range(4)]
    np.testing.assert_allclose([s for _, s in numbers], MaxAbsScaler().fit(x).scale_, rtol=1e-12)
    flags = dataclasses.replace(transform, features=(Feature("city", "onehot", categories=("a", "b")),))
    assert apply_powers(flags, pl.DataFrame({"city": ["a", "b"]})) is None

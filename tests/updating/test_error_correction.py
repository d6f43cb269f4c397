"""The error of the model before corrects the next one, inside of its file; and it is measured without corrections."""

from __future__ import annotations

import numpy as np
import polars as pl

import evermodel
from evermodel.core.model.output import Output
from evermodel.core.records.update_record import OutputCorrection
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version
from evermodel.updating.error_correction import undo_correction


def test_a_correction_is_undone():
    values = np.array([1.0, 5.0])
    np.testing.assert_allclose(undo_correction(1.5 * values + 2.0, OutputCorrection(1.5, 2.0)), values)
    p = np.array([0.2, 0.9])
    odds = np.log(p / (1 - p)) + 0.7
    moved = 1 / (1 + np.exp(-odds))
    both = undo_correction(np.column_stack([1 - moved, moved]), OutputCorrection(1.0, 0.7))
    np.testing.assert_allclose(both[:, 1], p)
    assert undo_correction(values, None) is values


def test_a_level_that_keeps_rising_is_in_the_leaves_of_the_file(tmp_path):
    import lightgbm

    def rows(n: int, seed: int, level: float) -> pl.DataFrame:
        random = np.random.default_rng(seed)
        a, b = random.normal(size=(2, n))
        return pl.DataFrame({"a": a, "b": b, "y": level * (1.0 + 0.3 * a) + random.normal(size=n)})

    first = rows(800, 1, 10.0)
    data = lightgbm.Dataset(first.select("a", "b").to_numpy(), first["y"].to_numpy())
    file = tmp_path / "m.txt"
    lightgbm.train({"objective": "regression", "verbose": -1, "num_leaves": 7}, data, 40).save_model(file)
    registry = tmp_path / "registry"
    evermodel.adopt(file, data=first, target="y", name="m", registry=registry)
    done = [evermodel.update("m", rows(800, 2 + t, 12.0 + 2.0 * t), registry=registry) for t in range(3)]
    assert done[2].decision == "promote"
    store = open_store(registry)
    card = store.read_card("m", done[2].challenger)
    served = load_version(store, card)
    assert card.update.correction is not None and card.update.correction.offset != 0.0
    assert served.output == Output("value"), "nothing is corrected outside of the file"
    assert evermodel.reproduce("m", done[2].challenger, registry=registry).difference == 0.0

"""A model whose rows have no order (--shuffled): files sorted by class are mixtures, and what moved is still found."""

from __future__ import annotations

import evermodel
from tests.updating.conftest import rows


def mixed(n: int, seed: int, **moved: float):
    """Rows sorted by their class, as people keep them."""
    return rows(n, seed, **moved).drop("when").sort("y")


def test_sorted_files_are_no_drift_and_hide_none(tmp_path):
    import lightgbm

    frame = mixed(2000, 1)
    codes = frame["kind"].replace_strict({"blue": 0, "green": 1, "red": 2})
    x = frame.select("a", "b").with_columns(codes).to_numpy()
    settings = {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1}
    lightgbm.train(settings, lightgbm.Dataset(x, frame["y"].to_numpy()), 30).save_model(tmp_path / "m.txt")
    registry = tmp_path / "registry"
    evermodel.adopt(tmp_path / "m.txt", data=mixed(2000, 2), target="y", name="m", shuffled=True, registry=registry)
    clean = evermodel.watch("m", mixed(2000, 3), window="250rows", registry=registry)
    assert [str(a) for a in clean.status.alarms] == [], "each window held one class"
    found = evermodel.watch("m", mixed(2000, 4, angle=1.2), window="250rows", registry=registry)
    assert {a.kind for a in found.status.alarms if not a.closed} >= {"quality"}

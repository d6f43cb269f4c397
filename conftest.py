"""What the examples in docstrings stand on: a folder of their own with a registry, rows and a deployed model."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path

import pytest

from tests.updating.conftest import rows


@pytest.fixture(scope="session")
def documented_folder(tmp_path_factory) -> Path:
    """``models`` (a registry with "churn"), ``existing_model.txt``, ``reference.csv``, ``april.csv``, ``may.csv``."""
    lightgbm = pytest.importorskip("lightgbm")
    import evermodel

    folder: Path = tmp_path_factory.mktemp("documented")
    frame = rows(600, 1)
    codes = frame["kind"].replace_strict({"blue": 0, "green": 1, "red": 2})
    x = frame.select("a", "b").with_columns(codes).to_numpy()
    settings = {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1, "deterministic": True}
    lightgbm.train(settings, lightgbm.Dataset(x, frame["y"].to_numpy()), 10).save_model(folder / "existing_model.txt")
    blocks = {"reference": rows(600, 2), "april": rows(800, 3, angle=1.2), "may": rows(800, 4, angle=1.2)}
    for name, block in blocks.items():
        block.drop("when").rename({"y": "churned"}).write_csv(folder / f"{name}.csv")
    evermodel.adopt(
        folder / "existing_model.txt",
        data=folder / "reference.csv",
        target="churned",
        name="churn",
        registry=folder / "models",
    )
    gc.collect()  # closes the database, so that its journal is not removed while a test copies the folder
    return folder


@pytest.fixture(autouse=True)
def _in_documented_folder(request) -> None:
    """Each example of the Python API runs in its own copy of the documented folder."""
    if not isinstance(request.node, pytest.DoctestItem) or "evermodel" not in request.node.name:
        return
    folder = request.getfixturevalue("tmp_path") / "documented"
    shutil.copytree(request.getfixturevalue("documented_folder"), folder)
    request.getfixturevalue("monkeypatch").chdir(folder)

"""A class whose rows are answered wrongly is named, though it is a small part of all rows; quiet streams stay quiet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evermodel

CLASSES = ("car", "lorry", "bus", "tram", "bicycle")
SHARES = (0.5, 0.3, 0.1, 0.06, 0.04)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    linear = pytest.importorskip("sklearn.linear_model")
    frame = observed(800, 0)
    model = linear.LogisticRegression().fit(frame.select("a", "b").to_numpy(), frame["kind"].to_numpy())
    at = tmp_path_factory.mktemp("registry")
    evermodel.adopt(model, data=frame, target="kind", inputs=["a", "b"], name="roads", registry=at)
    return at


def observed(n: int, seed: int, wrong: float = 0.08, of: str = "", wrong_of: float = 0.0) -> pl.DataFrame:
    """Rows with what a model answered: wrong in a share of them, in another share of one class."""
    random = np.random.default_rng(seed)
    kind = random.choice(CLASSES, n, p=SHARES)
    x = np.array([CLASSES.index(k) for k in kind])[:, None] + random.normal(size=(n, 2))
    errs = random.uniform(size=n) < np.where(kind == of, wrong_of, wrong)
    answered = np.where(errs, np.where(kind == "car", "lorry", "car"), kind)
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "kind": kind, "prediction": answered})


def open_subjects(registry: Path) -> dict[str, str]:
    alarms = evermodel.open(str(registry))["roads"].alarms
    return {a.subject: str(a.cause) for a in alarms if not a.closed and str(a.kind) == "quality"}


def copy(registry: Path, to: Path) -> Path:
    import shutil

    return Path(shutil.copytree(registry, to))


def test_a_small_class_that_is_answered_wrongly_is_named(registry: Path, tmp_path: Path) -> None:
    at = copy(registry, tmp_path / "registry")
    evermodel.watch("roads", observed(3_000, 1), window="250rows", registry=at)
    assert open_subjects(at) == {}
    found = evermodel.watch("roads", observed(2_000, 2, of="bicycle", wrong_of=0.7), window="250rows", registry=at)
    assert open_subjects(at) == {"recall of bicycle": "class_errors_rose"}
    assert "of the newest labelled rows of the class bicycle, from" in str(found)


def test_labels_that_come_later_are_counted_by_class(registry: Path, tmp_path: Path) -> None:
    at = copy(registry, tmp_path / "registry")
    evermodel.watch("roads", observed(3_000, 1), window="250rows", registry=at)
    rows = observed(2_000, 2, of="bicycle", wrong_of=0.7).with_row_index("id")
    evermodel.watch("roads", rows.drop("kind"), window="250rows", registry=at)
    assert open_subjects(at) == {}
    evermodel.watch("roads", labels=rows.select("id", "kind"), registry=at)
    assert open_subjects(at) == {"recall of bicycle": "class_errors_rose"}


@pytest.mark.parametrize("seed", range(3))
def test_a_quiet_stream_stays_quiet(registry: Path, tmp_path: Path, seed: int) -> None:
    at = copy(registry, tmp_path / "registry")
    for delivery in range(4):
        evermodel.watch("roads", observed(2_000, 10 * seed + delivery), window="250rows", registry=at)
    assert open_subjects(at) == {}

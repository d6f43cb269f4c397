"""Versions are published whole: the real reader of each system loads what it is given; a broken publisher is caught."""

from __future__ import annotations

import itertools
import shutil
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import BadModel, BadSetting, NotDelivered
from evermodel.core.publication import PUBLISHERS, Publication
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version
from evermodel.testing.check_runner import run_checks
from evermodel.testing.publishers import CHECKS, Trial, check_publisher
from tests.cli.ground import ask
from tests.updating.conftest import rows

ROW = rows(50, 77)


def publications(registry: Path, folder: Path, name: str = "m") -> tuple[Publication, Publication]:
    store, made = open_store(registry), []
    for version in ("v1", "v2"):
        files = folder / version
        evermodel.save(name, to=files, version=version, proof=False, registry=registry)
        card = store.read_card(name, version)
        model = load_version(store, card)
        made.append(Publication(name, version, files, store.version_folder(name, version), card.framework, model))
    return made[0], made[1]


def places(folder: Path):
    numbers = itertools.count()
    return lambda: folder / f"place{next(numbers)}"


def name_version(answers: np.ndarray, both: dict[str, np.ndarray]) -> str:
    return next((v for v, known in both.items() if np.allclose(answers, known, atol=1e-5)), "another")


@pytest.fixture
def boosters(two_versions, tmp_path):
    """Two versions of a LightGBM model, and what they answer."""
    both = publications(two_versions, tmp_path / "files")
    known = {v: evermodel.predict("m", ROW, version=v, registry=two_versions)["p_1"].to_numpy() for v in ("v1", "v2")}
    return both, known


def read_folder(known: dict[str, np.ndarray]):
    """A server of the user's own: LightGBM alone, from ``current``."""
    import lightgbm

    codes = ROW["kind"].replace_strict({"blue": 0, "green": 1, "red": 2}).to_numpy()
    x = np.column_stack([ROW["a"].to_numpy(), ROW["b"].to_numpy(), codes])

    def read(to: str) -> str:
        booster = lightgbm.Booster(model_file=Path(to) / "m" / "current" / "model.txt")
        return name_version(booster.predict(x), known)

    return read


def test_folder_keeps_its_promises(boosters, tmp_path):
    both, known = boosters
    assert check_publisher("folder", both, read_folder(known), places(tmp_path)) == len(CHECKS)


def test_mlflow_keeps_its_promises(boosters, tmp_path):
    pytest.importorskip("mlflow")
    both, known = boosters
    frame = ROW.drop("y", "when").to_pandas()

    def read(to: str) -> str:
        import mlflow

        mlflow.set_tracking_uri(to)
        mlflow.set_registry_uri(to)
        loaded = mlflow.pyfunc.load_model("models:/m@champion")
        return name_version(loaded.predict(frame)["p_1"].to_numpy(), known)

    new_place = places(tmp_path)

    def new_uri() -> str:
        place = new_place()
        place.mkdir()
        return f"sqlite:///{place}/mlflow.db"

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)  # MLflow's default place for artifacts is the working directory
        assert check_publisher("mlflow", both, read, new_uri) == len(CHECKS)


def test_tensorflow_serving_keeps_its_promises(tmp_path):
    tensorflow = pytest.importorskip("tensorflow")
    import keras

    frame = rows(800, 3).drop("kind", "when")
    x = frame.select("a", "b").to_numpy()
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(1, "sigmoid")])
    network.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
    network.fit(x, frame["y"].to_numpy(), epochs=8, verbose=0)
    network.save(tmp_path / "network.keras")
    registry, answers = tmp_path / "registry", pl.Series("answers", np.ravel(network.predict(x, verbose=0)))
    evermodel.adopt(
        tmp_path / "network.keras",
        data=frame.with_columns(answers),
        predictions="answers",
        target="y",
        name="m",
        shuffled=True,
        registry=registry,
    )
    evermodel.update("m", rows(800, 4, 1.5).drop("kind", "when"), registry=registry, strategy="refit")
    both = publications(registry, tmp_path / "files")
    inputs = {p.version: p.model.transform(ROW.select("a", "b")).astype(np.float32) for p in both}
    known = {p.version: np.ravel(p.model.framework.predict(p.model.obj, inputs[p.version])) for p in both}

    def read(to: str) -> str:
        """As TensorFlow Serving does: the highest number, its signature ``serving_default``."""
        newest = max((Path(to) / "m").glob("[0-9]*"), key=lambda path: int(path.name))
        serve = tensorflow.saved_model.load(newest).signatures["serving_default"]
        name = next(iter(serve.structured_input_signature[1]))
        for version, x_of in inputs.items():
            answers = np.ravel(next(iter(serve(**{name: tensorflow.constant(x_of)}).values())))
            if np.allclose(answers, known[version], atol=1e-5):
                return version
        return "another"

    assert check_publisher("tfserving", both, read, places(tmp_path)) == len(CHECKS)


class _InPlace:
    """A publisher that writes into the folder that readers read."""

    __name__ = "in_place"

    @staticmethod
    def find_published(name: str, to: str, /) -> str:
        note = Path(to) / name / "version"
        return note.read_text() if note.is_file() else ""

    @classmethod
    def publish(cls, publication: Publication, to: str, /) -> str:
        place = Path(to) / publication.name
        shutil.rmtree(place / "current", ignore_errors=True)
        (place / "current").mkdir(parents=True)
        time.sleep(0.1)  # on an idle machine a reader would hardly ever come in between
        for file in sorted(publication.files.iterdir()) if publication.files.is_dir() else ():
            shutil.copy(file, place / "current" / file.name)
        (place / "version").write_text(publication.version)
        return str(place)


def test_a_publisher_that_writes_in_place_is_caught(boosters, tmp_path):
    both, known = boosters
    new_place = places(tmp_path)
    trial = Trial(_InPlace(), _InPlace.publish, both, read_folder(known), lambda: str(new_place()))
    with pytest.raises(AssertionError, match="check_a_failure_leaves_the_version_before"):
        run_checks(CHECKS, "publisher", "in_place", trial)
    with pytest.raises(AssertionError, match="check_readers_never_get_a_part"):
        run_checks(CHECKS[3:], "publisher", "in_place", trial)


def test_the_command_publishes_and_says_where(registry, tmp_path):
    to = f"folder:{tmp_path / 'models'}"
    assert "published m v1" in ask(["publish", "m", "--to", to], registry).out
    assert "already" in ask(["publish", "m", "--to", to], registry).out
    evermodel.promote("m", "v2", registry=registry)
    result = evermodel.publish("m", to=to, registry=registry)
    assert (result.was, result.version, result.changed) == ("v1", "v2", True)
    link = tmp_path / "models" / "m" / "current"
    assert sorted(p.name for p in link.iterdir()) == ["model.transform.json", "model.txt"]
    assert not list((tmp_path / "models").rglob(".publishing-*"))


@pytest.mark.parametrize("to", ["nowhere", "ftp:x", "folder:", ":x"])
def test_a_place_of_no_kind_is_refused(registry, to):
    with pytest.raises(BadSetting, match="folder:"):
        evermodel.publish("m", to=to, registry=registry)


def test_what_cannot_be_published_is_said(registry, tmp_path):
    with pytest.raises(BadModel, match="SavedModel"):
        evermodel.publish("m", to=f"tfserving:{tmp_path}", proof=False, registry=registry)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotDelivered, match="cannot be written"):
        evermodel.publish("m", to=f"folder:{tmp_path / 'file'}", proof=False, registry=registry)


def test_all_publishers_are_found():
    assert PUBLISHERS.names() == ("folder", "gguf", "kserve", "mlflow", "tfserving", "triton", "vllm")

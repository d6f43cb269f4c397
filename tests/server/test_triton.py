"""Triton gets what its own readers read: configuration, treelite for trees, TorchScript, SavedModels."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evermodel
from evermodel.core.errors import BadModel
from evermodel.core.model.ensemble import average_models
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.model.triton_model import TritonModel, TritonTensor
from evermodel.core.publication import PUBLISHERS
from evermodel.testing.publishers import CHECKS, check_publisher
from tests.server.test_publishers import ROW, name_version, places, publications


def read_config(text: str) -> Any:
    """The configuration as Triton's own definition of it reads it: an unknown field or word is an error."""
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    return text_format.Parse(text, model_config_pb2.ModelConfig())


def read_forest(version: Path, config: Any, x: np.ndarray) -> np.ndarray:
    """What Triton's backend for trees answers: treelite reads its files; rows (n, d) have the configured width."""
    import treelite

    file = {"lightgbm": "model.txt", "xgboost_ubj": "xgboost.ubj"}[config.parameters["model_type"].string_value]
    load = {"model.txt": "load_lightgbm_model", "xgboost.ubj": "load_xgboost_model"}[file]
    forest = getattr(treelite.frontend, load)(version / file)
    assert (config.backend, list(config.input[0].dims)) == ("fil", [x.shape[1]])
    answers = treelite.gtil.predict(forest, x)[:, 0, :]
    for name in ("is_classifier", "output_class"):
        assert (config.parameters[name].string_value == "true") == (config.output[0].dims[0] > 1)
    return answers


def newest(place: Path) -> Path:
    return max(place.glob("[0-9]*"), key=lambda path: int(path.name))


def test_triton_keeps_its_promises(two_versions, tmp_path):
    pytest.importorskip("treelite")
    both = publications(two_versions, tmp_path / "files")
    x = both[0].model.transform(ROW.select("a", "b", "kind"))
    known = {v: evermodel.predict("m", ROW, version=v, registry=two_versions)["p_1"].to_numpy() for v in ("v1", "v2")}

    def read(to: str) -> str:
        place = Path(to) / "m"
        config = read_config((place / "config.pbtxt").read_text())
        assert (config.name, list(config.output[0].dims)) == ("m", [2])
        return name_version(read_forest(newest(place), config, x)[:, 0], known)

    assert check_publisher("triton", both, read, places(tmp_path)) == len(CHECKS)


def test_a_model_of_several_is_published_as_the_one_that_it_is(two_versions, tmp_path):
    pytest.importorskip("treelite")
    one, two = publications(two_versions, tmp_path / "files")
    both = average_models(one.model.contract, {"one": one.model, "two": two.model})
    blended = dataclasses.replace(one, version="v3", model=both, framework="ensemble")
    place = Path(PUBLISHERS.load("triton")(blended, str(tmp_path / "to"))).parent
    frame = ROW.select("a", "b", "kind")
    config = read_config((place / "config.pbtxt").read_text())
    answers = read_forest(newest(place), config, blended.export_model().transform(frame))
    assert np.abs(answers[:, 0] - both.predict(frame)[:, 1]).max() < 1e-6


ROWS = 400
SEED = np.random.default_rng(7)
X = SEED.normal(size=(ROWS, 4)).astype(np.float32)
X[SEED.random(X.shape) < 0.05] = np.nan
X[:, 3] = SEED.integers(0, 6, ROWS)
VALUE = np.nansum(X[:, :2], axis=1) + (X[:, 3] % 2)
TARGETS = {"binary": (VALUE > 0.5).astype(int), "multiclass": np.digitize(VALUE, [-0.4, 1.0]), "value": np.abs(VALUE)}


@pytest.mark.parametrize(
    ("objective", "task"),
    [
        ("binary", "binary"),
        ("multiclass", "multiclass"),
        ("multiclassova", "multiclass"),
        ("poisson", "value"),
        ("regression", "value"),
    ],
)
def test_the_backend_of_trees_answers_as_lightgbm_does(objective, task, tmp_path):
    lightgbm, _ = pytest.importorskip("lightgbm"), pytest.importorskip("treelite")
    settings = {"objective": objective, "verbose": -1, "num_threads": 1, "num_class": 3 if task == "multiclass" else 1}
    rows = lightgbm.Dataset(X, TARGETS[task], categorical_feature=[3])
    plugin = FRAMEWORKS.load_module("lightgbm")
    booster = plugin.convert_object(lightgbm.train(settings, rows, 12))
    config = read_config(plugin.write_triton(booster, tmp_path).write_config("m"))
    answers, expected = read_forest(tmp_path, config, X), plugin.predict(booster, X)
    assert np.abs(answers - expected.reshape(len(X), -1)).max() < 1e-6
    assert config.output[0].dims[0] == {"binary": 2, "multiclass": 3, "value": 1}[task]


@pytest.mark.parametrize("setting", [{"linear_tree": True}, {"zero_as_missing": True}], ids=str)
def test_a_booster_that_the_backend_reads_otherwise_is_refused(setting, tmp_path):
    lightgbm = pytest.importorskip("lightgbm")
    x = np.where(np.isnan(X), 0, X)
    settings = {"objective": "binary", "verbose": -1, "num_threads": 1, **setting}
    booster = lightgbm.train(settings, lightgbm.Dataset(x, TARGETS["binary"]), 5)
    with pytest.raises(BadModel, match="backend for trees"):
        FRAMEWORKS.load_module("lightgbm").write_triton(booster, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("objective", "task"),
    [
        ("binary:logistic", "binary"),
        ("multi:softprob", "multiclass"),
        ("multi:softmax", "multiclass"),
        ("reg:squarederror", "value"),
        ("count:poisson", "value"),
    ],
)
def test_the_backend_of_trees_answers_as_xgboost_does(objective, task, tmp_path):
    xgboost, _ = pytest.importorskip("xgboost"), pytest.importorskip("treelite")
    rows = xgboost.DMatrix(X, TARGETS[task], feature_types=["q", "q", "q", "c"], enable_categorical=True)
    more = {"num_class": 3} if task == "multiclass" else {}
    plugin = FRAMEWORKS.load_module("xgboost")
    booster = plugin.convert_object(xgboost.train({"objective": objective, "nthread": 1, **more}, rows, 12))
    config = read_config(plugin.write_triton(booster, tmp_path).write_config("m"))
    answers, expected = read_forest(tmp_path, config, X), plugin.predict(booster, X)
    assert np.abs(answers - expected.reshape(len(X), -1)).max() < 1e-5
    assert config.output[0].dims[0] == {"binary": 2, "multiclass": 3, "value": 1}[task]


def networks():
    """Modules, each with two rows, in which sizes hang on the number of rows."""
    import torch
    from torch import nn

    class Picture(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.out = nn.Conv2d(3, 4, 3), nn.Linear(4 * 6 * 6, 2)

        def forward(self, x):
            h = torch.relu(self.conv(x))
            return self.out(h.view(h.shape[0], -1))

    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.layer, self.out = nn.Embedding(20, 6), nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 1)

        def forward(self, x):
            return torch.sigmoid(self.out(self.layer(self.embed(x))[0][:, -1])).squeeze(-1)

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.norm, self.drop, self.out = (
                nn.Linear(4, 8),
                nn.BatchNorm1d(8),
                nn.Dropout(0.5),
                nn.Linear(4, 3),
            )

        def forward(self, x):
            one, two = self.drop(self.norm(self.a(x))).chunk(2, 1)
            gated = (one * torch.sigmoid(two)).masked_fill(two > 0.5, float("-inf"))
            return torch.log_softmax(self.out(gated.clamp(-1.0, float("inf"))), 1)

    torch.manual_seed(3)
    flat, pictures, words = torch.randn(2, 4), torch.randn(2, 3, 8, 8), torch.randint(0, 20, (2, 7))
    return {"masked": (Masked(), flat), "picture": (Picture(), pictures), "words": (Words(), words)}


@pytest.mark.parametrize("name", ["masked", "picture", "words"])
def test_a_network_as_torchscript_answers_as_the_module_does(name, tmp_path):
    torch = pytest.importorskip("torch")
    module, example = networks()[name]
    free = ({0: torch.export.Dim.DYNAMIC},)
    exported = torch.export.export(module.eval(), (example,), dynamic_shapes=free, strict=False)
    config = read_config(FRAMEWORKS.load_module("torch").write_triton(exported, tmp_path).write_config("m"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript, which is what Triton reads
        script = torch.jit.load(str(tmp_path / "model.pt"))
    for rows in (1, 5, 33):
        x = torch.cat([example] * rows)[:rows]
        expected, answers = module(x), script(x)
        assert torch.allclose(expected, answers, atol=1e-6)
        wanted = [] if config.output[0].HasField("reshape") else list(config.output[0].dims)
        assert list(answers.shape[1:]) == wanted
    assert list(config.input[0].dims) == list(example.shape[1:])
    assert (config.platform, config.max_batch_size > 1) == ("pytorch_libtorch", True)


def test_a_network_for_a_fixed_number_of_rows_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    exported = torch.export.export(torch.nn.Linear(4, 1).eval(), (torch.zeros(2, 4),))
    with pytest.raises(BadModel, match="2 rows at a time"):
        FRAMEWORKS.load_module("torch").write_triton(exported, tmp_path)


def test_a_saved_model_has_the_tensors_that_the_configuration_names(tmp_path):
    tf = pytest.importorskip("tensorflow")
    import keras

    first, second = keras.Input((3,), name="amounts"), keras.Input((2,), dtype="int32", name="codes")
    joined = keras.layers.Concatenate()([first, keras.layers.Flatten()(keras.layers.Embedding(5, 2)(second))])
    network = keras.Model([first, second], keras.layers.Dense(2, "softmax", name="kinds")(joined))
    config = read_config(FRAMEWORKS.load_module("keras").write_triton(network, tmp_path).write_config("m"))
    serve = tf.saved_model.load(str(tmp_path / "model.savedmodel")).signatures["serving_default"]
    x = {"amounts": np.ones((3, 3), np.float32), "codes": np.array([[0, 4], [1, 2], [3, 3]], np.int32)}
    answers = serve(**{tensor.name: tf.constant(x[tensor.name]) for tensor in config.input})
    expected = network.predict([x["amounts"], x["codes"]], verbose=0)
    assert np.allclose(answers[config.output[0].name].numpy(), expected, atol=1e-6)
    described = [(t.name, t.data_type, list(t.dims)) for t in config.input]
    assert described == [("amounts", 11, [3]), ("codes", 8, [2])]  # TYPE_FP32, TYPE_INT32
    assert config.platform == "tensorflow_savedmodel"


def test_what_is_added_to_the_configuration_stays_and_other_tensors_are_refused(registry, tmp_path):
    to = f"triton:{tmp_path}"
    evermodel.publish("m", to=to, registry=registry, proof=False)
    config = tmp_path / "m" / "config.pbtxt"
    own = config.read_text() + "instance_group [ { kind: KIND_CPU } ]\n"
    config.write_text(own)
    evermodel.publish("m", to=to, version="v2", registry=registry, proof=False)
    assert (config.read_text(), newest(tmp_path / "m").name) == (own, "2")
    kept = tmp_path / "m" / "2" / "config.pbtxt"
    kept.write_text(kept.read_text().replace("dims: [ 2 ]", "dims: [ 3 ]"))
    with pytest.raises(BadModel, match="one for all versions"):
        evermodel.publish("m", to=to, registry=registry, proof=False)
    assert newest(tmp_path / "m").name == "2"
    assert not list(tmp_path.rglob(".publishing-*"))


def test_a_model_without_a_backend_is_refused(tmp_path):
    sklearn = pytest.importorskip("sklearn.linear_model")
    registry = tmp_path / "registry"
    x, y = ROW.select("a", "b").to_numpy(), ROW["y"].to_numpy()
    network = sklearn.LogisticRegression().fit(x, y)
    evermodel.open(registry).adopt(network, data=ROW.drop("kind", "when"), target="y", name="m", shuffled=True)
    with pytest.raises(BadModel, match="no backend for m, a model of sklearn"):
        evermodel.publish("m", to=f"triton:{tmp_path / 'to'}", registry=registry, proof=False)
    assert not list((tmp_path / "to").rglob("*"))


@pytest.mark.parametrize("name", ['a"b', "ä b", "a\\b"])
def test_names_are_written_so_that_triton_reads_them(name):
    tensor = TritonTensor(name, "FP32", (-1, 2))
    config = read_config(TritonModel("fil", (tensor,), (tensor,), parameters={name: name}).write_config(name))
    assert (config.name, config.input[0].name, config.parameters[name].string_value) == (name, name, name)
    assert list(config.input[0].dims) == [-1, 2]


def test_a_network_of_several_tensors_takes_them_in_order(tmp_path):
    torch = pytest.importorskip("torch")

    class Offer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.shops = torch.nn.Embedding(20, 4), torch.nn.Embedding(12, 3)
            self.answer = torch.nn.Linear(9, 1)

        def forward(self, words, numbers, shop):
            return self.answer(torch.cat([self.words(words).mean(dim=1), numbers, self.shops(shop)], dim=1))

    module, free = Offer().eval(), {0: torch.export.Dim.DYNAMIC}
    given = (torch.randint(0, 20, (5, 4)), torch.randn(5, 2), torch.randint(0, 12, (5,)))
    exported = torch.export.export(module, given, dynamic_shapes=(free, free, free), strict=False)
    config = read_config(FRAMEWORKS.load_module("torch").write_triton(exported, tmp_path).write_config("m"))
    described = [(one.name, one.data_type, list(one.dims), one.HasField("reshape")) for one in config.input]
    assert described == [("INPUT__0", 9, [4], False), ("INPUT__1", 11, [2], False), ("INPUT__2", 9, [1], True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.load(str(tmp_path / "model.pt"))
    assert torch.allclose(script(*given), module(*given), atol=1e-6)

"""What cannot be adopted is named for what it is, with what to do; checkpoints give their weights to a factory."""

from __future__ import annotations

import gzip
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from evermodel.core.errors import BadModel, Unsafe
from evermodel.registry.adoption.model_file import open_model
from tests.cli.ground import ask

STARTS = {
    "m.onnx": (b"\x08\x08\x12\x07pytorch" + bytes(64), "an ONNX model", "cannot|nothing that can be trained"),
    "spox.onnx": (b"\x08\x08\x12\x04spox2\x00:" + bytes(64), "an ONNX model", "nothing that can be trained"),
    "m.mlmodel": (b"\x08\x06\x12\xda\x01\x0a\x18\x0a\x07input_2" + bytes(64), "a Core ML model", "converted from"),
    "m.ggml": (b"GGML\x03\x00\x00\x00" + bytes(32), "a GGML file", "Convert it to GGUF"),
    "m.tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(32), "a TensorFlow Lite model", "model.save"),
    "m.RData": (gzip.compress(b"RDX3\nX\n" + bytes(32)), "an R workspace", "not kept"),
    "m.pmml": (b'<?xml version="1.0"?>\n<PMML version="4.4">', "a PMML document", "made from"),
    "m.bin": (gzip.compress(b"anything"), "a compressed file", "gunzip"),
    "rows.parquet": (b"PAR1" + bytes(32), "a Parquet table", "--data"),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_file_is_named_by_its_first_bytes_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    contents, kind, remedy = STARTS[name]
    for file in (tmp_path / name, tmp_path / "model", tmp_path / "model.dat"):
        file.write_bytes(contents)
        with pytest.raises(BadModel, match=f"is {kind}") as error:
            open_model(file)
        assert any(word in error.value.hint for word in remedy.split("|"))


def test_a_broken_catboost_file_is_named_whatever_it_is_called(tmp_path: Path) -> None:
    pytest.importorskip("catboost")
    for file in (tmp_path / "m.cbm", tmp_path / "model", tmp_path / "model.dat"):
        file.write_bytes(b"CBM1" + bytes(64))
        with pytest.raises(BadModel, match="cannot be read as a CatBoost model") as error:
            open_model(file)
        assert "again" in error.value.hint


def test_archives_and_arrays_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "weights.npz", a=np.zeros(3))
    with pytest.raises(BadModel, match=r"NumPy arrays \(.npz\)"):
        open_model(tmp_path / "weights.npz")
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(BadModel, match="a NumPy array"):
        open_model(tmp_path / "array.npy")
    with zipfile.ZipFile(tmp_path / "deployed.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
        archive.writestr("model.h5", "x")
    with pytest.raises(BadModel) as error:
        open_model(tmp_path / "deployed.zip")
    assert "adopt model.h5" in error.value.hint


def test_a_pickle_under_another_name_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(BadModel) as error:
        open_model(tmp_path / "model.bin")
    assert "pickle" in error.value.message and "trust" in error.value.hint


def test_folders_are_named(tmp_path: Path) -> None:
    flow = tmp_path / "flow"
    flow.mkdir()
    (flow / "MLmodel").write_text("flavors:\n  sklearn:\n    pickled_model: model.pkl\n")
    (flow / "model.pkl").write_bytes(pickle.dumps(1))
    with pytest.raises(BadModel, match="model folder of MLflow") as error:
        open_model(flow)
    assert f"adopt {flow / 'model.pkl'} --trust {flow / 'model.pkl'}" in error.value.hint
    texts = tmp_path / "hf"
    texts.mkdir()
    (texts / "config.json").write_text(json.dumps({"model_type": "distilbert"}))
    with pytest.raises(BadModel, match="There are no weights in hf"):
        open_model(texts)
    package = tmp_path / "m.mlpackage"
    (package / "Data" / "com.apple.CoreML").mkdir(parents=True)
    with pytest.raises(BadModel, match=r"m\.mlpackage is a Core ML model"):
        open_model(package)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadModel, match="is a folder"):
        open_model(tmp_path / "empty")


def test_the_command_line_says_it_in_two_lines(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(STARTS["m.onnx"][0])
    (tmp_path / "rows.csv").write_text("a,y\n1,0\n2,1\n")
    asked = ["adopt", str(tmp_path / "m.onnx"), "--data", str(tmp_path / "rows.csv"), "--target", "y"]
    answer = ask(asked, tmp_path / "registry")
    assert answer.code == 2 and "m.onnx is an ONNX model" in answer.err and "Traceback" not in answer.err


def test_what_keras_exports_without_a_trainable_model_is_named(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    network = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    (tmp_path / "architecture.json").write_text(network.to_json())
    network.save_weights(tmp_path / "only.weights.h5")
    for name, kind in (("architecture.json", "architecture without weights"), ("only.weights.h5", "")):
        with pytest.raises(BadModel, match=kind) as error:
            open_model(tmp_path / name)
        assert error.value.hint
    network.save(tmp_path / "whole.h5")
    (tmp_path / "whole.h5").rename(tmp_path / "renamed.keras")
    assert open_model(tmp_path / "renamed.keras").framework.__name__.endswith("keras")


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    torch = pytest.importorskip("torch")
    (tmp_path / "checkpoint_net.py").write_text(
        "import torch\n\n\ndef make():\n"
        "    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))\n"
    )
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))


def test_torchscript_and_whole_modules_are_not_called_weights(network, tmp_path: Path) -> None:
    import torch

    torch.jit.trace(network, torch.zeros(2, 4)).save(str(tmp_path / "script.pt"))
    with pytest.raises(BadModel, match="is TorchScript") as error:
        open_model(tmp_path / "script.pt")
    assert "torch.export.save" in error.value.hint
    torch.save(network, tmp_path / "whole.pt")
    with pytest.raises(Unsafe, match="more than weights"):
        open_model(tmp_path / "whole.pt")


@pytest.mark.parametrize("kind", ["plain", "tutorial", "lightning"])
def test_the_weights_of_a_checkpoint_go_into_the_factory_s_network(kind: str, network, tmp_path: Path) -> None:
    import torch

    weights = network.state_dict()
    kept = {
        "plain": weights,
        "tutorial": {"epoch": 3, "model_state_dict": weights, "optimizer_state_dict": {}},
        "lightning": {"epoch": 3, "state_dict": {f"net.{name}": value for name, value in weights.items()}},
    }
    torch.save(kept[kind], tmp_path / "checkpoint.pt")
    opened = open_model(tmp_path / "checkpoint.pt", factory="checkpoint_net:make")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    expected = network(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(opened.framework.predict(opened.obj, x), expected, atol=1e-6)


def test_a_trusted_keras_file_without_its_code_is_read_or_refused_in_words(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")

    def own_loss(wanted, given):
        return keras.ops.mean(keras.ops.square(wanted - given))

    class Doubled(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    network = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    network.compile("adam", own_loss)
    network.save(tmp_path / "loss.keras")
    x = np.ones((3, 4), np.float32)
    with pytest.warns(UserWarning, match="without its training settings"):
        opened = open_model(tmp_path / "loss.keras", trust=tmp_path / "loss.keras")
    np.testing.assert_allclose(opened.framework.predict(opened.obj, x), network.predict(x, verbose=0), atol=1e-6)
    keras.Sequential([keras.layers.Input((4,)), Doubled(), keras.layers.Dense(1)]).save(tmp_path / "layer.keras")
    with pytest.raises(BadModel, match=r"Keras cannot load layer\.keras") as error:
        open_model(tmp_path / "layer.keras", trust=tmp_path / "layer.keras")
    assert "`trust` FILE.py" in error.value.hint


def test_a_lambda_layer_is_refused_however_it_comes(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    network = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: 2 * x), keras.layers.Dense(1)])
    file = tmp_path / "lambda.keras"
    network.save(file)
    for source, trust in ((network, None), (file, None), (file, file)):
        with pytest.raises(Unsafe, match="holds Python code") as error:
            open_model(source, trust=trust)
        assert "`trust` FILE.py" in error.value.hint

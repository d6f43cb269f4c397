"""Classes and functions of a user's own: from files named with ``trust``, kept with the version, by their hash."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import evermodel as em
from evermodel.core import code_trust
from evermodel.core.errors import BadModel, BadSetting, Damaged, NotFound, Unsafe
from evermodel.core.model import user_code
from evermodel.registry.adoption.model_file import open_model

HERE = Path(__file__).parent


def make_rows(seed: int, turn: float = 0.0, n: int = 600) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = pd.DataFrame(random.normal(size=(n, 4)), columns=list("abcd"))
    score = rows.a + (1 - turn) * rows.b + turn * rows.c + random.normal(0, 0.5, n)
    return rows.assign(y=(score > 0).astype(int))


def import_file(file: Path):
    """The module as a user imports it: registered under its own name."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def own(tmp_path: Path):
    """The user's file of steps, imported as a user does, and forgotten when the test ends."""
    file = Path(shutil.copy(HERE / "own_steps.py", tmp_path / "my_steps.py"))
    yield file, import_file(file)
    sys.modules.pop("my_steps", None)


PIPELINES = {
    "a transformer": lambda own: make_pipeline(own.Clip(), StandardScaler(), LogisticRegression()),
    "columns by name": lambda own: make_pipeline(own.Ratio(), LogisticRegression()),
    "columns by position": lambda own: make_pipeline(own.First(), LogisticRegression()),
    "a function": lambda own: make_pipeline(FunctionTransformer(own.cube), StandardScaler(), LogisticRegression()),
    "a classifier": lambda own: own.Vote(),
    "a search": lambda own: GridSearchCV(make_pipeline(own.Clip(), LogisticRegression()), {"clip__share": [0.01, 0.1]}),
}


@pytest.mark.parametrize("kind", PIPELINES)
def test_a_pipeline_of_own_steps_lives_on_without_the_users_file(kind, own, tmp_path: Path) -> None:
    file, module = own
    rows, later = make_rows(1), make_rows(3).drop(columns="y")
    x = rows.drop(columns="y")
    plain = PIPELINES[kind](module).fit(x if kind != "columns by position" else x.to_numpy(), rows.y)
    joblib.dump(plain, tmp_path / "m.pkl")
    expected = plain.predict_proba(later if kind != "columns by position" else later.to_numpy())[:, 1]
    model = em.open(tmp_path / "r").adopt(
        tmp_path / "m.pkl", data=rows, target="y", name="m", trust=[tmp_path / "m.pkl", file]
    )
    file.unlink()
    sys.modules.pop("my_steps")
    np.testing.assert_allclose(np.asarray(model.predict(later)["p_1"]), expected, atol=1e-6)
    model.update(make_rows(2, turn=0.8), strategy="refit")
    kept = tmp_path / "r" / "versions" / "m" / "v2" / "model" / "code" / "my_steps.py"
    assert kept.read_bytes() == (HERE / "own_steps.py").read_bytes()
    live = model.version("v2").load()
    assert "my_steps" not in sys.modules  # what the process knows by that name is left alone
    given = later if kind != "columns by position" else later.to_numpy()
    np.testing.assert_allclose(
        np.asarray(model.version("v2").predict(later)["p_1"]), live.predict_proba(given)[:, 1], atol=1e-6
    )


def test_a_saved_pipeline_is_proven_with_the_users_file(own, tmp_path: Path) -> None:
    file, module = own
    rows = make_rows(1)
    live = make_pipeline(module.Ratio(), LogisticRegression()).fit(rows.drop(columns="y"), rows.y)
    model = em.open(tmp_path / "r").adopt(live, data=rows, target="y", name="m", trust=str(file))  # a live object
    saved = model.save(tmp_path / "out.skops")
    assert saved.proof is not None and saved.proof.rows > 0 and saved.proof.difference < 1e-6
    opened = open_model(tmp_path / "out.skops", trust=file)
    x = make_rows(3).drop(columns="y")
    np.testing.assert_array_equal(opened.obj.predict_proba(x), live.predict_proba(x))


def test_what_is_not_named_does_not_run(own, tmp_path: Path) -> None:
    file, module = own
    rows = make_rows(1)
    live = make_pipeline(module.Clip(), LogisticRegression()).fit(rows.drop(columns="y"), rows.y)
    pickle = tmp_path / "m.pkl"
    joblib.dump(live, pickle)
    with pytest.raises(Unsafe, match="is a pickle"):
        open_model(pickle, trust=file)
    with pytest.raises(BadModel, match=r"your own classes: my_steps\.Clip") as caught:
        open_model(live)
    assert "`trust` my_steps.py" in caught.value.hint
    sys.modules.pop("my_steps")
    with pytest.raises(BadModel, match="needs the module 'my_steps'") as caught:
        open_model(pickle, trust=pickle)
    assert "`trust` my_steps.py" in caught.value.hint
    with pytest.raises(BadSetting, match="names files"):
        open_model(pickle, trust=True)
    with pytest.raises(BadSetting, match=r"no Python file and not the model \(m\.pkl\)"):
        open_model(pickle, trust=tmp_path / "other.pkl")
    with pytest.raises(NotFound, match="to trust"):
        open_model(pickle, trust=[pickle, tmp_path / "nothing.py"])
    (tmp_path / "json.py").write_text("")
    with pytest.raises(BadSetting, match="cannot be imported as a module 'json'"):
        open_model(pickle, trust=[pickle, tmp_path / "json.py"])
    (tmp_path / "broken.py").write_text("raise RuntimeError('no')\n")
    with pytest.raises(BadModel, match=r"broken\.py cannot be imported \(RuntimeError: no\)"):
        open_model(pickle, trust=[pickle, tmp_path / "broken.py"])


def test_a_pickle_of_a_script_finds_its_classes_in_the_named_file(own, tmp_path: Path) -> None:
    file, _ = own
    make_rows(1).to_csv(tmp_path / "rows.csv", index=False)
    script = tmp_path / "train.py"  # run by itself: what else this process imported may change how it pickles
    script.write_text(
        f"{file.read_text()}\n\nimport joblib\nimport pandas as pd\n"
        "from sklearn.pipeline import make_pipeline\n\nrows = pd.read_csv('rows.csv')\n"
        "model = make_pipeline(Clip(), LogisticRegression()).fit(rows.drop(columns='y'), rows.y)\n"
        "joblib.dump(model, 'm.pkl')\nnp.save('expected.npy', model.predict_proba(rows.drop(columns='y')))\n"
    )
    subprocess.run([sys.executable, script], cwd=tmp_path, check=True)
    opened = open_model(tmp_path / "m.pkl", trust=[tmp_path / "m.pkl", file])
    x = pd.read_csv(tmp_path / "rows.csv").drop(columns="y")
    np.testing.assert_array_equal(opened.obj.predict_proba(x), np.load(tmp_path / "expected.npy"))
    assert type(opened.obj[0]).__module__ == "my_steps"


def test_a_changed_copy_is_damaged_and_code_of_others_does_not_run(own, tmp_path: Path, monkeypatch) -> None:
    file, module = own
    rows = make_rows(1)
    live = make_pipeline(module.Clip(), LogisticRegression()).fit(rows.drop(columns="y"), rows.y)
    model = em.open(tmp_path / "r").adopt(live, data=rows, target="y", name="m", trust=file)
    folder = tmp_path / "r" / "versions" / "m" / "v1" / "model"
    monkeypatch.setattr(code_trust, "_trusted_here", set())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of another user"))
    with pytest.raises(Unsafe, match=r"my_steps\.py \(SHA-256 [0-9a-f]{16}…\), which was not trusted") as caught:
        model.predict(rows.drop(columns="y"))
    assert "EVERMODEL_TRUST=my_steps.py" in caught.value.hint
    monkeypatch.setenv("EVERMODEL_TRUST", str(file))
    assert len(model.predict(rows.drop(columns="y"))) == len(rows)
    monkeypatch.setattr(code_trust, "_trusted_here", set())
    file.write_text(file.read_text() + "\n# a new line\n")  # another file is another SHA-256
    with pytest.raises(Unsafe):
        model.predict(rows.drop(columns="y"))
    (folder / "code" / "my_steps.py").write_bytes(file.read_bytes())
    with pytest.raises(Damaged):
        model.predict(rows.drop(columns="y"))
    with pytest.raises(Damaged, match="is not what was kept"):
        user_code.read_code(folder)


def test_a_factory_and_a_module_are_found_in_the_named_file(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    file = tmp_path / "my_net.py"
    file.write_text(
        "import torch\n\n\nclass Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.a = torch.nn.Linear(4, 1)\n\n    def forward(self, x):\n        return torch.sigmoid(self.a(x))\n"
        "\n\ndef make():\n    return Net()\n"
    )
    net = import_file(file).make()
    torch.save(net, tmp_path / "whole.pt")
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    sys.modules.pop("my_net")
    with pytest.raises(BadModel, match="needs the module 'my_net'") as missing:
        open_model(tmp_path / "whole.pt", trust=tmp_path / "whole.pt")
    assert "`trust` my_net.py" in missing.value.hint
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    expected = net(torch.from_numpy(x)).detach().numpy()
    for name, trust, factory in (
        ("whole.pt", [tmp_path / "whole.pt", file], None),
        ("weights.pt", file, "my_net:make"),
    ):
        opened = open_model(tmp_path / name, trust=trust, factory=factory)
        np.testing.assert_allclose(np.ravel(opened.framework.predict(opened.obj, x)), expected.ravel(), atol=1e-6)
    assert "my_net" not in sys.modules


def build_networks(own):
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers, inputs = keras.layers, keras.Input((4,))
    gate = keras.Sequential([keras.Input((4,)), own.Gate(8), layers.Dense(1, "sigmoid")])
    gate.compile("adam", own.soft_loss)
    focal = keras.Model(inputs, layers.Dense(1, "sigmoid")(layers.Dense(8, own.bent)(inputs)))
    focal.compile("adam", own.Focal(1.5), metrics=["accuracy"])
    net = own.Net(4)
    net.compile("adam", "binary_crossentropy")
    return {"gate.keras": gate, "gate.h5": gate, "focal.keras": focal, "net.keras": net}


def test_networks_of_own_layers_losses_and_models_are_adopted_and_updated(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    file = Path(shutil.copy(HERE / "own_layers.py", tmp_path / "my_layers.py"))
    registered = dict(keras.saving.get_custom_objects())
    own = import_file(file)
    rows, later = make_rows(1), make_rows(3).drop(columns="y")
    x, registry = rows.drop(columns="y").to_numpy(), em.open(tmp_path / "r")
    for name, network in build_networks(own).items():
        network.fit(x, rows.y.to_numpy(), epochs=6, verbose=0)
        network.save(tmp_path / name)
        expected = network.predict(later.to_numpy(), verbose=0).ravel()
        with pytest.raises(Unsafe, match=r"foreign module|custom object|built-in") as caught:
            open_model(tmp_path / name)
        assert "`trust` FILE.py" in caught.value.hint
        model = registry.adopt(
            tmp_path / name,
            data=rows,
            target="y",
            name=name.replace(".", "-"),
            trust=file,
            predictions=network.predict(x, verbose=0).ravel(),
        )
        np.testing.assert_allclose(np.asarray(model.predict(later)["p_1"]), expected, atol=1e-6)
        live = model.champion.load()
        assert getattr(live.loss, "__name__", type(live.loss).__name__) in ("soft_loss", "Focal", "str")
        assert type(live.layers[0]) is not own.Gate  # ours, not the one that the process registered
        assert keras.saving.get_custom_objects()["acme>Gate"] is own.Gate
    model.update(make_rows(2, turn=0.8), strategy="replay", settings={"epochs": 1})
    model.save(tmp_path / "out.keras", version="v2", proof=False)
    back = keras.models.load_model(tmp_path / "out.keras", custom_objects={"Net": own.Net})
    assert type(back) is own.Net and back.units == 4  # no wrapper in the file
    np.testing.assert_allclose(
        np.asarray(model.version("v2").predict(later)["p_1"]),
        back.predict(later.to_numpy(), verbose=0).ravel(),
        atol=1e-6,
    )
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(registered)
    sys.modules.pop("my_layers")


def test_two_files_of_one_name_that_differ_do_not_mix(tmp_path: Path) -> None:
    """Equal names and settings of layers: the graph of one is not used for the other."""
    keras = pytest.importorskip("keras")
    text = (HERE / "own_layers.py").read_text()
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    opened = {}
    for name, changed in (("a", text), ("b", text.replace("ops.relu", "ops.tanh"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "my_layers.py").write_text(changed)
        own = import_file(tmp_path / name / "my_layers.py")
        keras.utils.set_random_seed(0)
        network = keras.Sequential([keras.Input((4,)), own.Gate(8), keras.layers.Dense(1)], name="same")
        network.layers[1].name = "head"
        network.save(tmp_path / name / "m.keras")
        found = open_model(tmp_path / name / "m.keras", trust=tmp_path / name / "my_layers.py")
        opened[name] = (found, network.predict(x, verbose=0))
    sys.modules.pop("my_layers")
    for found, expected in opened.values():
        np.testing.assert_allclose(found.framework.predict(found.obj, x), expected, atol=1e-6)
    assert np.abs(opened["a"][1] - opened["b"][1]).max() > 0.01

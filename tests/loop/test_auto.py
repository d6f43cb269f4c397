"""Which recipe `auto` follows: by the kind of model, and by whether there is anything old yet."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.ensemble import Ensemble, newest
from evermodel.core.output import Output
from evermodel.core.transform import Transform
from evermodel.loop.fair_past import _knew
from evermodel.loop.home import open_home
from evermodel.loop.versions import load_version
from tests.loop.conftest import rows


def test_a_booster_is_refit_until_the_window_leaves_rows_out(adopted):
    done = [evermodel.update("m", rows(400, 3 + t, angle=0.5 * t), home=adopted) for t in range(3)]
    assert [d.change for d in done] == ["refit", "refit", "halves"]
    assert all(d.finished for d in done if d.decision == "promote")


def test_a_network_is_refit_until_the_window_leaves_rows_out(tmp_path):
    keras = pytest.importorskip("keras")
    frame = rows(500, 1).drop("kind", "when")
    x = frame.select("a", "b").to_numpy() / (1.0, 10.0)
    net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")])
    net.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy")
    net.fit(x, frame["y"].to_numpy(), epochs=10, verbose=0)
    scaled = frame.with_columns(pl.col("b") / 10.0)
    evermodel.adopt(net, data=scaled, target="y", name="n", home=tmp_path)
    done = []
    for t in range(3):
        new = rows(200, 3 + t, angle=0.8 * (t + 1)).drop("kind", "when").with_columns(pl.col("b") / 10.0)
        done.append(evermodel.update("n", new, home=tmp_path))
    assert [d.change for d in done] == ["refit", "refit", "blend"]
    store = open_home(tmp_path)
    made = load_version(store, store.card("n", done[2].challenger))
    assert made.obj.roles == ("recent", "again", "window")


@pytest.fixture
def network(tmp_path):
    """The home of a small network, "n"; its reference rows miss some values."""
    keras = pytest.importorskip("keras")
    frame = scaled(500, 1, 0.0)
    x = frame.select("a", "b").fill_null(0.0).to_numpy()
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")])
    net.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy")
    net.fit(x, frame["y"].to_numpy(), epochs=20, verbose=0)
    evermodel.adopt(net, data=frame, target="y", name="n", home=tmp_path)
    return tmp_path


def scaled(n: int, seed: int, angle: float) -> pl.DataFrame:
    frame = rows(n, seed, angle).drop("kind", "when").with_columns((pl.col("b") - 10.0) / 5.0)
    return frame.with_columns(pl.when(pl.int_range(n) % 11 == 0).then(None).otherwise(pl.col("a")).alias("a"))


def test_a_champion_of_few_rows_that_is_not_shown_to_be_worse_stays_beside_the_new_network(network, tmp_path):
    import keras

    done = [evermodel.update("n", scaled(200, 3 + t, 0.0), home=network) for t in range(2)]
    assert all(d.decision == "promote" and "with half of the answer" in d.reasons[-1] for d in done)
    told = evermodel.report("n", to=tmp_path / "report.html", home=network).to
    assert "by AUC, 60 judged rows could not show it to be worse" in Path(told).read_text()
    store = open_home(network)
    served = [load_version(store, store.card("n", d.in_service)) for d in done]
    assert [m.obj.roles for m in served] == [("recent", "before_1"), ("recent", "before_1", "before_2")]
    assert evermodel.reproduce("n", done[1].in_service, home=network).difference == 0.0
    evermodel.save("n", to=tmp_path / "updated_model.h5", home=network)
    plain = keras.models.load_model(tmp_path / "updated_model.h5")
    assert plain.count_params() == 3 * newest(served[0]).obj.count_params()
    told = json.loads((tmp_path / "updated_model.transform.json").read_text())
    transform, output = (
        Transform.from_json(json.dumps(told["transform"])),
        Output.from_json(json.dumps(told["output"])),
    )
    new = scaled(40, 8, 0.0)
    np.testing.assert_allclose(output(plain.predict(transform(new), verbose=0)), served[1].predict(new), atol=1e-5)
    third = evermodel.update("n", scaled(200, 9, 0.0), home=network)
    assert load_version(store, store.card("n", third.challenger)).obj.roles == ("recent", "again", "window", "deployed")
    assert "as it was adopted" in third.reasons[-1] and "by AUC and log loss, 60 judged" in third.reasons[-1]
    fourth = evermodel.update("n", scaled(400, 10, 2.5), home=network)  # now it is shown to be worse
    assert load_version(store, store.card("n", fourth.challenger)).obj.roles == ("recent", "again", "window")
    assert evermodel.reproduce("n", third.challenger, home=network).difference == 0.0


def test_rows_remembered_at_adoption_do_not_judge_a_champion_that_the_adopted_one_stands_beside(network):
    evermodel.update("n", scaled(200, 3, 0.0), home=network)
    store = open_home(network)
    assert _knew(store, store.card("n", "v2"))
    evermodel.update("n", scaled(200, 4, 0.0), with_="refit", finish=False, home=network)
    card = next(c for c in store.cards("n") if c.version == "v3")
    assert not _knew(store, card), "trained anew, and nobody stands beside it"


def test_a_champion_that_is_shown_to_be_worse_goes(network):
    done = evermodel.update("n", scaled(400, 3, 2.5), home=network)
    store = open_home(network)
    assert done.decision == "promote" and not any("beside" in r for r in done.reasons)
    assert not isinstance(load_version(store, store.card("n", done.in_service)).obj, Ensemble)


def test_of_networks_beside_each_other_the_newest_is_trained_anew(network):
    evermodel.update("n", scaled(200, 3, 0.0), home=network)
    done = evermodel.update("n", scaled(200, 4, 0.0), with_="refit", finish=False, home=network)
    store = open_home(network)
    assert not isinstance(load_version(store, store.card("n", done.challenger)).obj, Ensemble)


def test_a_version_that_nobody_stands_beside_is_built_again_so(network):
    new = scaled(400, 3, 0.2)
    auto = evermodel.update("n", new, dry_run=True, home=network)
    named = {"with_": "refit", "settings": auto.settings, "margin": 20.0}  # the very settings that auto chooses
    done = evermodel.update("n", new, home=network, **named)
    assert "beside" in auto.reasons[-1] and done.decision == "promote" and done.finished
    assert evermodel.reproduce("n", done.challenger, home=network).difference == 0.0


def test_a_network_of_several_classes_takes_a_new_one(tmp_path):
    keras = pytest.importorskip("keras")

    def graded(n: int, seed: int, limits: list[float]) -> pl.DataFrame:
        random = np.random.default_rng(seed)
        a, b = random.normal(size=n), random.normal(size=n)
        grade = np.digitize(a + 0.5 * b + 0.3 * random.normal(size=n), limits)
        return pl.DataFrame({"a": a, "b": b, "grade": [f"g{g}" for g in grade]})

    first = graded(600, 1, [-0.5, 0.7])
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3, "softmax")])
    net.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    net.fit(
        first.select("a", "b").to_numpy(), first["grade"].str.slice(1).cast(pl.Int64).to_numpy(), epochs=15, verbose=0
    )
    evermodel.adopt(net, data=first, target="grade", name="n", home=tmp_path)
    done = evermodel.update("n", graded(300, 2, [-0.5, 0.7, 1.5]), home=tmp_path)
    assert done.decision == "promote" and not any("beside" in r for r in done.reasons), "none knows the new class"
    assert all(np.isfinite(c.score) for c in done.candidates if c.change == "recalibrate")
    evermodel.predict("n", graded(50, 3, [-0.5, 0.7, 1.5]).drop("grade"), to=tmp_path / "p.csv", home=tmp_path)
    assert sum(c.endswith("g3") for c in pl.read_csv(tmp_path / "p.csv").columns) == 1


MODULE = """
from torch import nn

def make():
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())
"""


@pytest.mark.parametrize("suffix", [".pt2", ".safetensors"])
def test_a_network_of_pytorch_comes_back_as_the_file_that_it_was(suffix, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    (tmp_path / "small_net.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    net = importlib.import_module("small_net").make()
    frame = scaled(500, 1, 0.0)
    x, y = (torch.tensor(frame.select(c).fill_null(0.0).to_numpy(), dtype=torch.float32) for c in (["a", "b"], ["y"]))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy(net(x), y).backward()
        optimizer.step()
    file, told = tmp_path / f"net{suffix}", {}
    if suffix == ".pt2":
        free = ({0: torch.export.Dim.DYNAMIC},)
        torch.export.save(torch.export.export(net.eval(), (torch.zeros(2, 2),), dynamic_shapes=free), file)
    else:
        save_file(net.state_dict(), file)
        told = {"factory": "small_net:make"}
    home, to = tmp_path / "home", tmp_path / f"updated{suffix}"
    evermodel.adopt(file, data=frame, target="y", name="n", home=home, **told)
    done = evermodel.update("n", scaled(200, 3, 0.0), home=home, to=to)
    assert done.decision == "promote" and done.saved == str(to)
    beside = suffix == ".pt2"  # weights alone must fit the user's own module
    assert ("stays in service beside" in done.reasons[-1]) == beside
    if beside:
        store = open_home(home)
        served, new = load_version(store, store.card("n", done.in_service)), scaled(50, 9, 0.0)
        made = json.loads(to.with_suffix(".transform.json").read_text())
        transform = Transform.from_json(json.dumps(made["transform"]))
        plain = torch.export.load(to).module()(torch.from_numpy(transform(new))).detach().numpy()
        np.testing.assert_allclose(plain[:, 0], served.predict(new)[:, 1], atol=1e-5)
    else:
        net.load_state_dict(load_file(to))
    evermodel.adopt(to, data=frame, target="y", name="again", home=home, **told)


def test_a_network_of_pictures_goes_on_with_all_rows(tmp_path):
    keras = pytest.importorskip("keras")
    random = np.random.default_rng(0)

    def pictures(n: int, dark: float) -> pl.DataFrame:
        from PIL import Image

        label = random.integers(0, 2, n)
        files = []
        for i, one in enumerate(label):
            pixels = random.integers(0, 80, (8, 8, 3)) + np.asarray([120 * one, 0, 120 * (1 - one)])
            files.append(tmp_path / f"{dark}-{n}-{i}.png")
            Image.fromarray((pixels * dark).astype(np.uint8)).save(files[-1])
        return pl.DataFrame({"picture": [f.read_bytes() for f in files], "sign": [f"s{one}" for one in label]})

    first = pictures(120, 1.0)
    layers = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten()]
    net = keras.Sequential([keras.Input((8, 8, 3)), *layers, keras.layers.Dense(2, "softmax")])
    net.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    from evermodel.core.image import decode_images

    x = decode_images(first["picture"], (8, 8, 3)).astype("float32") / 255.0
    net.fit(x, (first["sign"] == "s1").cast(pl.Int32).to_numpy(), epochs=10, verbose=0)
    evermodel.adopt(net, data=first, target="sign", name="p", shuffled=True, home=tmp_path / "home")
    done = evermodel.update("p", pictures(80, 0.5), home=tmp_path / "home")
    assert (done.change, done.settings) == ("replay", {"ratio": 100.0, "epochs": 5})

"""Which recipe `auto` follows: by the kind of model, and by whether there is anything old yet."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import BadSetting, ContractBroken
from evermodel.core.model.ensemble import Ensemble, newest_member
from evermodel.core.model.output import Output
from evermodel.core.model.transform import Transform
from evermodel.core.records.update_record import DropInBreak
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version
from evermodel.updating.verdicts.retention_baseline import _keeps_what_was_adopted
from tests.updating.conftest import rows


def test_a_booster_becomes_an_ensemble_where_it_is_asked_for_and_the_window_leaves_rows_out(adopted):
    new = (rows(400, 3 + t, angle=0.5 * t) for t in range(3))
    done = [evermodel.update("m", block, ensemble=True, registry=adopted) for block in new]
    assert [d.strategy for d in done] == ["refit", "refit", "recency_ensemble"]
    assert all(d.refit for d in done if d.decision == "promote")


def test_a_network_becomes_a_blend_where_it_is_asked_for_and_the_window_leaves_rows_out(tmp_path):
    keras = pytest.importorskip("keras")
    frame = rows(500, 1).drop("kind", "when")
    x = frame.select("a", "b").to_numpy() / (1.0, 10.0)
    net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")])
    net.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy")
    net.fit(x, frame["y"].to_numpy(), epochs=10, verbose=0)
    scaled = frame.with_columns(pl.col("b") / 10.0)
    evermodel.adopt(net, data=scaled, target="y", name="n", transform="none", registry=tmp_path)
    done = []
    for t in range(3):
        new = rows(200, 3 + t, angle=0.8 * (t + 1)).drop("kind", "when").with_columns(pl.col("b") / 10.0)
        done.append(evermodel.update("n", new, ensemble=True, registry=tmp_path))
    assert [d.strategy for d in done] == ["refit", "refit", "blend"]
    assert DropInBreak.STRUCTURE in done[2].breaks and "several models answer together" in done[2].headline
    store = open_store(tmp_path)
    made = load_version(store, store.read_card("n", done[2].challenger))
    assert made.obj.roles == ("recent", "again", "window")


@pytest.fixture
def network(tmp_path):
    """The registry of a small network, "n"; its reference rows miss some values."""
    keras = pytest.importorskip("keras")
    frame = scaled(500, 1, 0.0)
    x = frame.select("a", "b").fill_null(0.0).to_numpy()
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")])
    net.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy")
    net.fit(x, frame["y"].to_numpy(), epochs=20, verbose=0)
    evermodel.adopt(net, data=frame, target="y", name="n", registry=tmp_path)
    return tmp_path


def scaled(n: int, seed: int, angle: float) -> pl.DataFrame:
    frame = rows(n, seed, angle).drop("kind", "when").with_columns((pl.col("b") - 10.0) / 5.0)
    return frame.with_columns(pl.when(pl.int_range(n) % 11 == 0).then(None).otherwise(pl.col("a")).alias("a"))


def test_a_booster_stays_as_large_as_it_was_however_many_rows_come(adopted):
    store = open_store(adopted)
    before = load_version(store, store.read_card("m", "v1"))
    done = [evermodel.update("m", rows(900, 3 + t, angle=0.3 * t), registry=adopted) for t in range(3)]
    after = load_version(store, store.read_card("m", done[2].challenger))
    assert {d.strategy for d in done} == {"refit"} and all(d.refit for d in done if d.decision == "promote")
    counts = [(m.framework.count_trees(m.obj), m.framework.count_leaves(m.obj)) for m in (before, after)]
    assert counts[1][0] <= counts[0][0] and counts[1][1] <= 1.1 * counts[0][1]
    assert not {DropInBreak.STRUCTURE, DropInBreak.SIZE, DropInBreak.INPUTS} & set(done[2].breaks)


def test_a_network_for_a_table_comes_back_as_the_file_that_it_was(network, tmp_path):
    import keras

    store = open_store(network)
    before = load_version(store, store.read_card("n", "v1"))
    done = [evermodel.update("n", scaled(300, 3 + t, 0.4), policy="refresh", registry=network) for t in range(2)]
    assert done[0].decision == "promote" and not {*done[0].breaks, *done[1].breaks} - {DropInBreak.LATENCY}
    saved = evermodel.save("n", to=tmp_path / "updated_model.h5", registry=network)
    assert saved.proof is not None and saved.proof.rows and saved.proof.inputs == (2,)
    plain = keras.models.load_model(tmp_path / "updated_model.h5")
    assert [type(e).__name__ for e in plain.layers] == [type(e).__name__ for e in before.obj.layers]
    assert [w.shape for w in plain.get_weights()] == [w.shape for w in before.obj.get_weights()]
    served = load_version(store, store.read_card("n", done[1].in_service))
    assert (served.transform, served.output) == (before.transform, before.output)
    new = scaled(40, 8, 0.4)
    answers = plain.predict(before.transform(new), verbose=0)[:, 0]
    np.testing.assert_allclose(answers, served.predict(new)[:, 1], atol=1e-6)
    assert evermodel.reproduce("n", done[1].challenger, registry=network).difference == 0.0


def test_an_unknown_category_counts_as_unknown_unless_the_model_is_to_be_widened(adopted):
    new = rows(400, 3).with_columns(
        pl.when(pl.int_range(400) % 10 == 0).then(pl.lit("new")).otherwise("kind").alias("kind")
    )
    store = open_store(adopted)
    before = load_version(store, store.read_card("m", "v1"))
    done = evermodel.update("m", new, dry_run=True, registry=adopted)
    assert any("'new' in 40 of 400 rows are new and count as unknown" in reason for reason in done.reasons)
    assert done.breaks in ((), (DropInBreak.LATENCY,))
    wide = evermodel.update("m", new, widen=True, registry=adopted)
    made = load_version(store, store.read_card("m", wide.challenger))
    assert not any("count as unknown" in reason for reason in wide.reasons)
    assert "new" in made.contract.column("kind").categories
    assert "new" not in before.contract.column("kind").categories


def test_rows_of_a_few_unknown_labels_are_left_out_and_named(adopted):
    frame = rows(600, 3).with_columns(pl.col("y").cast(pl.String))
    few = frame.with_columns(pl.when(pl.int_range(600) % 100 == 0).then(pl.lit("7")).otherwise("y").alias("y"))
    done = evermodel.update("m", few, dry_run=True, registry=adopted)
    assert any("6 of 600 rows are of classes" in r and "left out" in r for r in done.reasons)
    with pytest.raises(BadSetting, match="No row is of the new class"):
        evermodel.update("m", few, new_classes=[8], registry=adopted)


def test_a_champion_of_few_rows_that_is_not_shown_to_be_worse_stays_beside_the_new_network(network, tmp_path):
    import keras

    ensemble = {"ensemble": True, "policy": "refresh", "registry": network}
    done = [evermodel.update("n", scaled(200, 3 + t, 0.0), **ensemble) for t in range(2)]
    assert all(d.decision == "promote" and "gives half of each answer" in d.reasons[-1] for d in done)
    told = evermodel.report("n", "newest", to=tmp_path / "report.html", registry=network).to
    assert "by AUC 60 judged rows do not show it to be worse" in Path(told).read_text()
    store = open_store(network)
    served = [load_version(store, store.read_card("n", d.in_service)) for d in done]
    assert [m.obj.roles for m in served] == [("recent", "before_1"), ("recent", "before_1", "before_2")]
    assert evermodel.reproduce("n", done[1].in_service, registry=network).difference == 0.0
    evermodel.save("n", to=tmp_path / "updated_model.h5", proof=False, registry=network)
    plain = keras.models.load_model(tmp_path / "updated_model.h5")
    assert plain.count_params() == 3 * newest_member(served[0]).obj.count_params()
    told = json.loads((tmp_path / "updated_model.transform.json").read_text())
    transform, output = (
        Transform.from_json(json.dumps(told["transform"])),
        Output.from_json(json.dumps(told["output"])),
    )
    new = scaled(40, 8, 0.0)
    np.testing.assert_allclose(output(plain.predict(transform(new), verbose=0)), served[1].predict(new), atol=1e-5)
    third = evermodel.update("n", scaled(200, 9, 0.0), **ensemble)
    assert load_version(store, store.read_card("n", third.challenger)).obj.roles == (
        "recent",
        "again",
        "window",
        "deployed",
    )
    assert "as it was adopted" in third.reasons[-1] and "by AUC and log loss 60 judged" in third.reasons[-1]
    fourth = evermodel.update("n", scaled(400, 10, 2.5), **ensemble)  # now it is shown to be worse
    assert load_version(store, store.read_card("n", fourth.challenger)).obj.roles == ("recent", "again", "window")
    assert evermodel.reproduce("n", third.challenger, registry=network).difference == 0.0


def test_rows_remembered_at_adoption_do_not_judge_a_champion_that_the_adopted_one_stands_beside(network):
    evermodel.update("n", scaled(200, 3, 0.0), ensemble=True, registry=network)
    store = open_store(network)
    assert _keeps_what_was_adopted(store, store.read_card("n", "v2"))
    evermodel.update("n", scaled(200, 4, 0.0), strategy="refit", refit=False, registry=network)
    card = next(c for c in store.list_cards("n") if c.version == "v3")
    assert not _keeps_what_was_adopted(store, card), "trained anew, and nobody stands beside it"


def test_a_champion_that_is_shown_to_be_worse_goes(network):
    unasked = {"skill": None}  # the concept is nearly turned round, and the gate would quarantine such rows
    done = evermodel.update("n", scaled(400, 3, 2.5), ensemble=True, gates=unasked, registry=network)
    store = open_store(network)
    assert done.decision == "promote" and not any("is a blend" in r for r in done.reasons)
    assert not isinstance(load_version(store, store.read_card("n", done.in_service)).obj, Ensemble)


def test_of_networks_beside_each_other_the_newest_is_trained_anew(network):
    evermodel.update("n", scaled(200, 3, 0.0), ensemble=True, registry=network)
    done = evermodel.update("n", scaled(200, 4, 0.0), strategy="refit", refit=False, registry=network)
    store = open_store(network)
    assert not isinstance(load_version(store, store.read_card("n", done.challenger)).obj, Ensemble)


def test_a_version_that_nobody_stands_beside_is_built_again_so(network):
    new = scaled(400, 3, 0.2)
    auto = evermodel.update("n", new, ensemble=True, dry_run=True, registry=network)
    named = {"strategy": "refit", "settings": auto.settings, "margin": 20.0}  # the very settings that auto chooses
    done = evermodel.update("n", new, registry=network, **named)
    assert "is a blend" in auto.reasons[-1] and done.decision == "promote" and done.refit
    assert evermodel.reproduce("n", done.challenger, registry=network).difference == 0.0


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
    evermodel.adopt(net, data=first, target="grade", name="n", registry=tmp_path)
    new = graded(300, 2, [-0.5, 0.7, 1.5])
    with pytest.raises(ContractBroken, match="--new-class g3, or new_classes="):
        evermodel.update("n", new, registry=tmp_path)
    done = evermodel.update("n", new, new_classes=["g3"], registry=tmp_path)
    assert done.decision == "promote" and done.breaks == (DropInBreak.OUTPUTS,)
    assert all(np.isfinite(c.score) for c in done.candidates if c.strategy == "recalibrate")
    evermodel.predict_file("n", graded(50, 3, [-0.5, 0.7, 1.5]).drop("grade"), to=tmp_path / "p.csv", registry=tmp_path)
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
    registry, to = tmp_path / "registry", tmp_path / f"updated{suffix}"
    answers = net(x).detach().numpy()[:, 0]  # on these few rows two scalings fit nearly alike: the answers decide
    evermodel.adopt(file, data=frame, target="y", name="n", predictions=answers, registry=registry, **told)
    done = evermodel.update("n", scaled(200, 3, 0.0), policy="refresh", registry=registry, to=to)
    assert done.decision == "promote" and done.saved == str(to) and not done.breaks
    if suffix == ".pt2":
        store = open_store(registry)
        served, new = load_version(store, store.read_card("n", done.in_service)), scaled(50, 9, 0.0)
        made = json.loads(to.with_suffix(".transform.json").read_text())
        transform = Transform.from_json(json.dumps(made["transform"]))
        plain = torch.export.load(to).module()(torch.from_numpy(transform(new))).detach().numpy()
        np.testing.assert_allclose(plain[:, 0], served.predict(new)[:, 1], atol=1e-5)
    else:
        net.load_state_dict(load_file(to))
    again = evermodel.predict("n", frame.drop("y"), registry=registry)["p_1"].to_numpy()
    evermodel.adopt(to, data=frame, target="y", name="again", predictions=again, registry=registry, **told)


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
    from evermodel.core.data.image_decoding import decode_images

    x = decode_images(first["picture"], (8, 8, 3)).astype("float32") / 255.0
    net.fit(x, (first["sign"] == "s1").cast(pl.Int32).to_numpy(), epochs=10, verbose=0)
    evermodel.adopt(net, data=first, target="sign", name="p", shuffled=True, registry=tmp_path / "registry")
    done = evermodel.update("p", pictures(80, 0.5), registry=tmp_path / "registry")
    assert (done.strategy, done.settings) == ("replay", {"ratio": 100.0, "epochs": 5})

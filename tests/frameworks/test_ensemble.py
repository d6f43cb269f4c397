"""Ensembles of whole models: what they predict, their folder, the one network they become."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from evermodel.core.data.contract import Column, Contract
from evermodel.core.data.table import Table
from evermodel.core.errors import BadModel, BadSetting, Damaged, NotFound
from evermodel.core.model.ensemble import BEFORE, DEPLOYED, Ensemble, add_former_model, average_models, newest_member
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.training import Training
from evermodel.core.model.transform import Feature, Transform
from evermodel.core.records.column_roles import Roles
from evermodel.plugins.frameworks import ensemble as plugin
from evermodel.registry.model_export import write_model

keras = pytest.importorskip("keras")
from evermodel.plugins.frameworks import keras as networks  # noqa: E402

NAMES = ("a", "b", "kind")
TASKS = {"binary": (0, 1), "multiclass": ("x", "y", "z"), "regression": ()}
FRAME = pl.DataFrame(
    {
        "a": np.random.default_rng(0).normal(size=200) * 30 + 7,
        "b": [None if i % 9 == 0 else float(i) for i in range(200)],
        "kind": ["red", "green", "blue", "grey"] * 50,
        "y": np.arange(200) % 2,
    }
)


def contract(task: str = "binary") -> Contract:
    columns = (
        Column("a", "number", "Float64"),
        Column("b", "number", "Float64"),
        Column("kind", "category", "String", categories=("blue", "green", "red")),
    )
    return Contract(task=task, roles=Roles(target="y"), columns=columns, classes=TASKS[task])


def network(task: str = "binary", seed: int = 0, *, wide: bool = False, head: str = "own", **output: Any) -> Model:
    """A member with weights and a normalisation of its own; ``head`` "linear" gives logits."""
    random = np.random.default_rng(seed)
    fill = random.normal() if wide else 1.0
    features = (
        Feature("a", center=random.normal() * 9, scale=20 + 9 * random.random()),
        Feature("b", fill=fill, center=random.normal(), scale=50 + random.random()),
        Feature("kind", "onehot", categories=("blue", "green", "red")),
    )
    keras.utils.set_random_seed(seed)
    outputs, loss, activation = {
        "binary": (1, keras.losses.BinaryCrossentropy(from_logits=head == "linear"), "sigmoid"),
        "multiclass": (3, keras.losses.SparseCategoricalCrossentropy(from_logits=head == "linear"), "softmax"),
        "regression": (1, "mse", None),
    }[task]
    net = keras.Sequential([keras.Input((5,)), keras.layers.Dense(7, activation="relu"), keras.layers.Dense(outputs)])
    if head == "layer":
        net.add(keras.layers.Activation(activation))
    elif head == "own":
        net.layers[-1].activation = keras.activations.get(activation)
    net.compile(keras.optimizers.Adam(), loss)
    kind = "value" if task == "regression" else "logit" if head == "linear" else "probability"
    return Model(contract(task), Transform(features, scaling="standard"), net, networks, Output(kind, **output))


def three(task: str = "binary", **kw: Any) -> Model:
    given = [{}, {}, {}] if task == "regression" else [{}, {"temperature": 1.7}, {"shift": (0.1, -0.4, 0.2)}]
    if task == "binary":
        given[2] = {"shift": (0.1, -0.4)}
    if task == "regression":
        given = [{"scale": 3.0, "shift": (5.0,)}, {}, {"scale": 40.0, "shift": (-100.0,)}]
    members = {name: network(task, i, **kw, **given[i]) for i, name in enumerate(("recent", "replay", "new"))}
    return average_models(contract(task), members)


def linear(seed: int) -> Model:
    sklearn = pytest.importorskip("sklearn.linear_model")
    from evermodel.plugins.frameworks import sklearn as plug_sklearn

    x = np.random.default_rng(seed).normal(size=(60, 1))
    fitted = sklearn.LogisticRegression().fit(x, (x[:, 0] + seed > 0).astype(int))
    transform = Transform((Feature("a", center=7.0, scale=30.0),), dtype="float64")
    return Model(contract(), transform, fitted, plug_sklearn, Output("probability"))


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("head", ["own", "layer", "linear"])
def test_log_odds_are_averaged(task: str, head: str) -> None:
    made = three(task, head=head)
    mean = np.mean([np.log(m.predict(FRAME)) for m in made.obj.members], axis=0)
    wanted = np.exp(mean) / np.exp(mean).sum(1, keepdims=True)
    np.testing.assert_allclose(made.predict(FRAME), wanted, atol=2e-6)


def test_what_stands_beside_has_its_share_of_the_answer_and_the_oldest_leave() -> None:
    first, second, third, fourth = (network(seed=i, threshold=0.1 * (i + 1)) for i in range(4))
    second = dataclasses.replace(second, output=dataclasses.replace(second.output, offset=0.7))
    both = add_former_model(second, first, 0.5, BEFORE)
    assert both.obj.shares == (0.5, 0.5) and both.output.threshold == 0.2 and both.output.offset == 0.7
    odds = [np.log(m.predict(FRAME)[:, 1] / m.predict(FRAME)[:, 0]) for m in both.obj.members]
    got = both.predict(FRAME)
    np.testing.assert_allclose(np.log(got[:, 1] / got[:, 0]), np.mean(odds, axis=0) + 0.7, atol=2e-5)
    assert newest_member(both).obj is second.obj and newest_member(both).output.offset == 0.0
    threshold = dataclasses.replace(both.output, threshold=0.6)
    assert newest_member(dataclasses.replace(both, output=threshold)).output.threshold == 0.6
    more = add_former_model(third, both, 0.5, BEFORE)
    assert more.obj.shares == (0.5, 0.25, 0.25) and more.obj.roles == ("recent", "before_1", "before_2")
    assert [m.obj for m in more.obj.members] == [third.obj, second.obj, first.obj]
    most = add_former_model(fourth, more, 0.5, BEFORE)
    assert [m.obj for m in most.obj.members] == [fourth.obj, third.obj, second.obj]
    np.testing.assert_allclose(most.obj.shares, [1 / 2, 1 / 3, 1 / 6])
    blended = three()
    with_old = add_former_model(blended, fourth, 0.25, DEPLOYED)
    assert with_old.obj.roles == ("recent", "replay", "new", "deployed") and with_old.obj.shares == (0.25,) * 4
    assert newest_member(with_old) is with_old and newest_member(blended) is blended and newest_member(first) is first
    assert newest_member(add_former_model(second, first, 0.25, DEPLOYED)).obj is second.obj


def test_log_odds_stay_true_where_probabilities_have_no_digits_left() -> None:
    sure, doubt = network(seed=0), network(seed=1)
    for member, odds in ((sure, 40.0), (doubt, -39.0)):
        kernel = np.zeros_like(member.obj.layers[-1].get_weights()[0])
        member.obj.layers[-1].set_weights([kernel, np.array([odds], np.float32)])
    both = average_models(contract(), {"sure": sure, "doubt": doubt})
    np.testing.assert_allclose(both.predict(FRAME)[:, 1], 1 / (1 + np.exp(-0.5)), atol=1e-6)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_one_network_predicts_the_same_in_plain_keras_and_trains_on(task: str, suffix: str, tmp_path: Path) -> None:
    made = three(task)
    corrected = {"gain": 1.1, "offset": 0.4} if task == "regression" else {"offset": 0.4}
    made = dataclasses.replace(made, output=dataclasses.replace(made.output, threshold=0.3, **corrected))
    files = write_model(made, tmp_path / f"model{suffix}")
    assert files[0].suffix == suffix and files[1].name == "model.transform.json"
    one = plugin.export_model(made)
    assert task == "regression" or one.output.threshold == 0.3
    net, x = keras.models.load_model(files[0]), one.transform(FRAME)
    wanted = made.predict(FRAME)
    size = 1e-5 * max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(one.output(net.predict(x, verbose=0)), wanted, atol=size)
    np.testing.assert_allclose(one.output(networks.predict(networks.read_file(files[0]), x)), wanted, atol=size)
    before = net.get_weights()
    net.fit(x, np.zeros(200), epochs=1, verbose=0)
    changed = [not np.array_equal(a, b) for a, b in zip(before, net.get_weights(), strict=True)]
    assert all(changed[i] for i in range(0, len(changed), 4))


def test_networks_that_fill_missing_values_differently_go_only_into_a_folder(tmp_path: Path) -> None:
    made = three(wide=True)
    with pytest.raises(BadModel, match="fill"):
        write_model(made, tmp_path / "model.h5")
    assert write_model(made, tmp_path / "folder")
    np.testing.assert_array_equal(
        plugin.predict(plugin.load(tmp_path / "folder"), FRAME), plugin.predict(made.obj, FRAME)
    )


@pytest.mark.parametrize("task", TASKS)
def test_a_folder_gives_back_the_same_bits(task: str, tmp_path: Path) -> None:
    made = three(task)
    plugin.save(made.obj, tmp_path)
    again = plugin.load(tmp_path)
    assert (again.roles, again.shares, again.space) == (made.obj.roles, made.obj.shares, made.obj.space)
    np.testing.assert_array_equal(plugin.predict(again, FRAME), plugin.predict(made.obj, FRAME))


def test_members_of_several_frameworks_and_what_they_cannot(tmp_path: Path) -> None:
    mixed = average_models(contract(), {"net": network(), "line": linear(1)})
    mean = np.mean([np.log(m.predict(FRAME)) for m in mixed.obj.members], axis=0)
    np.testing.assert_allclose(mixed.predict(FRAME), np.exp(mean) / np.exp(mean).sum(1, keepdims=True), atol=2e-6)
    plugin.save(mixed.obj, tmp_path)
    np.testing.assert_array_equal(plugin.predict(plugin.load(tmp_path), FRAME), plugin.predict(mixed.obj, FRAME))
    assert not mixed.signature.network and three().signature.network
    with pytest.raises(BadModel, match=r"keras, sklearn"):
        plugin.export_model(mixed)
    with pytest.raises(BadSetting):
        plugin.write_file(mixed.obj, tmp_path / "model.h5")


@pytest.mark.parametrize("from_scratch", [True, False])
def test_fit_trains_every_member_and_leaves_the_given_ones_alone(from_scratch: bool) -> None:
    made, before = three(), three()
    rows = Table(FRAME, Roles(target="y"))
    grown = made.fit(rows, Training(epochs=1), from_scratch=from_scratch)
    for old, new, was in zip(made.obj.members, grown.obj.members, before.obj.members, strict=True):
        assert not np.array_equal(old.obj.get_weights()[0], new.obj.get_weights()[0])
        assert np.array_equal(old.obj.get_weights()[0], was.obj.get_weights()[0])
        assert (old.transform != new.transform) == from_scratch


def test_a_new_class_widens_every_network() -> None:
    made = three("multiclass")
    wider = plugin.widen(made.obj, inputs=3, outputs=4)
    p = plugin.predict(wider, FRAME)
    assert p.shape == (200, 4) and plugin.read_signature(wider).outputs == 4
    np.testing.assert_allclose(p[:, :3], plugin.predict(made.obj, FRAME), atol=1e-5)


@pytest.mark.parametrize("fault", ["none", "roles", "shares", "negative", "nested", "tasks", "space"])
def test_bad_members_are_refused(fault: str) -> None:
    good = network()
    members: tuple[Model, ...] = (good, network(seed=1))
    shares, roles, space = (0.5, 0.5), ("a", "b"), "logit"
    if fault == "none":
        members, shares, roles = (), (), ()
    elif fault in ("roles", "shares", "negative"):
        shares = {"shares": (0.5, 0.6), "negative": (1.5, -0.5)}.get(fault, shares)
        roles = ("a", "a") if fault == "roles" else roles
    elif fault == "nested":
        members = (good, three())
    elif fault == "tasks":
        members = (good, network("regression"))
    else:
        space = "value"
    with pytest.raises(BadModel):
        Ensemble(members, shares, space, roles)  # type: ignore[arg-type]


def test_a_broken_folder_is_said_to_be_broken(tmp_path: Path) -> None:
    plugin.save(three().obj, tmp_path / "a" if (tmp_path / "a").mkdir() is None else tmp_path)
    listed = tmp_path / "a" / "ensemble.json"
    text = listed.read_text()
    listed.write_text(text.replace('"keras"', '"../keras"'))
    with pytest.raises(NotFound):
        plugin.load(tmp_path / "a")
    for broken in ("{", "[]", "{}", text.replace('"shares"', '"share"')):
        listed.write_text(broken)
        with pytest.raises(Damaged):
            plugin.load(tmp_path / "a")
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(Damaged):
        plugin.load(tmp_path / "a")

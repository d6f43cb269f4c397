"""Files made to run code, to read other files or to eat the memory: each is refused, and nothing of it happens."""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if importlib.util.find_spec("keras") is None:
    pytest.skip('needs pip install "evermodel[keras]"', allow_module_level=True)

import keras
from keras import layers
from keras_attack_files import Change, altered, good

from evermodel.core.errors import BadModel, Unsafe
from evermodel.plugins.frameworks import keras as plugin


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def touching(canary: Path) -> Any:
    """A Lambda whose code makes the canary file, with its path inside the code itself."""
    return layers.Lambda(eval(f"lambda t: (open({str(canary)!r}, 'w').close(), t)[1]"), name="evil")  # noqa: S307


def nested(kind: str, evil: Any) -> Any:
    """A model that hides ``evil`` one level down."""
    if kind == "sub-model":
        evil = keras.Sequential([keras.Input((2, 3)), evil])
    elif kind == "TimeDistributed":
        evil = layers.TimeDistributed(evil)
    return keras.Sequential([keras.Input((2, 3)), evil, layers.Flatten(), layers.Dense(1)])


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_the_canary_sings_when_the_file_is_trusted(tmp_path: Path, canary: Path, suffix: str) -> None:
    """The attack is a real one: Keras's own loader, told to trust, does run the code."""
    nested("plain", touching(canary)).save(tmp_path / f"evil{suffix}")
    canary.unlink(missing_ok=True)
    plugin.read_file(tmp_path / f"evil{suffix}", trust=True).predict(np.zeros((1, 2, 3)), verbose=0)
    assert canary.exists()


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("kind", ["plain", "sub-model", "TimeDistributed"])
def test_a_lambda_is_refused_wherever_it_hides(tmp_path: Path, canary: Path, kind: str, suffix: str) -> None:
    nested(kind, touching(canary)).save(tmp_path / f"evil{suffix}")
    canary.unlink(missing_ok=True)
    with pytest.raises(Unsafe, match="Lambda") as caught:
        plugin.read_file(tmp_path / f"evil{suffix}")
    assert "trust" in caught.value.hint
    assert not canary.exists()


def test_a_lambda_inside_bidirectional_is_refused(tmp_path: Path) -> None:
    def hide(config: dict[str, Any]) -> None:
        inner = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "os.system"}}
        entry = {"module": "keras.layers", "class_name": "Bidirectional", "config": {"name": "b", "layer": inner}}
        config["config"]["layers"].insert(1, {**entry, "registered_name": None})

    for suffix in (".h5", ".keras"):
        with pytest.raises(Unsafe, match="Lambda"):
            plugin.read_file(altered(tmp_path, hide, suffix))


def layer(**entry: Any) -> Change:
    """Puts one more layer into the model."""
    full = {"module": "keras.layers", "config": {"name": "evil"}, "registered_name": None, **entry}
    return lambda config: config["config"]["layers"].insert(1, copy.deepcopy(full))


def setting(key: str, value: Any) -> Change:
    """Sets one setting of the first Dense layer."""
    return lambda config: config["config"]["layers"][1]["config"].update({key: value})


def call(module: str, name: str, registered: str | None = None) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": registered or name}


STRUCTURES: dict[str, Change] = {
    "os.system as a layer (CVE-2025-1550)": layer(module="os", class_name="function", config="system"),
    "os.system as an activation": setting("activation", call("os", "system")),
    "builtins eval": setting("activation", call("builtins", "eval")),
    "builtins as a class": layer(module="builtins", class_name="exec"),
    "a lambda as an activation": setting(
        "activation", {"class_name": "__lambda__", "config": {"value": ["4wEA", None, None]}}
    ),
    "a lambda as an initializer": setting(
        "kernel_initializer", {"class_name": "__lambda__", "config": {"value": "4wEA"}}
    ),
    "keras.utils.get_file": setting("activation", call("keras.utils", "get_file")),
    "keras.src.utils.file_utils.get_file": layer(module="keras.src.utils.file_utils", class_name="get_file"),
    "keras.models.load_model": setting("activation", call("keras.models", "load_model")),
    "keras.config.enable_unsafe_deserialization": setting(
        "kernel_initializer", call("keras.config", "enable_unsafe_deserialization")
    ),
    "keras.saving.load_model as a class": layer(module="keras.saving", class_name="load_model"),
    "a path through keras to os": layer(module="keras.src.utils.io_utils.os", class_name="system"),
    "keras_hub": layer(module="keras_hub.models", class_name="Backbone"),
    "a registered class": layer(class_name="Dense", registered_name="evil>Dense"),
    "a module that only begins like keras": layer(module="kerasevil.layers", class_name="Dense"),
    "TFSMLayer": layer(class_name="TFSMLayer", config={"filepath": "/tmp/evil", "name": "evil"}),  # noqa: S108
    "TorchModuleWrapper": layer(class_name="TorchModuleWrapper"),
    "TFOpLambda": layer(class_name="TFOpLambda", config={"name": "evil", "function": "io.read_file"}),
    "StringLookup on a file": layer(class_name="StringLookup", config={"name": "v", "vocabulary": "/etc/passwd"}),
    "TextVectorization on a file": layer(
        class_name="TextVectorization", config={"name": "v", "vocabulary": "/etc/passwd"}
    ),
    "IntegerLookup on a file": layer(class_name="IntegerLookup", config={"name": "v", "vocabulary": "/etc/passwd"}),
    "an operation that takes a function": layer(module="keras.src.ops.core", class_name="Map"),
    "a type specification": setting("activation", {"class_name": "__typespec__", "config": [], "module": "os"}),
    "a class with no listed name": layer(class_name="Layer"),
    "a model of another class": lambda config: config.update(class_name="MyModel", module="my.models"),
    "a module without a class": setting("activation", {"module": "os", "registered_name": "system"}),
}


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("change", STRUCTURES.values(), ids=STRUCTURES.keys())
def test_a_structure_that_names_anything_foreign_is_refused(tmp_path: Path, change: Change, suffix: str) -> None:
    with pytest.raises(Unsafe) as caught:
        plugin.read_file(altered(tmp_path, change, suffix))
    assert caught.value.hint


BROKEN: dict[str, Change] = {
    "no layers": lambda config: config.update(config={}),
    "layers of numbers": lambda config: config["config"].update(layers=[1, 2]),
    "a class name that is a list": layer(class_name=["Dense"]),
    "an unknown activation": setting("activation", "os.system"),
    "a billion billion units": setting("units", 10**18),
    "a million by a million units": lambda config: [
        e["config"].update(units=10**6) for e in config["config"]["layers"][1:]
    ],  # type: ignore[func-returns-value]
    "negative units": setting("units", -1),
    "deeper than any model": setting("units", json.loads("[" * 300 + "]" * 300)),
    "not a model": lambda config: config.update(class_name="Dense"),
}


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_structure_is_refused(tmp_path: Path, change: Change, suffix: str) -> None:
    with pytest.raises(BadModel) as caught:
        plugin.read_file(altered(tmp_path, change, suffix))
    assert caught.value.hint


def test_a_hostile_loss_is_refused_and_a_custom_one_left_out(tmp_path: Path, canary: Path) -> None:
    def with_loss(module: str, name: str) -> Path:
        def change(config: dict[str, Any]) -> None:
            config["compile_config"]["loss"] = call(module, name)

        return altered(tmp_path, change, ".keras")

    with pytest.raises(Unsafe):
        plugin.read_file(with_loss("os", "system"))
    with pytest.warns(UserWarning, match="without its training settings"):
        assert not plugin.read_file(with_loss("my_project.losses", "focal")).compiled


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    for suffix in (".h5", ".keras"):
        with pytest.raises(BadModel):
            plugin.read_file(altered(tmp_path, setting("units", 5), suffix))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_bits_flipped_anywhere_never_end_in_a_crash(tmp_path: Path, suffix: str) -> None:
    """A damaged file either still reads or raises BadModel; nothing else comes out."""
    whole = bytearray(good(tmp_path / f"good{suffix}").read_bytes())
    draw = np.random.default_rng(0)
    outcomes = set()
    for trial in range(25):
        broken = bytearray(whole)
        for place in draw.integers(0, len(whole), 20):
            broken[place] ^= int(draw.integers(1, 256))
        path = tmp_path / f"broken{trial}{suffix}"
        path.write_bytes(bytes(broken))
        try:
            plugin.read_file(path)
            outcomes.add("read")
        except BadModel:
            outcomes.add("refused")
    assert "refused" in outcomes


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_refused_giant_leaves_nothing_behind(tmp_path: Path, suffix: str) -> None:
    """Keras keeps a list of variables to make up for; a giant left in it would fill the memory at the next training."""
    from keras.src.backend.common import global_state

    path = altered(tmp_path, setting("units", 10**11), suffix)
    before = list(global_state.get_global_attribute("uninitialized_variables") or [])
    with pytest.raises(BadModel, match="asks for"):
        plugin.read_file(path)
    assert list(global_state.get_global_attribute("uninitialized_variables") or []) == before

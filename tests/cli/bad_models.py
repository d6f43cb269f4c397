"""Model files that are broken, are something else, or would run code."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable, Sequence

from tests.cli.ground import Case, Ground

Typed = Callable[[Ground], Sequence[str]]


class Bomb:
    """Unpickling it makes a folder called "canary" in the folder one is in."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("canary",)


BOMB = pickle.dumps(Bomb())
NOISE = bytes(range(256)) * 20


def adopt(model: str, g: Ground, *more: str) -> list[str]:
    return ["adopt", model, "--data", str(g.reference), "--target", "y", "--name", "other", *more]


def file(name: str, data: bytes | str) -> Typed:
    return lambda g: adopt(g.put(name, data), g)


def cut_booster(g: Ground) -> list[str]:
    text = g.model.read_text()
    return adopt(g.put("cut.txt", text[: len(text) // 2]), g)


def grown_booster(g: Ground) -> list[str]:
    """One number of a tree points far outside."""
    text = g.model.read_text()
    at = text.index("left_child=") + len("left_child=")
    return adopt(g.put("grown.txt", text[:at] + "999999999" + text[text.index(" ", at) :]), g)


def trusting_another(g: Ground) -> list[str]:
    return adopt(g.put("bomb.pkl", BOMB), g, "--trust", str(g.model))


def a_folder(g: Ground) -> list[str]:
    (g.folder / "model").mkdir()
    return adopt(str(g.folder / "model"), g)


def a_loop(g: Ground) -> list[str]:
    (g.folder / "a.h5").symlink_to(g.folder / "b.h5")
    (g.folder / "b.h5").symlink_to(g.folder / "a.h5")
    return adopt(str(g.folder / "a.h5"), g)


def bad_transform(g: Ground) -> list[str]:
    return adopt(str(g.model), g, "--transform", g.put("t.transform.json", "{"))


def archive(suffix: str, members: dict[str, bytes]) -> Typed:
    def typed(g: Ground) -> list[str]:
        with zipfile.ZipFile(g.folder / f"evil{suffix}", "w") as whole:
            for name, data in members.items():
                whole.writestr(name, data)
        return adopt(str(g.folder / f"evil{suffix}"), g)

    return typed


def lambda_layer(suffix: str) -> Typed:
    """CVE-2025-9905: a Lambda layer whose code is in the file."""

    def typed(g: Ground) -> list[str]:
        import keras

        inner = keras.layers.Lambda(lambda t: t * 2, name="evil", output_shape=(3,))
        keras.Sequential([keras.Input((3,)), inner, keras.layers.Dense(1)]).save(g.folder / f"evil{suffix}")
        return adopt(str(g.folder / f"evil{suffix}"), g)

    return typed


def foreign(suffix: str) -> Typed:
    """CVE-2025-1550: the configuration names a function of another module."""

    def typed(g: Ground) -> list[str]:
        return adopt(str(_named_foreign(g, suffix)), g)

    return typed


def _named_foreign(g: Ground, suffix: str) -> object:
    import h5py
    import keras

    at = g.folder / f"good{suffix}"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="d")]).save(at)
    evil = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}

    def change(config: dict[str, object]) -> str:
        config["config"]["layers"][1]["config"]["activation"] = evil  # type: ignore[index]
        return json.dumps(config)

    if suffix == ".h5":
        with h5py.File(at, "a") as whole:
            whole.attrs["model_config"] = change(json.loads(whole.attrs["model_config"]))
        return at
    with zipfile.ZipFile(at) as whole:
        members = {i.filename: whole.read(i) for i in whole.infolist()}
    members["config.json"] = change(json.loads(members["config.json"])).encode()
    with zipfile.ZipFile(g.folder / "evil.keras", "w") as whole:
        for name, data in members.items():
            whole.writestr(name, data)
    return g.folder / "evil.keras"


def cut_h5(g: Ground) -> list[str]:
    import keras

    keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]).save(g.folder / "cut.h5")
    whole = (g.folder / "cut.h5").read_bytes()
    return adopt(g.put("cut.h5", whole[: len(whole) // 2]), g)


def weights_only(g: Ground) -> list[str]:
    import keras

    keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]).save_weights(g.folder / "only.weights.h5")
    return adopt(str(g.folder / "only.weights.h5"), g)


TREES = '{"version":[3,0,0],"learner":' + "[" * 5000 + "]" * 5000 + "}"
CASES = [
    Case("no model file", lambda g: adopt("nowhere.h5", g), "no model file", hint=True),
    Case("an empty model file", file("m.h5", ""), "empty", hint=True),
    Case("a model file of an unknown kind", file("m.onnx", NOISE), "no model file we know", hint=True),
    Case("a folder as model", a_folder, "no model file we know|folder", hint=True),
    Case("a device as model", lambda g: adopt("/dev/zero", g), "no model file we know|device", hint=True),
    Case("a loop of links as model", a_loop, "model file|links"),
    Case("NUL in the model's path", lambda g: adopt("m\0.h5", g), "model file|path"),
    Case("a model's path of 5000 letters", lambda g: adopt("x" * 5000 + ".h5", g), "model file|path"),
    Case("a pickle bomb", file("bomb.pkl", BOMB), "runs whatever code", hint=True),
    Case("a pickle bomb named .joblib", file("bomb.joblib", BOMB), "runs whatever code", hint=True),
    Case("a pickle bomb, another file trusted", trusting_another, "no Python file and not the model", hint=True),
    Case("a pickle bomb named .h5", file("bomb.h5", BOMB), "bomb.h5"),
    Case("a pickle bomb named .keras", file("bomb.keras", BOMB), "bomb.keras"),
    Case("a pickle bomb named .skops", file("bomb.skops", BOMB), "bomb.skops"),
    Case("a pickle bomb named .txt", file("bomb.txt", BOMB), "bomb.txt"),
    Case("a pickle bomb named .json", file("bomb.json", BOMB), "bomb.json"),
    Case("a pickle bomb named .ubj", file("bomb.ubj", BOMB), "bomb.ubj"),
    Case("a pickle bomb named .pt2", file("bomb.pt2", BOMB), "bomb.pt2"),
    Case("a pickle bomb named .pt", file("bomb.pt", BOMB), "bomb.pt", hint=True),
    Case("a pickle in a .skops archive", archive(".skops", {"schema.json": BOMB, "x.pkl": BOMB}), "evil.skops"),
    Case(
        "a .skops archive of os.system",
        archive(
            ".skops",
            {
                "schema.json": json.dumps(
                    {
                        "__class__": "function",
                        "__module__": "os",
                        "__loader__": "FunctionNode",
                        "__id__": 1,
                        "protocol": 2,
                        "content": {"module_path": "os", "function": "system"},
                        "_skops_version": "0.13",
                    }
                ).encode()
            },
        ),
        "evil.skops",
        hint=True,
        signature="skops",
    ),
    Case("LightGBM text cut off", cut_booster, "cut.txt"),
    Case("LightGBM with a child far outside", grown_booster, "grown.txt"),
    Case("XGBoost JSON of noise", file("x.json", '{"learner": {"x": 1}, "version": [3,0,0]}'), "x.json"),
    Case("JSON nested 5000 deep", file("x.json", TREES), "x.json"),
    Case("UBJSON of noise", file("x.ubj", b"{L" + NOISE), "x.ubj"),
    Case("safetensors of noise", file("x.safetensors", NOISE), "x.safetensors|factory"),
    Case("a transform that is no JSON", bad_transform, "t.transform.json"),
    Case(
        "zip-slip in .keras",
        archive(".keras", {"config.json": b"{}", "metadata.json": b"{}", "../../evil.txt": b"x"}),
        "leads out",
        hint=True,
        signature="keras",
    ),
    Case("a Lambda in .h5 (CVE-2025-9905)", lambda_layer(".h5"), "Lambda", hint=True, signature="keras", slow=True),
    Case("a Lambda in .keras", lambda_layer(".keras"), "Lambda", hint=True, signature="keras", slow=True),
    Case("os.system in .h5", foreign(".h5"), "os", hint=True, signature="keras", slow=True),
    Case("os.system in .keras (CVE-2025-1550)", foreign(".keras"), "os", hint=True, signature="keras", slow=True),
    Case("a truncated .h5", cut_h5, "cut.h5", signature="keras", slow=True),
    Case("weights without a model", weights_only, "only.weights.h5", signature="keras", slow=True),
]

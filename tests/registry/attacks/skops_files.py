"""Files of scikit-learn (skops) whose parts are not what training makes: trees, members of the archive, types."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Json = dict[str, Any]
EVAL = {"__class__": "eval", "__module__": "builtins", "__loader__": "FunctionNode", "content": {}}


def make_rows() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(200, 4))
    return x, (x[:, 0] - x[:, 1] > 0).astype(int)


def spoil(tree: Any, how: str) -> None:
    """Points the root of a fitted tree somewhere else."""
    state = tree.tree_.__getstate__()
    nodes = state["nodes"].copy()
    field, value = {
        "outside": ("left_child", 2**40),
        "negative": ("right_child", -(2**40)),
        "loop": ("left_child", 0),
        "column": ("feature", 2**40),
        "negative column": ("feature", -(2**40)),
    }[how]
    nodes[field][0] = value
    state["nodes"] = nodes
    tree.tree_.__setstate__(state)


def make_trees() -> dict[str, Any]:
    """Estimators with a spoiled tree at every place where scikit-learn keeps one."""
    from sklearn import ensemble as e
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

    x, y = make_rows()
    found: dict[str, Any] = {}
    for how in ("outside", "negative", "loop", "column", "negative column"):
        found[f"tree {how}"] = tree = DecisionTreeClassifier(max_depth=3).fit(x, y)
        spoil(tree, how)
    for how in ("outside", "loop"):
        found[f"forest {how}"] = forest = e.RandomForestClassifier(2, max_depth=3).fit(x, y)
        found[f"boosting {how}"] = boosted = e.GradientBoostingClassifier(n_estimators=2).fit(x, y)
        found[f"bagged {how}"] = bagged = e.BaggingClassifier(make_pipeline(ExtraTreeClassifier()), 2).fit(x, y)
        spoil(forest.estimators_[1], how)
        spoil(boosted.estimators_[0, 0], how)
        spoil(bagged.estimators_[1][-1], how)
    found["first model outside"] = e.GradientBoostingClassifier(init=DecisionTreeClassifier(), n_estimators=2).fit(x, y)
    spoil(found["first model outside"].init_, "outside")
    stacked = e.StackingClassifier([("a", LogisticRegression())], DecisionTreeClassifier(), cv=2).fit(x, y)
    spoil(stacked.final_estimator_, "outside")
    found["stacked outside"] = stacked
    found["embedding outside"] = make_pipeline(e.RandomTreesEmbedding(2, max_depth=2), LogisticRegression()).fit(x, y)
    spoil(found["embedding outside"][0].estimators_[0], "outside")
    for field, value in {"left": 2**31 - 7, "right": 0, "feature_idx": 2**30}.items():
        found[f"histogram {field}"] = histogram = e.HistGradientBoostingClassifier(max_iter=2).fit(x, y)
        histogram._predictors[0][0].nodes[field][0] = value
    found["memory of a pipeline"] = make_pipeline(LogisticRegression()).fit(x, y).set_params(memory="somewhere")
    return found


def archive(source: bytes, change: Callable[[zipfile.ZipFile, zipfile.ZipFile, Json], None]) -> bytes:
    """The archive again; ``change`` writes what is different of (old, new, schema)."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(source)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        change(old, new, json.loads(old.read("schema.json")))
    return out.getvalue()


def with_schema(edit: Callable[[Json], object]) -> Callable[[zipfile.ZipFile, zipfile.ZipFile, Json], None]:
    def change(old: zipfile.ZipFile, new: zipfile.ZipFile, schema: Json) -> None:
        edit(schema)
        for name in old.namelist():
            new.writestr(name, json.dumps(schema) if name == "schema.json" else old.read(name))

    return change


def with_member(name: str, data: bytes) -> Callable[[zipfile.ZipFile, zipfile.ZipFile, Json], None]:
    def change(old: zipfile.ZipFile, new: zipfile.ZipFile, schema: Json) -> None:
        for there in old.namelist():
            new.writestr(there, data if there == name else old.read(there))
        if name not in old.namelist():
            new.writestr(name, data)

    return change


def giant_array() -> bytes:
    """The head of a .npy file that claims 8 TB, and nothing after it."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    return out.getvalue()


def object_array() -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([print], dtype=object), allow_pickle=True)
    return out.getvalue()


def write_attacks(folder: Path) -> list[Path]:
    import skops.io
    from sklearn.linear_model import LogisticRegression

    x, y = make_rows()
    sound = skops.io.dumps(LogisticRegression().fit(x, y))
    with zipfile.ZipFile(io.BytesIO(sound)) as opened:
        array = next(name for name in opened.namelist() if name.endswith(".npy"))
    archives = {
        "a foreign type": with_schema(lambda s: s.update(__module__="os", __class__="system")),
        "a function": with_schema(lambda s: s["content"]["content"].update(f=EVAL)),
        "a loader there is not": with_schema(lambda s: s.update(__loader__="EvalNode")),
        "a schema that is a list": with_member("schema.json", b"[1, 2]"),
        "a schema nested": with_member("schema.json", b'{"a":' + b"[" * 200_000),
        "a schema of 100 MB": with_member("schema.json", b" " * 100_000_000),
        "a giant array": with_member(array, giant_array()),
        "an array of objects": with_member(array, object_array()),
        "an array of noise": with_member(array, b"\x93NUMPY\x01\x00" + bytes(range(256))),
        "an array that unpacks to 1.5 GB": with_member(array, b"\0" * 1_500_000_000),
        "an array that is gone": with_member(array, b""),
        "a version of the far future": with_schema(lambda s: s.update(protocol=10**9)),
    }
    files = []
    for name, change in archives.items():
        at = folder / f"skops {name}.skops"
        at.write_bytes(archive(sound, change))
        files.append(at)
    for name, estimator in make_trees().items():
        at = folder / f"skops {name}.skops"
        skops.io.dump(estimator, at)
        files.append(at)
    whole = {"noise": b"PK\x03\x04" + bytes(range(256)) * 10, "empty": b"", "cut": sound[: len(sound) // 2]}
    for name, data in whole.items():
        at = folder / f"skops {name}.skops"
        at.write_bytes(data)
        files.append(at)
    return files

"""LightGBM and XGBoost files with one thing wrong that their own readers do not look at, or look at too late."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Json = dict[str, Any]


def make_rows() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(400, 4))
    return x, (x[:, 0] - x[:, 1] > 0).astype(int)


# -- LightGBM ----------------------------------------------------------------------------------------------------------
def make_lightgbm() -> str:
    import lightgbm

    x, y = make_rows()
    settings = {"objective": "binary", "verbosity": -1, "num_leaves": 7, "num_threads": 1}
    return lightgbm.train(settings, lightgbm.Dataset(x, y), 3).model_to_string()


def replace_line(key: str, value: str) -> Callable[[str], str]:
    """The first line ``key=…`` of the first tree, or of the header, with another value."""

    def change(text: str) -> str:
        lines = text.split("\n")
        at = next(i for i, line in enumerate(lines) if line.startswith(f"{key}="))
        return _fix_sizes("\n".join([*lines[:at], f"{key}={value}", *lines[at + 1 :]]))

    return change


def _fix_sizes(text: str) -> str:
    """``tree_sizes`` as the changed trees need it, so that nothing but the attack is wrong."""
    head, *trees = text.split("\n\nTree=")
    if not trees:
        return text
    last, end = trees[-1].split("end of trees", 1)
    bodies = [f"Tree={t}" for t in [*(f"{t}\n\n" for t in trees[:-1]), last]]
    sizes = " ".join(str(len(body)) for body in bodies)
    lines = [f"tree_sizes={sizes}" if line.startswith("tree_sizes=") else line for line in head.split("\n")]
    return "\n".join(lines) + "\n\n" + "".join(bodies) + "end of trees" + end


def edit_number(key: str, place: int, value: str) -> Callable[[str], str]:
    """One number in a list of the first tree."""

    def change(text: str) -> str:
        line = next(line for line in text.split("\n") if line.startswith(f"{key}="))
        numbers = line.partition("=")[2].split(" ")
        numbers[place] = value
        return replace_line(key, " ".join(numbers))(text)

    return change


def one_tree(**fields: str) -> Callable[[str], str]:
    """The header of a sound file and one tree made of ``fields``."""
    tree = "Tree=0\n" + "\n".join(f"{k}={v}" for k, v in fields.items()) + "\n\n\n"

    def change(text: str) -> str:
        return _fix_sizes(text[: text.index("\n\nTree=")] + "\n\n" + tree + "end of trees\n\npandas_categorical:null\n")

    return change


def deep_chain(n: int) -> Callable[[str], str]:
    left = " ".join(str(-(i + 1)) for i in range(n))
    right = " ".join([*(str(i + 1) for i in range(n - 1)), str(-(n + 1))])
    many = {"split_feature": "0", "threshold": "-9", "decision_type": "2"}
    fields = {k: " ".join([v] * n) for k, v in many.items()}
    leaves = " ".join(["0.1"] * (n + 1))
    return one_tree(
        num_leaves=str(n + 1),
        num_cat="0",
        **fields,
        left_child=left,
        right_child=right,
        leaf_value=leaves,
        is_linear="0",
        shrinkage="1",
    )


LIGHTGBM: dict[str, Callable[[str], str]] = {
    "a left child far outside": edit_number("left_child", 0, "1000000000"),
    "a right child far outside": edit_number("right_child", 0, "-1000000000"),
    "a loop": edit_number("left_child", 1, "0"),
    "a node that is its own child": edit_number("right_child", 0, "0"),
    "a column far outside": edit_number("split_feature", 0, "1000000000"),
    "a negative column": edit_number("split_feature", 0, "-5"),
    "more leaves than values": replace_line("num_leaves", "9"),
    "a billion leaves": replace_line("num_leaves", "1000000000"),
    "minus one leaves": replace_line("num_leaves", "-1"),
    "a billion categories": replace_line("num_cat", "1000000000"),
    "a categorical node without its table": edit_number("decision_type", 0, "1"),
    "a linear tree without its terms": replace_line("is_linear", "1"),
    "one linear leaf": one_tree(
        num_leaves="1",
        num_cat="0",
        leaf_value="0.5",
        is_linear="1",
        leaf_const="1",
        num_features="1000000000",
        leaf_features="",
        leaf_coeff="",
        shrinkage="1",
    ),
    "a linear leaf of a column outside": one_tree(
        num_leaves="1",
        num_cat="0",
        leaf_value="0.5",
        is_linear="1",
        leaf_const="1",
        num_features="1",
        leaf_features="999999999",
        leaf_coeff="1",
        shrinkage="1",
    ),
    "one leaf with a billion categories": one_tree(
        num_leaves="1", num_cat="1000000000", leaf_value="0.5", is_linear="0", shrinkage="1"
    ),
    "a chain of 100000": deep_chain(100_000),
    "a hundred thousand classes": replace_line("num_class", "100000"),
    "a billion trees a round": replace_line("num_tree_per_iteration", "1000000000"),
    "a billion columns": replace_line("max_feature_idx", "999999999"),
    "fewer columns than are used": replace_line("max_feature_idx", "0"),
    "an objective that is none": replace_line("objective", "os.system('true')"),
    "sizes that are none": lambda text: text.replace("tree_sizes=", "tree_sizes=9999999999 "),
    "cut in the middle": lambda text: text[: len(text) // 2],
    "a hundred thousand headers": lambda text: "tree\n" * 100_000 + text,
    "one line of 30 MB": lambda text: text.replace("feature_names=", "feature_names=" + "a" * 30_000_000, 1),
    "not finite": edit_number("leaf_value", 0, "nan"),
}


# -- XGBoost -----------------------------------------------------------------------------------------------------------
def make_xgboost() -> Json:
    import xgboost

    x, y = make_rows()
    settings = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1}
    booster = xgboost.train(settings, xgboost.DMatrix(x, y), 3)
    found: Json = json.loads(bytes(booster.save_raw("json")))
    return found


def first_tree(model: Json) -> Json:
    tree: Json = model["learner"]["gradient_booster"]["model"]["trees"][0]
    return tree


def put_in_tree(key: str, place: int, value: object) -> Callable[[Json], None]:
    return lambda model: first_tree(model)[key].__setitem__(place, value)


def put_in(section: str, key: str, value: object) -> Callable[[Json], None]:
    return lambda model: model["learner"][section].__setitem__(key, value)


def put_in_model(key: str, value: object) -> Callable[[Json], None]:
    return lambda model: model["learner"]["gradient_booster"]["model"].__setitem__(key, value)


def long_chain(n: int) -> Callable[[Json], None]:
    def change(model: Json) -> None:
        c, tree = 2 * n + 1, first_tree(model)
        left, right, parents = [-1] * c, [-1] * c, [2147483647] * c
        for i in range(n):
            at = 2 * i
            left[at], right[at] = 2 * i + 1, 2 * i + 2
            parents[2 * i + 1] = parents[2 * i + 2] = at
        tree.update(
            left_children=left,
            right_children=right,
            parents=parents,
            split_indices=[0] * c,
            split_type=[0] * c,
            split_conditions=[-9.0] * c,
            default_left=[0] * c,
            base_weights=[0.0] * c,
            loss_changes=[0.0] * c,
            sum_hessian=[1.0] * c,
        )
        tree["tree_param"]["num_nodes"] = str(c)

    return change


def count_nodes(number: str) -> Callable[[Json], None]:
    return lambda model: first_tree(model)["tree_param"].__setitem__("num_nodes", number)


XGBOOST: dict[str, Callable[[Json], object]] = {
    "a left child far outside": put_in_tree("left_children", 0, 1_000_000_000),
    "a negative child": put_in_tree("right_children", 0, -7),
    "a loop": put_in_tree("left_children", 1, 0),
    "a node that is its own child": put_in_tree("left_children", 0, 0),
    "a column far outside": put_in_tree("split_indices", 0, 1_000_000_000),
    "a column that is half": put_in_tree("split_indices", 0, 0.5),
    "a child that is true": put_in_tree("left_children", 0, True),
    "a child that is text": put_in_tree("left_children", 0, "1"),
    "a split of kind 7": lambda model: first_tree(model).update(split_type=[7] * len(first_tree(model)["split_type"])),
    "a categorical split without its table": put_in_tree("split_type", 0, 1),
    "a billion nodes": count_nodes("1000000000"),
    "minus one nodes": count_nodes("-1"),
    "lists of other lengths": lambda model: first_tree(model)["split_conditions"].pop(),
    "a chain of 100000": long_chain(100_000),
    "a hundred thousand classes": put_in("learner_model_param", "num_class", "100000"),
    "a billion columns": put_in("learner_model_param", "num_feature", "1000000000"),
    "fewer columns than are used": put_in("learner_model_param", "num_feature", "1"),
    "a base score of three": put_in("learner_model_param", "base_score", "[1E-1,2,3]"),
    "a base score that is none": put_in("learner_model_param", "base_score", "soon"),
    "an objective that is none": put_in("objective", "name", "os:system"),
    "an objective that is a list": put_in("objective", "name", [1, 2]),
    "trees of groups far outside": lambda model: put_in_model("tree_info", [1_000_000_000] * 3)(model),
    "rounds that are half": put_in_model("iteration_indptr", [0, 2.5, 3]),
    "rounds beyond the trees": put_in_model("iteration_indptr", [0, 1, 2, 1_000_000_000]),
    "no trees": put_in_model("trees", []),
    "trees that are numbers": put_in_model("trees", [1, 2, 3]),
    "a weight that is no number": put_in_tree("split_conditions", 0, None),
}


def write_attacks(folder: Path) -> dict[str, list[Path]]:
    """framework -> files, each named after what is wrong with it."""
    text, model = make_lightgbm(), make_xgboost()
    files: dict[str, list[Path]] = {"lightgbm": [], "xgboost": []}
    for name, change in LIGHTGBM.items():
        at = folder / f"lightgbm {name}.txt"
        at.write_text(change(text))
        files["lightgbm"].append(at)
    for name, edit in XGBOOST.items():
        changed = json.loads(json.dumps(model))
        edit(changed)
        at = folder / f"xgboost {name}.json"
        at.write_text(json.dumps(changed))
        files["xgboost"].append(at)
    nested = folder / "xgboost nested.json"
    nested.write_text('{"learner":' + "[" * 200_000)
    noise = folder / "xgboost lengths.ubj"
    noise.write_bytes(b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff")
    files["xgboost"] += [nested, noise]
    return files

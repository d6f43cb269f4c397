"""XGBoost's model document (the same in JSON and UBJSON): read, checked, combined.

XGBoost trusts the indices in a document: a child that points to its parent loops for ever. So a stranger's document is
checked here and written anew; XGBoost never sees the stranger's bytes.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._xgboost.tree import check_tree
from evermodel.plugins.frameworks._xgboost.ubjson import decode, is_ubjson

Document = dict[str, Any]
_AGAIN = "Save it again with Booster.save_model() of XGBoost 1.7 or later."
LOGISTIC = ("binary:logistic", "reg:logistic")
LOGARITHMIC = ("count:poisson", "reg:gamma", "reg:tweedie")


def parse(data: bytes, name: str = "The model") -> Document:
    """The document of a model file, every index in it checked. Raises BadModel."""
    try:
        found = decode(data) if is_ubjson(data[:4]) else json.loads(data)
        return check_document(found)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        detail = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise BadModel(f"{name} is not a whole XGBoost model ({detail[:200]}).", _AGAIN) from None


def check_document(found: Any) -> Document:
    """The parts of a document that matter, each checked; the rest is left behind. Raises ValueError, KeyError."""
    learner, version = found["learner"], [int(v) for v in found["version"]]
    parameters = {k: str(v) for k, v in learner["learner_model_param"].items()}
    width, groups = int(parameters["num_feature"]), max(int(parameters["num_class"]), 1)
    if int(parameters.get("num_target", "1")) > 1:
        raise ValueError("several targets in one model")
    names, types = learner.get("feature_names", []), learner.get("feature_types", [])
    for listed in (names, types):
        if len(listed) not in (0, width) or not all(isinstance(v, str) for v in listed):
            raise ValueError(f"{len(listed)} column names or types for {width} columns")
    if not 1 <= groups <= 100_000 or not 1 <= width <= 10_000_000:
        raise ValueError(f"{groups} classes, {width} columns")
    bases, objective = base_score(found), str(learner["objective"]["name"])
    if len(bases) not in (1, groups) or (objective.endswith(":logistic") and not all(0.0 < b < 1.0 for b in bases)):
        raise ValueError(f"base_score is {str(bases)[:60]} for {groups} classes of {objective[:40]}")
    kept = {"attributes": {}, "feature_names": names, "feature_types": types, "learner_model_param": parameters}
    kept["objective"] = _texts({"name": learner["objective"]["name"], **learner["objective"]})
    kept["gradient_booster"] = _booster(learner["gradient_booster"], width, groups)
    checked = {"learner": kept, "version": version}
    return _keep_best_rounds(checked, learner.get("attributes", {}))


def _keep_best_rounds(document: Document, attributes: Mapping[str, Any]) -> Document:
    """The rounds that the model answers with: a file of XGBClassifier or XGBRegressor that stopped early uses its best
    part alone, a file of a plain booster all of them.
    """
    if "scikit_learn" not in attributes or "best_iteration" not in attributes:
        return document
    model = trees_of(document)
    ends, rounds = model["iteration_indptr"], int(attributes["best_iteration"]) + 1
    if not 1 <= rounds < len(ends):
        raise ValueError(f"the best iteration is {rounds - 1}, and there are {len(ends) - 1} rounds")
    last = ends[rounds]
    model |= {"trees": model["trees"][:last], "tree_info": model["tree_info"][:last]}
    model |= {"iteration_indptr": ends[: rounds + 1]}
    model["gbtree_model_param"] = {**model["gbtree_model_param"], "num_trees": str(last)}
    booster = document["learner"]["gradient_booster"]
    if "weight_drop" in booster:
        booster["weight_drop"] = booster["weight_drop"][:last]
    return document


def _booster(found: Any, width: int, groups: int) -> Document:
    name = found["name"]
    if name == "gblinear":
        raise ValueError("it is linear, not a booster of trees; scikit-learn keeps linear models well")
    if name not in ("gbtree", "dart"):
        raise ValueError(f"unknown kind {name!r}")
    model = trees_of({"learner": {"gradient_booster": found}})
    trees, info = model["trees"], [int(i) for i in model["tree_info"]]
    if not trees or len(info) != len(trees) or not all(0 <= i < groups for i in info):
        raise ValueError(f"{len(trees)} trees, {len(info)} classes of trees")
    if groups > len(trees):  # each class has a tree in every round; its answers alone could fill the memory
        raise ValueError(f"{groups} classes and {len(trees)} trees")
    for number, tree in enumerate(trees):
        check_tree(tree, number, width)
    parallel = int(model["gbtree_model_param"].get("num_parallel_tree", "1"))
    per_round = groups * parallel
    ends = model.get("iteration_indptr") or [*range(0, len(trees) + 1, max(per_round, 1))]
    if parallel < 1 or ends[0] != 0 or ends[-1] != len(trees) or any(b <= a for a, b in itertools.pairwise(ends)):
        raise ValueError("rounds and trees do not agree")
    model_param = {"num_parallel_tree": str(parallel), "num_trees": str(len(trees))}
    body = {"gbtree_model_param": model_param, "iteration_indptr": ends, "tree_info": info, "trees": trees}
    if "cats" in model:
        body["cats"] = _categories(model["cats"], width)
    if name == "gbtree":
        return {"model": body, "name": name}
    weights = [float(w) for w in found["weight_drop"]]
    if len(weights) != len(trees) or not all(map(math.isfinite, weights)):
        raise ValueError("weights of dropped trees do not fit the trees")
    return {"gbtree": {"model": body, "name": "gbtree"}, "name": name, "weight_drop": weights}


def _texts(found: Any) -> Document:
    """Parameters as XGBoost writes them: texts, one level of objects deep."""
    return {k: _texts(v) if isinstance(v, Mapping) else v if isinstance(v, list) else str(v) for k, v in found.items()}


def _categories(found: Any, width: int) -> Document:
    tables, segments = found["enc"], [int(v) for v in found["feature_segments"]]
    if not tables:
        return {"enc": [], "feature_segments": [], "sorted_idx": []}
    lengths = [len(table_values(table)) for table in tables]
    ends = [sum(lengths[:i]) for i in range(len(lengths) + 1)]
    order = [int(v) for v in found["sorted_idx"]]
    if len(tables) != width or segments != ends or len(order) != ends[-1]:
        raise ValueError("the tables of categories do not fit the columns")
    for start, length in zip(ends, lengths, strict=False):
        if sorted(order[start : start + length]) != [*range(length)]:
            raise ValueError("a table of categories is not in order")
    return {"enc": tables, "feature_segments": segments, "sorted_idx": order}


def table_values(table: Mapping[str, Any]) -> tuple[Any, ...]:
    """The categories of one column. Texts are cut out of one string of bytes at its offsets."""
    values, ends = table["values"], table.get("offsets")
    if not all(isinstance(v, int) for v in values):
        raise ValueError("a table of categories holds no numbers")
    if ends is None:
        return tuple(values)
    text = bytes(v % 256 for v in values)
    if ends and (ends[0] != 0 or ends[-1] != len(text) or sorted(ends) != ends):
        raise ValueError("a table of categories is cut off")
    return tuple(text[a:b].decode(errors="replace") for a, b in itertools.pairwise(ends))


def trees_of(document: Document) -> Document:
    """The part of a document that holds the trees, of a plain booster or of a dart."""
    booster = document["learner"]["gradient_booster"]
    found: Document = (booster["gbtree"] if booster["name"] == "dart" else booster)["model"]
    return found


def base_score(document: Document) -> list[float]:
    """What is predicted before the first tree, one number or one a class, as the document has it."""
    base_text = str(document["learner"]["learner_model_param"]["base_score"])
    found = [float(v) for v in base_text.strip("[]").split(",")]
    if not all(map(math.isfinite, found)):
        raise ValueError("base_score is no number")
    return found


def combine_documents(documents: Sequence[Document], shares: Sequence[float]) -> Document:
    """One document whose margin is the weighted sum of theirs: all trees, leaves scaled, base scores averaged."""
    first = documents[0]["learner"]
    for other in (d["learner"] for d in documents[1:]):
        alike = (other["objective"]["name"], _shape(other)) == (first["objective"]["name"], _shape(first))
        if not alike or other["feature_names"] != first["feature_names"]:
            got = f"{first['objective']['name']} {_shape(first)} and {other['objective']['name']} {_shape(other)}"
            raise BadModel(f"Boosters can be combined when objective, classes and columns agree. Got {got}.")
    trees: list[Document] = []
    info: list[int] = []
    ends = [0]
    for document, share in zip(documents, shares, strict=True):
        model = trees_of(document)
        dropped = document["learner"]["gradient_booster"].get("weight_drop", [1.0] * len(model["trees"]))
        ends += [ends[-1] + end for end in model["iteration_indptr"][1:]]
        info += model["tree_info"]
        scale_document = zip(model["trees"], dropped, strict=True)
        trees += [_scaled(tree, share * weight, len(trees) + i) for i, (tree, weight) in enumerate(scale_document)]
    model_param = {**trees_of(documents[0])["gbtree_model_param"], "num_trees": str(len(trees))}
    body = {
        **trees_of(documents[0]),
        "trees": trees,
        "tree_info": info,
        "iteration_indptr": ends,
        "gbtree_model_param": model_param,
    }
    parameters = {**first["learner_model_param"], "base_score": _mean_base(documents, shares)}
    booster = {"model": body, "name": "gbtree"}
    return {**documents[0], "learner": {**first, "gradient_booster": booster, "learner_model_param": parameters}}


def scale_document(document: Document, factor: float) -> Document:
    """The same trees, their leaves times ``factor``; what is predicted before the first of them stays."""
    scaled_document = combine_documents([document], [factor])
    scaled_document["learner"]["learner_model_param"]["base_score"] = document["learner"]["learner_model_param"][
        "base_score"
    ]
    return scaled_document


def correct_document(document: Document, factor: float, shift: Sequence[float]) -> Document:
    """The margins become ``factor * margin + shift``: leaves are scaled, the shift goes into the base score."""
    corrected = combine_documents([document], [factor])
    objective = document["learner"]["objective"]["name"]
    bases = base_score(corrected)
    bases = bases * len(shift) if len(bases) < len(shift) else bases
    moved = [_after_link(_margin(base, objective) + by, objective) for base, by in zip(bases, shift, strict=True)]
    corrected["learner"]["learner_model_param"]["base_score"] = "[" + ",".join(map(repr, moved)) + "]"
    return corrected


def mix_leaves(old: Document, new: Document, share: float) -> Document:
    """``old`` with leaves of ``share`` its own and the rest those of ``new``, which has the same trees."""
    mixed = []
    for a, b in zip(trees_of(old)["trees"], trees_of(new)["trees"], strict=True):
        ends = zip(a["left_children"], a["split_conditions"], b["split_conditions"], strict=True)
        mixed.append({**a, "split_conditions": [u if c != -1 else share * u + (1 - share) * v for c, u, v in ends]})
    trees_of(old)["trees"] = mixed
    return old


def _shape(learner: Document) -> tuple[str, str]:
    parameters = learner["learner_model_param"]
    return parameters["num_class"], parameters["num_feature"]


def _scaled(tree: Document, factor: float, number: int) -> Document:
    leaf = [child == -1 for child in tree["left_children"]]
    conditions = [c * factor if is_leaf else c for c, is_leaf in zip(tree["split_conditions"], leaf, strict=True)]
    return {
        **tree,
        "id": number,
        "split_conditions": conditions,
        "base_weights": [w * factor for w in tree["base_weights"]],
    }


def _mean_base(documents: Sequence[Document], shares: Sequence[float]) -> str:
    """The mean is taken where trees add up (margins), and written where the document wants it (after the link)."""
    objective = documents[0]["learner"]["objective"]["name"]
    groups = max(len(base_score(d)) for d in documents)
    mean = []
    for group in range(groups):
        values = [(base_score(d) * groups)[group] for d in documents]
        margins = [_margin(v, objective) for v in values]
        mean.append(_after_link(sum(s * m for s, m in zip(shares, margins, strict=True)), objective))
    return "[" + ",".join(map(repr, mean)) + "]"


def _margin(value: float, objective: str) -> float:
    if objective in LOGISTIC:
        return math.log(value / (1 - value))
    return math.log(value) if objective in LOGARITHMIC else value


def _after_link(margin: float, objective: str) -> float:
    if objective in LOGISTIC:
        return 1 / (1 + math.exp(-margin))
    return math.exp(margin) if objective in LOGARITHMIC else margin

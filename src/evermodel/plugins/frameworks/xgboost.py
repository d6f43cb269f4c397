"""XGBoost boosters of trees: native files (.ubj, .json) and live objects; pickles only if the user trusts them."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData, BadModel, BadSetting
from evermodel.core.files import write_whole
from evermodel.core.model.framework import InputColumn, Signature
from evermodel.core.model.output import softmax
from evermodel.core.model.search_space import Dimension
from evermodel.core.model.training import Training
from evermodel.core.model.triton_model import TritonModel
from evermodel.core.plugins import Confidence
from evermodel.core.records.search_record import Values
from evermodel.plugins.frameworks._file_contents import first_bytes
from evermodel.plugins.frameworks._forest_for_triton import describe_forest
from evermodel.plugins.frameworks._pickles import is_pickle, load_trusted_pickle, recognize_pickle
from evermodel.plugins.frameworks._xgboost import hyperparameters as tuning
from evermodel.plugins.frameworks._xgboost.booster import EXTRA as EXTRA
from evermodel.plugins.frameworks._xgboost.booster import Boosted, library, load_booster
from evermodel.plugins.frameworks._xgboost.document import (
    Document,
    combine_documents,
    correct_document,
    mix_leaves,
    parse,
    scale_document,
    table_values,
    trees_of,
)
from evermodel.plugins.frameworks._xgboost.dumped_trees import read_trees as read_trees
from evermodel.plugins.frameworks._xgboost.learning_curve import listener
from evermodel.plugins.frameworks._xgboost.native_calls import (
    call_library,
    document_of,
    with_tables,
    without_tables,
)
from evermodel.plugins.frameworks._xgboost.native_predictor import load_predictor
from evermodel.plugins.frameworks._xgboost.training_parameters import ADAPTIVE, parameters, recipe_of, task_of
from evermodel.plugins.frameworks._xgboost.tree import leaves_of
from evermodel.plugins.frameworks._xgboost.ubjson import is_ubjson

SUFFIXES = (".ubj", ".json")
PLAIN = ("binary:logistic", "multi:softprob", "multi:softmax", "reg:squarederror")  # a margin, its sigmoid or softmax
FURTHER = 0.2  # share of the rounds that going on adds


def is_model(obj: Any) -> bool:
    return isinstance(obj, Boosted) or any(t.__module__.split(".")[0] == "xgboost" for t in type(obj).__mro__)


def recognize(path: Path, /) -> Confidence:
    """XGBoost's own JSON or UBJSON by its first key, or a pickle that names one of its classes."""
    head = first_bytes(path, 256)
    if b"learner" in head and (is_ubjson(head) or head.lstrip()[:1] == b"{"):
        return Confidence.CERTAIN
    return Confidence.POSSIBLE if path.suffix == ".ubj" and is_ubjson(head) else recognize_pickle(path, "xgboost")


def suffixes() -> tuple[str, ...]:
    return SUFFIXES


def read_file(path: Path, *, trust: bool = False, factory: str | None = None) -> Any:
    """A booster from a native file: decoded and checked here, then written anew for XGBoost.

    From a pickle only with ``trust``. Raises BadModel, Unsafe.
    """
    if is_pickle(path):
        return load_trusted_pickle(
            path, is_model, trust=trust, expected="an XGBoost model", instead="use Booster.save_model('m.ubj')"
        )
    return _from_document(parse(path.read_bytes(), path.name))


def convert_object(obj: Any) -> Any:
    """A live object as it is kept; asking it again and again is then cheap."""
    return _boosted(obj)


def native_object(obj: Any) -> Any:
    """The ``xgboost.Booster``; its categorical columns are codes of the tables that the version keeps."""
    return _boosted(obj).booster


def write_file(obj: Any, to: Path) -> None:
    raw = _boosted(obj).booster.save_raw("json" if to.suffix == ".json" else "ubj")
    write_whole(to, lambda at: at.write_bytes(bytes(raw)))


def plain_script() -> Path:
    return Path(__file__).parent / "_plain_files" / "use_xgboost.py"


def plain_input(obj: Any, x: Any) -> Any:
    """The rows with categories as codes."""
    return np.asarray(x)


def plain_answers(obj: Any, x: Any) -> Array:
    """What ``Booster.predict`` gives: labels for the objective multi:softmax."""
    boosted = _boosted(obj)
    return np.asarray(boosted.booster.predict(_rows(boosted, x)))


def plain_tensors(obj: Any) -> dict[str, list[int]]:
    return {}


def write_triton(obj: Any, to: Path) -> TritonModel:
    """``xgboost.ubj`` for its backend of trees."""
    write_file(_boosted(obj), to / "xgboost.ubj")
    return describe_forest("xgboost_ubj", read_signature(obj))


def save(obj: Any, to: Path) -> None:
    boosted = _boosted(obj)
    (to / "model.ubj").write_bytes(bytes(boosted.booster.save_raw("ubj")))
    beside = {k: getattr(boosted, k) for k in ("recipe", "tables", "classes", "groups", "rounds", "parts")}
    (to / "model.json").write_text(json.dumps(beside))


def load(at: Path) -> Any:
    beside = json.loads((at / "model.json").read_text())
    beside["tables"] = tuple(map(tuple, beside["tables"]))
    beside["parts"] = tuple((int(rounds), float(share)) for rounds, share in beside.get("parts", ()))
    beside["classes"] = None if beside["classes"] is None else tuple(beside["classes"])
    raw = (at / "model.ubj").read_bytes()
    predictor = None if "xgboost" in sys.modules else load_predictor(raw)
    if predictor is not None:
        return Boosted(None, **beside, raw=raw, predictor=predictor)
    return Boosted(load_booster(raw), **beside)


def read_signature(obj: Any) -> Signature:
    boosted = _boosted(obj)
    task, names = task_of(boosted.recipe["objective"]), boosted.feature_names
    return Signature(
        shape=(boosted.width,),
        names=tuple(names) if names else None,
        columns={place: InputColumn("category", table) for place, table in enumerate(boosted.tables) if table},
        task=task,
        classes=boosted.classes,
        outputs=boosted.groups,
        output="value" if task == "regression" else "probability",
    )


def predict(obj: Any, x: Any) -> Array:
    """(n,) probabilities of class 1 or values, (n, k) probabilities; ``x`` (n, d) with categories as codes."""
    boosted = _boosted(obj)
    margins = boosted.recipe["objective"] == "multi:softmax"  # would give labels
    if boosted.predictor is not None:
        _check_width(boosted, np.asarray(x))
        found = boosted.predictor.predict(np.asarray(x), margins=margins)
    else:
        found = np.asarray(boosted.booster.predict(_rows(boosted, x), output_margin=margins))
    return softmax(found.astype(np.float64)) if margins else found


def fit(obj: Any, x: Any, y: Array, training: Training, *, from_scratch: bool) -> Any:
    """As many rounds as the deployed model has, with its parameters; or, not ``from_scratch``, a fifth as many on top
    of it.

    ``training.epochs`` counts rounds. The curve is heard every ten rounds. New classes need ``from_scratch``:
    BadSetting. Deterministic given the seed. A native file does not say how it was trained: see ``_xgboost/recipe.py``.
    """
    parent, x = _boosted(obj), np.asarray(x)
    settings = parameters(parent.recipe, training, y, parent.groups, x.shape[1] == parent.width)
    if not from_scratch and settings.get("num_class", 1) != parent.groups:
        raise BadSetting("XGBoost cannot go on with classes that the booster never saw.", "Use the strategy 'refit'.")
    rounds = training.epochs or (parent.rounds if from_scratch else max(1, round(FURTHER * parent.rounds)))
    rows = _rows(parent, x, y, training, from_scratch=from_scratch)
    watched, before = _watched(rows, training), None if from_scratch else without_tables(parent)
    heard = listener(library().callback, training, rows, watched, settings["eval_metric"], rounds)
    trained = _trained(settings, rows, rounds, before, [heard])
    booster, groups = with_tables(trained, parent), int(settings.get("num_class", 1))
    recipe = {**parent.recipe, **({"objective": settings["objective"]} if groups != parent.groups else {})}
    classes = training.classes or parent.classes or None
    return Boosted(booster, recipe, parent.tables, classes, groups, rounds if from_scratch else parent.rounds)


def refit_leaves(obj: Any, x: Any, y: Array, *, decay: float) -> Any:
    """The same trees, each leaf ``decay`` of its old value and the rest learnt on ``x``, ``y``. One pass over x."""
    parent, x = _boosted(obj), np.asarray(x)
    settings = parameters(parent.recipe, Training(), y, parent.groups, same_width=True)
    if settings.get("num_class", 1) != parent.groups:
        raise BadSetting("Leaves cannot be learnt for classes that the booster never saw.", "Use the strategy 'refit'.")
    if parent.recipe["objective"] in ADAPTIVE:
        raise BadSetting(
            f"XGBoost does not learn leaves of {parent.recipe['objective']} anew.", "Use the strategy 'refit'."
        )
    folded = combine_documents([document_of(without_tables(parent))], [1.0])  # a dart's weights go into its leaves
    old = load_booster(json.dumps(folded).encode())
    settings = {**settings, "booster": "gbtree", "process_type": "update", "updater": "refresh", "refresh_leaf": 1}
    renewed = _trained(settings, _rows(parent, x, y), old.num_boosted_rounds(), old, [])
    mixed = mix_leaves(combine_documents([document_of(parent.booster)], [1.0]), document_of(renewed), decay)
    return _like(parent, mixed)


def count_rounds(obj: Any) -> int:
    return _boosted(obj).rounds


def replace_rounds(obj: Any, rounds: int) -> Any:
    return dataclasses.replace(_boosted(obj), rounds=rounds)


def count_trees(obj: Any) -> int:
    return int(_boosted(obj).booster.num_boosted_rounds())


def keep_first_trees(obj: Any, trees: int) -> Any:
    """The booster with its first rounds only; a training anew has as many."""
    parent = dataclasses.replace(_boosted(obj), rounds=trees)
    return _like(parent, document_of(parent.booster[:trees]))


def fold_output(obj: Any, factor: float, shift: Array) -> Any:
    """A booster whose margins are ``factor * margin + shift``. Raises BadModel where its answer is not the margin's."""
    parent = _boosted(obj)
    if parent.recipe["objective"] not in PLAIN:
        raise BadModel(f"A correction cannot go into the leaves of the objective {parent.recipe['objective']!r}.")
    return _like(parent, correct_document(document_of(parent.booster), factor, [float(by) for by in shift]))


def count_leaves(obj: Any) -> int:
    """Of all trees together."""
    return sum(map(leaves_of, trees_of(document_of(_boosted(obj).booster))["trees"]))


def limit_leaves(obj: Any, leaves: int) -> Any:
    """The booster as one whose training from scratch gives at most ``leaves`` leaves in all; the best splits first."""
    parent = _boosted(obj)
    trees = max(1, parent.rounds * parent.groups * int(parent.recipe.get("num_parallel_tree", 1)))
    bound = {"max_leaves": str(max(2, leaves // trees)), "grow_policy": "lossguide"}
    return dataclasses.replace(parent, recipe={**parent.recipe, **bound})


def get_hyperparameters(obj: Any) -> Values:
    return tuning.hyperparameters(_boosted(obj).recipe, _boosted(obj).rounds)


def list_dimensions(obj: Any) -> tuple[Dimension, ...]:
    return tuning.dimensions(_boosted(obj).rounds)


def replace_hyperparameters(obj: Any, values: Values) -> Any:
    """The booster as one that is trained anew with other hyperparameters; its trees are the old ones until then."""
    parent = _boosted(obj)
    rounds = int(values.get("rounds", parent.rounds))
    return dataclasses.replace(parent, recipe=tuning.overridden(parent.recipe, values), rounds=rounds)


def combine(objs: Sequence[Any], shares: Sequence[float]) -> Any:
    """One booster whose raw margin is the weighted mean of theirs: trees side by side, leaves scaled."""
    members, shares = [_boosted(obj) for obj in objs], [float(share) / float(sum(shares)) for share in shares]
    both = combine_documents([document_of(m.booster) for m in members], shares)
    longest = max(members, key=lambda m: m.rounds)
    parts = tuple((count_trees(m), share) for m, share in zip(members, shares, strict=True))
    return dataclasses.replace(_like(longest, both), parts=parts)


def predict_parts(obj: Any, x: Any) -> tuple[Array, ...]:
    """Margins of what was put side by side last, each as it was alone but for its base score. Two predictions."""
    whole = _boosted(obj)
    if not whole.parts or whole.recipe["objective"] not in PLAIN or not all(share > 0 for _, share in whole.parts):
        return ()  # what had no part in the answer was scaled to nothing
    rows, at = _rows(whole, x), 0
    margins = []
    for rounds, _ in whole.parts:
        margins.append(whole.booster.predict(rows, output_margin=True, iteration_range=(at, at + rounds)))
        at += rounds
    base = (sum(margins) - whole.booster.predict(rows, output_margin=True)) / max(len(margins) - 1, 1)
    return tuple(base + (z - base) / share for z, (_, share) in zip(margins, whole.parts, strict=True))


def split_parts(obj: Any) -> tuple[tuple[Any, float], ...]:
    """What was put side by side last, each as it was alone but for its base score and the last digit; its share."""
    whole, found, at = _boosted(obj), list[tuple[Any, float]](), 0
    if not all(share > 0 for _, share in whole.parts):
        return ()
    for rounds, share in whole.parts:
        alone = scale_document(document_of(whole.booster[at : at + rounds]), 1.0 / share)
        found.append((dataclasses.replace(_like(whole, alone), rounds=rounds), share))
        at += rounds
    return tuple(found)


def _like(parent: Boosted, document: Document) -> Boosted:
    booster = load_booster(json.dumps(document).encode())
    return Boosted(booster, parent.recipe, parent.tables, parent.classes, parent.groups, parent.rounds)


def _rows(
    parent: Boosted, x: Any, y: Array | None = None, training: Training | None = None, *, from_scratch: bool = False
) -> Any:
    """XGBoost's own table; columns named and typed as the booster has them."""
    x, booster, options = np.asarray(x), parent.booster, training or Training()
    same = x.ndim == 2 and x.shape[1] == parent.width
    if not (from_scratch and x.ndim == 2):
        _check_width(parent, x)
    names, types = (booster.feature_names, booster.feature_types) if same else (None, None)
    if from_scratch:
        own = [i for i, kind in enumerate(types or ()) if kind == "c"]
        categorical = {*options.categorical, *own}
        if types or categorical:  # a booster that names no types stays one: a service hands it a bare matrix
            types = ["c" if i in categorical else "q" for i in range(x.shape[1])]
    names_and_types = {"weight": None if y is None else options.weight, "feature_names": names, "feature_types": types}
    return call_library(lambda: library().DMatrix(x, y, **names_and_types, enable_categorical=True))


def _check_width(parent: Boosted, x: Array) -> None:
    if x.ndim != 2 or x.shape[1] != parent.width:
        raise BadData(f"The booster expects rows of {parent.width} columns. Got an array of shape {x.shape}.")


def _watched(rows: Any, training: Training) -> Any:
    if training.validation is None or not len(training.validation[1]):
        return None
    x, y = training.validation
    names_and_types = {"feature_names": rows.feature_names, "feature_types": rows.feature_types}
    return call_library(lambda: library().DMatrix(np.asarray(x), y, **names_and_types, enable_categorical=True))


def _trained(settings: dict[str, Any], rows: Any, rounds: int, before: Any, listeners: list[Any]) -> Any:
    train = library().train
    return call_library(
        lambda: train(settings, rows, rounds, xgb_model=before, callbacks=listeners, verbose_eval=False)
    )


def _boosted(obj: Any) -> Boosted:
    """Whatever is given as a booster with what it cannot hold. Raises BadModel for one that was never fitted."""
    if isinstance(obj, Boosted):
        return obj
    classes = None
    if hasattr(obj, "get_booster"):
        try:
            classes = tuple(np.asarray(obj.classes_).tolist()) if hasattr(obj, "classes_") else None
            obj = _best_part(obj)
        except (library().core.XGBoostError, ValueError, AttributeError) as error:
            raise BadModel(f"The {type(obj).__name__} is not fitted ({error}).", "Call its fit() first.") from None
    return _from_document(document_of(obj), classes, json.loads(obj.save_config()))


def _best_part(model: Any) -> Any:
    """The rounds that the scikit-learn interface predicts with: up to the best one if it stopped early."""
    booster = model.get_booster()
    best = booster.attributes().get("best_iteration")
    return booster if best is None else booster[: int(best) + 1]


def _from_document(
    document: Document, classes: tuple[Any, ...] | None = None, config: Mapping[str, Any] | None = None
) -> Boosted:
    objective = document["learner"]["objective"]["name"]
    task_of(objective)
    booster = load_booster(json.dumps(document).encode())
    groups = max(int(document["learner"]["learner_model_param"]["num_class"]), 1)
    tables = tuple(table_values(table) for table in trees_of(document).get("cats", {}).get("enc", []))
    rounds = len(trees_of(document)["iteration_indptr"]) - 1
    return Boosted(booster, recipe_of(document, config), tables, classes, groups, rounds)

"""XGBoost boosters of trees: native files (.ubj, .json) and live objects; pickles only if the user trusts them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.errors import BadData, BadModel, BadSetting
from evermodel.core.files import write_whole
from evermodel.core.framework import Needs
from evermodel.core.output import softmax
from evermodel.core.space import Dimension, Values
from evermodel.core.table import Array
from evermodel.core.training import Training
from evermodel.frameworks._pickled import SUFFIXES as SUFFIXES_OF_PICKLES
from evermodel.frameworks._pickled import names_package, unpickled
from evermodel.frameworks._xgboost import native, tuning
from evermodel.frameworks._xgboost.boosted import Boosted
from evermodel.frameworks._xgboost.document import (
    Document,
    mixed_leaves,
    parse,
    scaled,
    side_by_side,
    table_values,
    trees_of,
)
from evermodel.frameworks._xgboost.listening import listener
from evermodel.frameworks._xgboost.native import document_of, library, loaded, tried, with_tables, without_tables
from evermodel.frameworks._xgboost.recipe import ADAPTIVE, parameters, recipe_of, task_of
from evermodel.frameworks._xgboost.ubjson import is_ubjson

EXTRA = native.EXTRA
SUFFIXES = (".ubj", ".json")
PLAIN = ("binary:logistic", "multi:softprob", "multi:softmax", "reg:squarederror")  # a margin, its sigmoid or softmax
FURTHER = 0.2  # share of the rounds that going on adds


def owns(obj: Any) -> bool:
    return isinstance(obj, Boosted) or any(t.__module__.split(".")[0] == "xgboost" for t in type(obj).__mro__)


def opens(path: Path) -> bool:
    if path.suffix not in SUFFIXES or not path.is_file():
        return names_package(path, "xgboost")
    with path.open("rb") as file:
        head = file.read(256)
    return is_ubjson(head) or b'"learner"' in head


def suffixes() -> tuple[str, ...]:
    return SUFFIXES


def read(path: Path, *, trust: bool = False, factory: str | None = None) -> Any:
    """A booster from a native file: decoded and checked here, then written anew for XGBoost.

    From a pickle only with ``trust``. Raises BadModel, Unsafe.
    """
    if path.suffix in SUFFIXES_OF_PICKLES:
        return unpickled(path, owns, trust=trust, wanted="an XGBoost model", instead="use Booster.save_model('m.ubj')")
    return _from_document(parse(path.read_bytes(), path.name))


def taken(obj: Any) -> Any:
    """A live object as it is kept; asking it again and again is then cheap."""
    return _boosted(obj)


def write(obj: Any, to: Path) -> None:
    raw = _boosted(obj).booster.save_raw("json" if to.suffix == ".json" else "ubj")
    write_whole(to, lambda at: at.write_bytes(bytes(raw)))


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
    return Boosted(loaded((at / "model.ubj").read_bytes()), **beside)


def needs(obj: Any) -> Needs:
    boosted = _boosted(obj)
    task, names = task_of(boosted.recipe["objective"]), boosted.booster.feature_names
    return Needs(
        shape=(boosted.width,),
        names=tuple(names) if names else None,
        categories=tuple(tuple(map(str, table)) for table in boosted.tables if table),
        task=task,
        classes=boosted.classes,
        outputs=boosted.groups,
        output="value" if task == "regression" else "probability",
    )


def predict(obj: Any, x: Any) -> Array:
    """(n,) probabilities of class 1 or values, (n, k) probabilities; ``x`` (n, d) with categories as codes."""
    boosted = _boosted(obj)
    rows, objective = _rows(boosted, x), boosted.recipe["objective"]
    if objective == "multi:softmax":  # would give labels
        return softmax(np.asarray(boosted.booster.predict(rows, output_margin=True), np.float64))
    return np.asarray(boosted.booster.predict(rows))


def fit(obj: Any, x: Any, y: Array, training: Training, *, fresh: bool) -> Any:
    """As many rounds as the deployed model has, with its parameters; or, not ``fresh``, a fifth as many on top of it.

    ``training.epochs`` counts rounds. The curve is heard every ten rounds. New classes need ``fresh``: BadSetting.
    Deterministic given the seed. A native file does not say how it was trained: see ``_xgboost/recipe.py``.
    """
    parent, x = _boosted(obj), np.asarray(x)
    told = parameters(parent.recipe, training, y, parent.groups, x.shape[1] == parent.width)
    if not fresh and told.get("num_class", 1) != parent.groups:
        raise BadSetting("XGBoost cannot go on with classes that the booster never saw.", "Use --with refit.")
    rounds = training.epochs or (parent.rounds if fresh else max(1, round(FURTHER * parent.rounds)))
    rows = _rows(parent, x, y, training, fresh=fresh)
    watched, before = _watched(rows, training), None if fresh else without_tables(parent)
    heard = listener(library().callback, training, rows, watched, told["eval_metric"], rounds)
    trained = _trained(told, rows, rounds, before, [heard])
    booster, groups = with_tables(trained, parent), int(told.get("num_class", 1))
    recipe = {**parent.recipe, **({"objective": told["objective"]} if groups != parent.groups else {})}
    classes = training.classes or parent.classes or None
    return Boosted(booster, recipe, parent.tables, classes, groups, rounds if fresh else parent.rounds)


def refit_leaves(obj: Any, x: Any, y: Array, *, decay: float) -> Any:
    """The same trees, each leaf ``decay`` of its old value and the rest learnt on ``x``, ``y``. One pass over x."""
    parent, x = _boosted(obj), np.asarray(x)
    told = parameters(parent.recipe, Training(), y, parent.groups, same_width=True)
    if told.get("num_class", 1) != parent.groups:
        raise BadSetting("Leaves cannot be learnt for classes that the booster never saw.", "Use --with refit.")
    if parent.recipe["objective"] in ADAPTIVE:
        raise BadSetting(f"XGBoost does not learn leaves of {parent.recipe['objective']} anew.", "Use --with refit.")
    folded = side_by_side([document_of(without_tables(parent))], [1.0])  # a dart's weights go into its leaves
    old = loaded(json.dumps(folded).encode())
    told = {**told, "booster": "gbtree", "process_type": "update", "updater": "refresh", "refresh_leaf": 1}
    renewed = _trained(told, _rows(parent, x, y), old.num_boosted_rounds(), old, [])
    mixed = mixed_leaves(side_by_side([document_of(parent.booster)], [1.0]), document_of(renewed), decay)
    return _like(parent, mixed)


def rounds(obj: Any) -> int:
    return _boosted(obj).rounds


def with_rounds(obj: Any, rounds: int) -> Any:
    return dataclasses.replace(_boosted(obj), rounds=rounds)


def trees(obj: Any) -> int:
    return int(_boosted(obj).booster.num_boosted_rounds())


def first(obj: Any, trees: int) -> Any:
    """The booster with its first rounds only; a training anew has as many."""
    parent = dataclasses.replace(_boosted(obj), rounds=trees)
    return _like(parent, document_of(parent.booster[:trees]))


def hyperparameters(obj: Any) -> Values:
    return tuning.hyperparameters(_boosted(obj).recipe, _boosted(obj).rounds)


def dimensions(obj: Any) -> tuple[Dimension, ...]:
    return tuning.dimensions(_boosted(obj).rounds)


def with_hyperparameters(obj: Any, values: Values) -> Any:
    """The booster as one that is trained anew with other hyperparameters; its trees are the old ones until then."""
    parent = _boosted(obj)
    rounds = int(values.get("rounds", parent.rounds))
    return dataclasses.replace(parent, recipe=tuning.overridden(parent.recipe, values), rounds=rounds)


def combined(objs: Sequence[Any], shares: Sequence[float]) -> Any:
    """One booster whose raw margin is the weighted mean of theirs: trees side by side, leaves scaled."""
    members, shares = [_boosted(obj) for obj in objs], [float(share) / float(sum(shares)) for share in shares]
    both = side_by_side([document_of(m.booster) for m in members], shares)
    longest = max(members, key=lambda m: m.rounds)
    parts = tuple((trees(m), share) for m, share in zip(members, shares, strict=True))
    return dataclasses.replace(_like(longest, both), parts=parts)


def parts(obj: Any, x: Any) -> tuple[Array, ...]:
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


def apart(obj: Any) -> tuple[tuple[Any, float], ...]:
    """What was put side by side last, each as it was alone but for its base score and the last digit; its share."""
    whole, found, at = _boosted(obj), list[tuple[Any, float]](), 0
    if not all(share > 0 for _, share in whole.parts):
        return ()
    for rounds, share in whole.parts:
        alone = scaled(document_of(whole.booster[at : at + rounds]), 1.0 / share)
        found.append((dataclasses.replace(_like(whole, alone), rounds=rounds), share))
        at += rounds
    return tuple(found)


def _like(parent: Boosted, document: Document) -> Boosted:
    booster = loaded(json.dumps(document).encode())
    return Boosted(booster, parent.recipe, parent.tables, parent.classes, parent.groups, parent.rounds)


def _rows(
    parent: Boosted, x: Any, y: Array | None = None, training: Training | None = None, *, fresh: bool = False
) -> Any:
    """XGBoost's own table; columns named and typed as the booster has them."""
    x, booster, told = np.asarray(x), parent.booster, training or Training()
    same = x.ndim == 2 and x.shape[1] == parent.width
    if not same and not (fresh and x.ndim == 2):
        raise BadData(f"The booster expects rows of {parent.width} columns. Got an array of shape {x.shape}.")
    names, types = (booster.feature_names, booster.feature_types) if same else (None, None)
    if fresh:
        own = [i for i, kind in enumerate(types or ()) if kind == "c"]
        types = ["c" if i in (*told.categorical, *own) else "q" for i in range(x.shape[1])]
    said = {"weight": None if y is None else told.weight, "feature_names": names, "feature_types": types}
    return tried(lambda: library().DMatrix(x, y, **said, enable_categorical=True))


def _watched(rows: Any, training: Training) -> Any:
    if training.validation is None or not len(training.validation[1]):
        return None
    x, y = training.validation
    said = {"feature_names": rows.feature_names, "feature_types": rows.feature_types}
    return tried(lambda: library().DMatrix(np.asarray(x), y, **said, enable_categorical=True))


def _trained(told: dict[str, Any], rows: Any, rounds: int, before: Any, listeners: list[Any]) -> Any:
    train = library().train
    return tried(lambda: train(told, rows, rounds, xgb_model=before, callbacks=listeners, verbose_eval=False))


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
    booster = loaded(json.dumps(document).encode())
    groups = max(int(document["learner"]["learner_model_param"]["num_class"]), 1)
    tables = tuple(table_values(table) for table in trees_of(document).get("cats", {}).get("enc", []))
    rounds = len(trees_of(document)["iteration_indptr"]) - 1
    return Boosted(booster, recipe_of(document, config), tables, classes, groups, rounds)

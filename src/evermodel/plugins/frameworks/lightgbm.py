"""LightGBM boosters: native text files and live objects. A pickle is refused unless the user trusts it by name."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData, BadModel, BadSetting, MissingExtra
from evermodel.core.files import write_whole
from evermodel.core.model.framework import InputColumn, Signature
from evermodel.core.model.search_space import Dimension
from evermodel.core.model.training import Training
from evermodel.core.model.triton_model import TritonModel
from evermodel.core.plugins import Confidence
from evermodel.core.records.search_record import Values
from evermodel.plugins.frameworks._file_contents import first_bytes
from evermodel.plugins.frameworks._forest_for_triton import describe_forest
from evermodel.plugins.frameworks._lightgbm import hyperparameters as tuning
from evermodel.plugins.frameworks._lightgbm.learning_curve import Margins, listener, watches_itself
from evermodel.plugins.frameworks._lightgbm.predictor import Predictor, load_predictor
from evermodel.plugins.frameworks._lightgbm.read_trees import read_trees as read_trees
from evermodel.plugins.frameworks._lightgbm.text_format import (
    MAGIC,
    Native,
    combine_natives,
    correct_native,
    parse,
    split_native,
    to_text,
)
from evermodel.plugins.frameworks._lightgbm.training_parameters import answers_plainly, class_count, parameters, task_of
from evermodel.plugins.frameworks._lightgbm.tree import (
    fields_of,
    has_linear_leaves,
    shorten_weights,
    takes_zero_as_missing,
)
from evermodel.plugins.frameworks._pickles import is_pickle, load_trusted_pickle, recognize_pickle

EXTRA = "boost"
SUFFIXES = (".txt", ".lgb", ".model")
FURTHER = 0.2  # share of the trees that going on adds


@dataclass(frozen=True)
class Boosted:
    """A booster with what its native file cannot hold: labels behind the codes, and how long a fresh training is.

    ``rounds`` stays what it was at adoption while trees are added or put side by side: a refit must not grow with them.
    """

    live: Any  # lightgbm.Booster; None while only predictions were asked for
    classes: tuple[Any, ...] | None
    rounds: int
    given: Native | None = None  # what it was read from
    parts: tuple[tuple[int, float], ...] = ()  # (rounds, share) of what was put side by side
    predictor: Predictor | None = None  # stands in for ``live`` where that is None

    @cached_property
    def booster(self) -> Any:
        """The ``lightgbm.Booster``, for all but predictions: the package imports scikit-learn, SciPy and pandas."""
        return _booster(to_text(self.native)) if self.live is None else self.live

    @cached_property
    def native(self) -> Native:
        """Its file in pieces; written when first asked for, since most challengers are never saved."""
        if self.given is not None:
            return self.given
        trained = parse(self.booster.model_to_string().encode(), ours=True)
        return dataclasses.replace(trained, trees=tuple(shorten_weights(tree) for tree in trained.trees))

    @cached_property
    def head(self) -> Native:
        """Its file with the first trees only: all else is there, and is written a hundred times as fast."""
        return self.given or parse(self.booster.model_to_string(num_iteration=1).encode(), ours=True)


def is_model(obj: Any) -> bool:
    return isinstance(obj, Boosted) or any(t.__module__.split(".")[0] == "lightgbm" for t in type(obj).__mro__)


def recognize(path: Path, /) -> Confidence:
    """LightGBM's own text file by its first line, or a pickle that names one of its classes."""
    if first_bytes(path, len(MAGIC)) == MAGIC:
        return Confidence.CERTAIN
    return recognize_pickle(path, "lightgbm")


def suffixes() -> tuple[str, ...]:
    return SUFFIXES[:2]


def read_file(path: Path, *, trust: bool = False, factory: str | None = None) -> Any:
    """A booster from a native text file, every index in it checked before LightGBM sees it.

    From a pickle only with ``trust``. Raises BadModel, Unsafe.
    """
    if is_pickle(path):
        return load_trusted_pickle(
            path, is_model, trust=trust, expected="a LightGBM model", instead="use Booster.save_model('m.txt')"
        )
    native = parse(path.read_bytes(), path.name)
    return Boosted(_booster(to_text(native)), None, native.rounds, native)


def convert_object(obj: Any) -> Any:
    """A live object as it is kept; asking it again and again is then cheap."""
    return _boosted(obj)


def native_object(obj: Any) -> Any:
    """The ``lightgbm.Booster``."""
    return _boosted(obj).booster


def write_file(obj: Any, to: Path) -> None:
    text = to_text(_boosted(obj).native)
    write_whole(to, lambda at: _put(at, text))


def plain_script() -> Path:
    return Path(__file__).parent / "_plain_files" / "use_lightgbm.py"


def plain_input(obj: Any, x: Any) -> Any:
    """The rows with categories as codes."""
    return np.asarray(x)


def plain_answers(obj: Any, x: Any) -> Array:
    """What ``Booster.predict`` gives."""
    return predict(obj, x)


def plain_tensors(obj: Any) -> dict[str, list[int]]:
    return {}


def write_triton(obj: Any, to: Path) -> TritonModel:
    """``model.txt`` for its backend of trees. Raises BadModel for what that backend reads otherwise, or not at all."""
    boosted = _boosted(obj)
    for is_unknown, what in (
        (has_linear_leaves, "linear models in its leaves"),
        (takes_zero_as_missing, "zeros as gaps"),
    ):
        if any(map(is_unknown, boosted.native.trees)):
            raise BadModel(f"Triton's backend for trees does not know {what}, and this booster has them.")
    write_file(boosted, to / "model.txt")
    return describe_forest("lightgbm", read_signature(boosted))


def save(obj: Any, to: Path) -> None:
    boosted = _boosted(obj)
    _put(to / "model.txt", to_text(boosted.native))
    beside = {k: getattr(boosted, k) for k in ("classes", "rounds", "parts")}
    _put(to / "model.json", json.dumps(beside))


def load(at: Path) -> Any:
    beside = json.loads((at / "model.json").read_text())
    classes = None if beside["classes"] is None else tuple(beside["classes"])
    text, parts = (at / "model.txt").read_bytes(), tuple((int(n), float(share)) for n, share in beside.get("parts", ()))
    native, predictor = parse(text), None if "lightgbm" in sys.modules else load_predictor(text.decode())
    booster = _booster(text.decode()) if predictor is None else None
    return Boosted(booster, classes, beside["rounds"], native, parts, predictor)


def read_signature(obj: Any) -> Signature:
    boosted = _boosted(obj)
    head, task = boosted.head, task_of(boosted.head)
    named = head.names != [f"Column_{i}" for i in range(head.width)]
    return Signature(
        shape=(head.width,),
        names=tuple(head.names) if named else None,
        columns={place: InputColumn("category", table) for place, table in head.category_tables().items()},
        task=task,
        classes=boosted.classes,
        outputs=head.trees_per_round,
        output="value" if task == "regression" else "probability",
    )


def predict(obj: Any, x: Any) -> Array:
    """(n,) probabilities of class 1 or values, (n, k) probabilities; ``x`` (n, d) with categories as codes."""
    boosted = _boosted(obj)
    _check_width(boosted.head.width, x)
    if boosted.predictor is not None:
        return boosted.predictor.predict(np.asarray(x))
    return np.asarray(boosted.booster.predict(np.asarray(x), validate_features=False))


def fit(obj: Any, x: Any, y: Array, training: Training, *, from_scratch: bool) -> Any:
    """As many rounds as the deployed model has, with its parameters; or, not ``from_scratch``, a fifth as many on top
    of it.

    ``training.epochs`` counts rounds. The curve is heard every ten rounds. New classes need ``from_scratch``:
    BadSetting. Deterministic given the seed, on any number of threads. Costs O(rounds * n * d).
    """
    parent, x = _boosted(obj), np.asarray(x)
    settings = parameters(parent.head, parent.booster.params, training, y, x.shape[1])
    if not from_scratch:
        _check_width(parent.head.width, x)
        if settings.get("num_class", 1) != parent.head.trees_per_round:
            raise BadSetting(
                "LightGBM cannot go on with classes that the booster never saw.", "Use the strategy 'refit'."
            )
    rounds = training.epochs or (parent.rounds if from_scratch else max(1, round(FURTHER * parent.rounds)))
    booster = _trained(parent, x, y, training, settings, rounds, from_scratch)
    classes = training.classes or parent.classes
    booster.pandas_categorical = _tables(parent)
    return Boosted(booster, classes or None, rounds if from_scratch else parent.rounds)


def refit_leaves(obj: Any, x: Any, y: Array, *, decay: float) -> Any:
    """The same trees, each leaf ``decay`` of its old value and the rest learnt on ``x``, ``y``. One pass over x."""
    parent, x = _boosted(obj), np.asarray(x)
    _check_width(parent.head.width, x)
    if class_count(parent.head, Training(), y) > max(parent.head.trees_per_round, 2):
        raise BadSetting("Leaves cannot be learnt for classes that the booster never saw.", "Use the strategy 'refit'.")
    copy = _booster(to_text(parent.native))
    copy.params = parameters(parent.head, copy.params, Training(), y, x.shape[1])
    renewed = _tried(lambda: copy.refit(x, y, decay_rate=decay, validate_features=False))
    renewed.pandas_categorical = _tables(parent)
    return Boosted(renewed, parent.classes, parent.rounds)


def count_rounds(obj: Any) -> int:
    return _boosted(obj).rounds


def replace_rounds(obj: Any, rounds: int) -> Any:
    return dataclasses.replace(_boosted(obj), rounds=rounds)


def count_trees(obj: Any) -> int:
    return int(_boosted(obj).booster.current_iteration())


def keep_first_trees(obj: Any, trees: int) -> Any:
    """The booster with its first rounds only; a training anew has as many."""
    parent = _boosted(obj)
    cut = dataclasses.replace(parent.native, trees=parent.native.trees[: trees * parent.native.trees_per_round])
    return _from_text(to_text(cut).encode(), parent.classes, trees)


def fold_output(obj: Any, factor: float, shift: Array) -> Any:
    """A booster whose margins are ``factor * margin + shift``. Raises BadModel where its answer is not the margin's."""
    parent = _boosted(obj)
    if not answers_plainly(parent.head, parent.booster.params):
        raise BadModel(f"A correction cannot go into the leaves of the objective {parent.head.objective!r}.")
    text = to_text(correct_native(parent.native, factor, [float(by) for by in shift]))
    corrected = _from_text(text.encode(), parent.classes, parent.rounds, ours=True)
    corrected.booster.params = parent.booster.params
    return corrected


def count_leaves(obj: Any) -> int:
    """Of all trees together."""
    return sum(int(fields_of(tree)["num_leaves"]) for tree in _boosted(obj).native.trees)


def limit_leaves(obj: Any, leaves: int) -> Any:
    """The booster as one whose training from scratch gives at most ``leaves`` leaves in all."""
    parent = _boosted(obj)
    trees = max(1, parent.rounds * parent.head.trees_per_round)
    copy = _booster(to_text(parent.native))
    copy.params = {**parent.booster.params, "num_leaves": max(2, leaves // trees)}
    return dataclasses.replace(parent, live=copy, given=parent.native, predictor=None)


def get_hyperparameters(obj: Any) -> Values:
    return tuning.hyperparameters(_boosted(obj).booster.params, _boosted(obj).rounds)


def list_dimensions(obj: Any) -> tuple[Dimension, ...]:
    return tuning.dimensions(_boosted(obj).rounds)


def replace_hyperparameters(obj: Any, values: Values) -> Any:
    """The booster as one that is trained anew with other hyperparameters; its trees are the old ones until then."""
    parent = _boosted(obj)
    copy = _booster(to_text(parent.native))
    copy.params = tuning.overridden(parent.booster.params, values)
    return Boosted(copy, parent.classes, int(values.get("rounds", parent.rounds)), parent.native)


def combine(objs: Sequence[Any], shares: Sequence[float]) -> Any:
    """One booster whose raw margin is the weighted mean of theirs: trees side by side, leaves scaled."""
    members = [_boosted(obj) for obj in objs]
    shares = [float(share) / float(sum(shares)) for share in shares]
    native = combine_natives([m.native for m in members], shares)
    both = _from_text(to_text(native).encode(), members[0].classes, max(m.rounds for m in members), ours=True)
    return dataclasses.replace(both, parts=tuple((m.native.rounds, s) for m, s in zip(members, shares, strict=True)))


def predict_parts(obj: Any, x: Any) -> tuple[Array, ...]:
    """Margins of what was put side by side last, each as it was alone. Costs one prediction."""
    whole, at, found = _boosted(obj), 0, []
    _check_width(whole.booster.num_feature(), x)
    if not answers_plainly(whole.head, whole.booster.params) or not all(share > 0 for _, share in whole.parts):
        return ()  # what had no part in the answer was scaled to nothing
    for rounds, share in whole.parts:
        settings = {"raw_score": True, "validate_features": False, "start_iteration": at, "num_iteration": rounds}
        found.append(np.asarray(whole.booster.predict(np.asarray(x), **settings)) / share)
        at += rounds
    return tuple(found)


def split_parts(obj: Any) -> tuple[tuple[Any, float], ...]:
    """What was put side by side last, each as it was alone but for the last digit, with its share."""
    whole = _boosted(obj)
    texts = [to_text(native).encode() for native in split_native(whole.native, whole.parts)]
    return tuple((_from_text(t, whole.classes, None, ours=True), whole.parts[i][1]) for i, t in enumerate(texts))


def _trained(
    parent: Boosted, x: Array, y: Array, training: Training, settings: dict[str, Any], rounds: int, from_scratch: bool
) -> Any:
    lgb = _lightgbm()
    as_before = x.shape[1] == parent.head.width
    own, named = (parent.head.categorical(), parent.head.names) if as_before else ((), "auto")
    categorical = sorted({*training.categorical, *own})
    rows = lgb.Dataset(x, y, weight=training.weight, feature_name=named, categorical_feature=categorical)
    watched, margins = [], None
    if training.validation is not None and len(training.validation[1]):
        if watches_itself(settings, from_scratch=from_scratch):
            margins = Margins(*training.validation, settings)
        else:
            watched = [lgb.Dataset(np.asarray(training.validation[0]), training.validation[1], reference=rows)]
    before = None if from_scratch else parent.booster
    heard = listener(training, y, settings["metric"], rounds, lgb.callback.EarlyStopException, margins)
    names = ["valid"] * len(watched)
    # Kept for training: else LightGBM writes all its trees and reads them again, only to free the binned rows.
    more = {"init_model": before, "callbacks": [heard], "keep_training_booster": True}
    return _tried(lambda: lgb.train(settings, rows, rounds, watched, names, **more))


def _boosted(obj: Any) -> Boosted:
    """Whatever is given as a booster with its labels. Raises BadModel for one that was never fitted."""
    if isinstance(obj, Boosted):
        return obj
    classes = None
    if hasattr(obj, "fitted_"):
        if not obj.fitted_:
            raise BadModel(f"The {type(obj).__name__} is not fitted.", "Call its fit() first.")
        classes = tuple(np.asarray(obj.classes_).tolist()) if hasattr(obj, "classes_") else None
        obj = obj.booster_
    return _from_text(obj.model_to_string().encode(), classes, None)


def _from_text(data: bytes, classes: tuple[Any, ...] | None, rounds: int | None, *, ours: bool = False) -> Boosted:
    native = parse(data, ours=ours)
    return Boosted(_booster(data.decode()), classes, native.rounds if rounds is None else rounds, native)


def _tables(parent: Boosted) -> list[list[Any]] | None:
    """The parent's code tables for what was trained from it: codes are append-only, so they stay true."""
    return [list(table) for table in parent.head.categories] or None


def _booster(text: str) -> Any:
    lgb = _lightgbm()
    try:
        return lgb.Booster(model_str=text)
    except (lgb.basic.LightGBMError, ValueError, TypeError, KeyError) as error:
        raise BadModel(f"LightGBM cannot read the model ({error}).") from None


def _tried(train: Callable[[], Any]) -> Any:
    try:
        return train()
    except _lightgbm().basic.LightGBMError as error:
        raise BadData(f"LightGBM cannot train on these rows ({error}).") from None


def _check_width(width: int, x: Any) -> None:
    if np.ndim(x) != 2 or np.shape(x)[1] != width:
        raise BadData(f"The booster expects rows of {width} columns. Got an array of shape {np.shape(x)}.")


def _put(at: Path, text: str) -> None:
    at.write_bytes(text.encode())  # write_text would change line ends elsewhere, and with them the sizes


def _lightgbm() -> Any:
    try:
        import lightgbm
    except ImportError:
        raise MissingExtra.for_package("lightgbm", EXTRA, "A LightGBM model") from None
    return lightgbm

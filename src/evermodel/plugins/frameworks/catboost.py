"""CatBoost boosters: native files (.cbm, .json) and live objects; pickles only if the user trusts them by name."""

from __future__ import annotations

import dataclasses
import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData, BadModel, BadSetting, MissingExtra
from evermodel.core.files import write_whole
from evermodel.core.model.framework import InputColumn, Signature
from evermodel.core.model.search_space import Dimension
from evermodel.core.model.training import Training
from evermodel.core.plugins import Confidence
from evermodel.core.records.search_record import Values
from evermodel.plugins.frameworks._catboost import training_parameters as tuning
from evermodel.plugins.frameworks._catboost.category_rows import build_rows
from evermodel.plugins.frameworks._catboost.learning_curve import Listener
from evermodel.plugins.frameworks._catboost.structure import check_structure
from evermodel.plugins.frameworks._file_contents import first_bytes
from evermodel.plugins.frameworks._pickles import is_pickle, load_trusted_pickle, recognize_pickle

EXTRA = "catboost"
MAGIC = b"CBM1"
FILE = "model.cbm"
MARKS = (b'"features_info"', b'"model_info"')  # keys of a JSON file of CatBoost
MOST_JSON = 1 << 28  # bytes of a JSON file that are searched for them
logger = logging.getLogger(__name__)
R = TypeVar("R")


@dataclass(frozen=True)
class Boosted:
    """A model with the recipe for a fresh training: its parameters, and how many rounds."""

    model: Any  # catboost.CatBoost
    recipe: Mapping[str, Any]
    rounds: int

    @property
    def categorical(self) -> tuple[int, ...]:
        return tuple(map(int, self.model.get_cat_feature_indices()))

    @property
    def names(self) -> tuple[str, ...] | None:
        """Of the columns; None where they are only numbered."""
        names = tuple(map(str, self.model.feature_names_))
        return None if names == tuple(map(str, range(len(names)))) else names

    @property
    def classes(self) -> tuple[Any, ...] | None:
        found = tuple(np.asarray(self.model.classes_).tolist())
        return found or None


def is_model(obj: Any) -> bool:
    return isinstance(obj, Boosted) or any(t.__module__.split(".")[0] == "catboost" for t in type(obj).__mro__)


def recognize(path: Path, /) -> Confidence:
    """CatBoost's own file by its first bytes, its JSON by the keys in it, or a pickle that names one of its classes."""
    start = first_bytes(path, len(MAGIC))
    if start == MAGIC:
        return Confidence.CERTAIN
    if start[:1] == b"{" and path.is_file() and path.stat().st_size <= MOST_JSON:
        text = path.read_bytes()
        return Confidence.CERTAIN if all(mark in text for mark in MARKS) else Confidence.NO
    return recognize_pickle(path, "catboost")


def suffixes() -> tuple[str, ...]:
    return (".cbm", ".json")


def read_file(path: Path, *, trust: bool = False, factory: str | None = None) -> Any:
    """A model from a ``.cbm`` or ``.json`` file; from a pickle only with ``trust``. Raises BadModel, Unsafe."""
    if is_pickle(path):
        return load_trusted_pickle(
            path, is_model, trust=trust, expected="a CatBoost model", instead="use save_model('m.cbm')"
        )
    binary = first_bytes(path, len(MAGIC)) == MAGIC
    model = _load(path, "cbm", path.name) if binary else _load_json(path.read_bytes(), path.name)
    with _refusing(path.name):
        boosted = _describe(model)
        read_signature(boosted)  # CatBoost reads the labels only when it is asked for them
        if binary and not boosted.categorical:  # those with categories cannot be written as JSON without their rows
            check_structure(_write_json(model), path.name)
    return boosted


def convert_object(obj: Any) -> Any:
    """A live object as it is kept."""
    return _boosted(obj)


def native_object(obj: Any) -> Any:
    """The ``catboost.CatBoost``."""
    return _boosted(obj).model


def write_file(obj: Any, to: Path) -> None:
    """``.cbm``, or ``.json`` for a model without categorical columns. Raises BadSetting for another."""
    boosted = _boosted(obj)
    if to.suffix == ".json" and boosted.categorical:
        raise BadSetting("CatBoost writes models with categorical columns as .cbm only here.", "Use .cbm.")
    kind = "json" if to.suffix == ".json" else "cbm"
    write_whole(to, lambda at: boosted.model.save_model(str(at), format=kind))


def plain_script() -> Path:
    return Path(__file__).parent / "_plain_files" / "use_catboost.py"


def plain_input(obj: Any, x: Any) -> Any:
    """An array, or the columns by name."""
    return np.asarray(x) if isinstance(x, np.ndarray) else x


def plain_answers(obj: Any, x: Any) -> Array:
    """What ``CatBoost.predict`` gives: probabilities of all classes, or values."""
    return _predict(_boosted(obj), x)


def plain_tensors(obj: Any) -> dict[str, list[int]]:
    return {}


def save(obj: Any, to: Path) -> None:
    boosted = _boosted(obj)
    boosted.model.save_model(str(to / FILE))
    (to / "model.json").write_text(json.dumps({"recipe": dict(boosted.recipe), "rounds": boosted.rounds}))


def load(at: Path) -> Any:
    beside = json.loads((at / "model.json").read_text())
    return Boosted(_load(at / FILE, "cbm", FILE), beside["recipe"], int(beside["rounds"]))


def read_signature(obj: Any) -> Signature:
    """Categorical columns make it one that takes a frame: CatBoost knows its categories as texts."""
    boosted = _boosted(obj)
    task = tuning.task_of(boosted.recipe)
    classes = None if task == "regression" else boosted.classes
    return Signature(
        layout="frame" if boosted.categorical else "matrix",
        shape=(len(boosted.model.feature_names_),),
        names=boosted.names,
        columns={at: InputColumn("category") for at in boosted.categorical},
        task=task,
        classes=classes,
        outputs=len(classes or ()) if task == "multiclass" else 1,
        output="value" if task == "regression" else "probability",
        learns_categories=bool(boosted.categorical),
    )


def predict(obj: Any, x: Any) -> Array:
    """(n,) probabilities of the second class or values, (n, k) probabilities; ``x`` an array or a frame."""
    boosted = _boosted(obj)
    found = _predict(boosted, x)
    return found[:, 1] if tuning.task_of(boosted.recipe) == "binary" else found


def fit(obj: Any, x: Any, y: Array, training: Training, *, from_scratch: bool) -> Any:
    """As many rounds as the deployed model has, with its parameters. ``training.epochs`` counts rounds.

    Only ``from_scratch``, else BadSetting: CatBoost 1.2 goes on from a model by two different ways from call to call,
    with equal rows and seeds, and what was judged could not be made again.
    """
    if not from_scratch:
        raise BadSetting("CatBoost does not go on from a model in the same way twice.", "Use the strategy 'refit'.")
    parent = _boosted(obj)
    rounds = training.epochs or parent.rounds
    recipe = tuning.choose_parameters(parent.recipe, training, rounds)
    model = library().CatBoost(recipe)
    rows = _pool(parent, x, y, training)
    watched = None
    if training.validation is not None and len(training.validation[1]):
        watched = _pool(parent, *training.validation, dataclasses.replace(training, weight=None))
    _call(
        lambda: model.fit(
            rows,
            eval_set=watched,
            use_best_model=False,
            callbacks=[Listener(training, rounds)],
        )
    )
    kept = {**parent.recipe, "loss_function": recipe.get("loss_function", "RMSE")}
    return Boosted(model, kept, rounds)


def count_rounds(obj: Any) -> int:
    return _boosted(obj).rounds


def replace_rounds(obj: Any, rounds: int) -> Any:
    return dataclasses.replace(_boosted(obj), rounds=rounds)


def count_trees(obj: Any) -> int:
    return int(_boosted(obj).model.tree_count_)


def keep_first_trees(obj: Any, trees: int) -> Any:
    """The model with its first rounds only; a training anew has as many."""
    parent = _boosted(obj)
    model = parent.model.copy()
    model.shrink(trees)
    return dataclasses.replace(parent, model=model, rounds=trees)


def get_hyperparameters(obj: Any) -> Values:
    return tuning.get_hyperparameters(_boosted(obj).recipe, _boosted(obj).rounds)


def list_dimensions(obj: Any) -> tuple[Dimension, ...]:
    return tuning.list_dimensions(_boosted(obj).rounds)


def replace_hyperparameters(obj: Any, values: Values) -> Any:
    """The model as one that is trained anew with other hyperparameters; its trees are the old ones until then."""
    parent = _boosted(obj)
    rounds = int(values.get("rounds", parent.rounds))
    return dataclasses.replace(parent, recipe=tuning.override_parameters(parent.recipe, values), rounds=rounds)


def _predict(boosted: Boosted, x: Any) -> Array:
    loss = tuning.loss_of(boosted.recipe)
    kind = "Exponent" if loss in tuning.EXPONENT else "RawFormulaVal"
    kind = "Probability" if loss in (*tuning.BINARY, *tuning.SEVERAL) else kind
    rows = build_rows(x, len(boosted.model.feature_names_), boosted.categorical, boosted.names)
    if not len(x):
        return np.zeros((0, max(2, len(boosted.classes or ()))) if kind == "Probability" else 0)
    return np.asarray(_call(lambda: boosted.model.predict(rows, prediction_type=kind)))


def _pool(parent: Boosted, x: Any, y: Array, training: Training) -> Any:
    width = len(parent.model.feature_names_)
    rows = build_rows(x, width, parent.categorical, parent.names)
    labels = np.asarray(training.classes)[y] if training.classes else y
    names = None if parent.names is None else list(parent.names)
    settings = {"cat_features": list(parent.categorical), "feature_names": names, "weight": training.weight}
    return _call(lambda: library().Pool(rows, labels, **settings))


def _load(path: Path, kind: str, shown: str) -> Any:
    start = first_bytes(path, 8)
    if kind == "cbm" and 8 + int.from_bytes(start[4:], "little") > path.stat().st_size:  # CatBoost would abort
        raise BadModel(f"{shown} is shorter than its first bytes say.", "Copy the file again; it was cut off.")
    with _refusing(shown):
        return library().CatBoost().load_model(str(path), format=kind)


def _load_json(text: bytes, shown: str) -> Any:
    """The model that the checked document says. CatBoost reads it written anew: it then reads what was checked."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{shown} is no JSON ({str(error)[:200]}).", "Save the model again.") from error
    check_structure(document, shown)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.json").write_text(json.dumps(document))
        return _load(Path(folder) / "model.json", "json", shown)


def _write_json(model: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        model.save_model(f"{folder}/model.json", format="json")
        return json.loads((Path(folder) / "model.json").read_bytes())


@contextmanager
def _refusing(shown: str) -> Iterator[None]:
    """Raises BadModel for a file at which CatBoost stops: it reads some parts only when it is asked for them."""
    try:
        yield
    except (library().CatBoostError, ValueError, AttributeError) as error:  # names that are no UTF-8; no parameters
        said = " ".join(str(error).split())[:200]
        raise BadModel(f"{shown} cannot be read as a CatBoost model ({said}).", "Save the model again.") from error


def _boosted(obj: Any) -> Boosted:
    """Whatever is given as a model with its recipe. Raises BadModel for one that was never fitted."""
    if isinstance(obj, Boosted):
        return obj
    if not obj.is_fitted():
        raise BadModel(f"The {type(obj).__name__} is not fitted.", "Call its fit() first.")
    return _describe(obj)


def _describe(model: Any) -> Boosted:
    """The model with the recipe that stands in its own file. Raises BadModel for one that takes texts or embeddings."""
    if model.get_text_feature_indices() or model.get_embedding_feature_indices():
        raise BadModel(
            "The CatBoost model takes texts or embeddings as columns.", "Models of numbers and categories can be kept."
        )
    recipe = json.loads(json.dumps(model.get_all_params(), default=str))
    tuning.task_of(recipe)
    if not model.tree_count_:
        raise BadModel("The CatBoost model holds no trees.", "Train it again.")
    return Boosted(model, recipe, int(model.tree_count_))


def _call(function: Callable[[], R]) -> R:
    """Raises BadData with CatBoost's own first words where it refuses the rows or the labels."""
    try:
        return function()
    except library().CatBoostError as error:
        said = str(error).strip().splitlines()[0].rpartition(": ")[2][:300]
        logger.info("CatBoost refused.", exc_info=True)
        raise BadData(f"CatBoost cannot use these rows ({said}).", "Check their columns and labels.") from error


def library() -> Any:
    try:
        import catboost
    except ImportError:
        raise MissingExtra.for_package("catboost", EXTRA, "A CatBoost model") from None
    return catboost

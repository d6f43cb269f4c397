"""scikit-learn estimators and pipelines: skops files; pickle and joblib only for a file the user trusts by name."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData, BadModel, BadSetting
from evermodel.core.files import write_whole
from evermodel.core.model.framework import Signature
from evermodel.core.model.search_space import Dimension
from evermodel.core.model.training import Training
from evermodel.core.model.transform import Feature
from evermodel.core.model.user_code import UserCode, read_code, write_code
from evermodel.core.plugins import Confidence
from evermodel.core.records.search_record import Values
from evermodel.plugins.frameworks._file_contents import zip_names
from evermodel.plugins.frameworks._pickles import SUFFIXES as PICKLES
from evermodel.plugins.frameworks._pickles import is_pickle, load_trusted_pickle, recognize_pickle
from evermodel.plugins.frameworks._sklearn import hyperparameters as tuning
from evermodel.plugins.frameworks._sklearn import prune_trees, signature
from evermodel.plugins.frameworks._sklearn.check_parameters import check_parameters
from evermodel.plugins.frameworks._sklearn.column_pipeline import embed_preprocessing as embed_preprocessing
from evermodel.plugins.frameworks._sklearn.fit import fit_anew, go_on
from evermodel.plugins.frameworks._sklearn.fitted_columns import last_step
from evermodel.plugins.frameworks._sklearn.learning_curve import epoch_of
from evermodel.plugins.frameworks._sklearn.native_rows import (
    build_input,
    choose_predicting,
    name_columns,
    restore_values,
)
from evermodel.plugins.frameworks._sklearn.preprocessing_features import takes_texts as takes_texts
from evermodel.plugins.frameworks._sklearn.preprocessing_features import translate_preprocessing
from evermodel.plugins.frameworks._sklearn.several_targets import (
    check_heads,
    decode_targets,
    join_answers,
    list_heads,
)
from evermodel.plugins.frameworks._sklearn.skops_files import (
    check_storable,
    find_user_code,
    import_skops,
    load_skops,
)

EXTRA = "sklearn"
FILE = "model.skops"
RAW_ROWS = (".skops",)  # files that can hold the preprocessing too
# Estimators whose answer is the sigmoid or softmax of a linear score, or the score itself.
OTHERS = {"xgboost", "lightgbm", "catboost", "keras", "torch"}  # families with plugins of their own
LINEAR = ("LogisticRegression", "LinearRegression", "Ridge", "Lasso", "ElasticNet")


def is_model(obj: Any) -> bool:
    # Not by the bases alone: the estimators of boosters derive from scikit-learn's and belong to their own plugins.
    families = [c.__module__.split(".")[0] for c in type(obj).__mro__]
    own = families[0] not in OTHERS and any(
        c.__module__ == "sklearn.base" and c.__name__ == "BaseEstimator" for c in type(obj).__mro__
    )
    return (families[0] == "sklearn" or (own and not OTHERS & set(families))) and hasattr(obj, "predict")


def recognize(path: Path, /) -> Confidence:
    """An archive of skops, or a pickle; a pickle that names no other framework may well hold an estimator."""
    if "schema.json" in zip_names(path):
        return Confidence.CERTAIN
    if recognize_pickle(path, "sklearn") is Confidence.CERTAIN:
        return Confidence.CERTAIN
    return Confidence.POSSIBLE if path.suffix in (".skops", *PICKLES) else Confidence.NO


def suffixes() -> tuple[str, ...]:
    return (".skops",)


def read_file(path: Path, *, trust: bool = False, factory: str | None = None) -> Any:
    """An estimator from a ``.skops`` file; from a pickle only with ``trust``, because a pickle can run anything."""
    if not is_pickle(path):
        return load_skops(path, boosters=trust)
    return load_trusted_pickle(
        path, is_model, trust=trust, expected="a scikit-learn estimator with predict()", instead="use skops.io.dump"
    )


def read_with_code(path: Path, code: UserCode, /, *, trust: bool = False, factory: str | None = None) -> Any:
    """As ``read_file``; classes and functions that ``code`` defines may be named too."""
    return read_file(path) if is_pickle(path) else load_skops(path, boosters=trust, code=code)


def convert_with_code(obj: Any, code: UserCode, /) -> Any:
    """The same estimator with the classes of ``code`` in place of those that the process knows by these names."""
    with TemporaryDirectory(prefix="evermodel-") as folder:
        import_skops().dump(obj, Path(folder) / FILE)
        return load_skops(Path(folder) / FILE, boosters=True, code=code)


def unwrap_search(obj: Any) -> Any:
    """What a search over hyperparameters, or over a threshold, found and predicts with; any other object itself.

    Raises BadModel for a search that kept no estimator.
    """
    if type(obj).__name__ == "TunedThresholdClassifierCV":
        return signature.fix_threshold(obj)
    if not type(obj).__module__.startswith("sklearn.model_selection._search"):
        return obj
    if not hasattr(obj, "best_estimator_"):
        raise BadModel(f"The {type(obj).__name__} kept no estimator to predict with.", "Fit it with refit=True.")
    return obj.best_estimator_


def convert_object(obj: Any) -> Any:
    """The object itself. Raises BadModel, or Unsafe, for what no version could keep."""
    check_storable(obj, f"The {type(obj).__name__}")
    return obj


def join_steps(steps: Sequence[Any]) -> Any:
    """A pipeline of fitted steps. Raises BadModel for a step before the last that transforms nothing."""
    from sklearn.pipeline import make_pipeline

    for step in steps[:-1]:
        if not hasattr(step, "transform"):
            raise BadModel(f"A {type(step).__name__} transforms nothing: it can only be the last step.")
    return make_pipeline(*steps)


def load_preprocessing(source: Any, /, *, trust: bool = False) -> Any:
    """The fitted scaler, encoder, ColumnTransformer or vectorizer in a file, or live.

    A ``.skops`` file is read as carefully as a model; a pickle only with ``trust``.
    """
    if not isinstance(source, Path):
        if not hasattr(source, "transform"):
            raise BadModel(
                f"A {type(source).__name__} transforms nothing.", "Give a fitted scaler or ColumnTransformer."
            )
        return source
    if not is_pickle(source):
        return load_skops(source, wanted="transform")
    return load_trusted_pickle(
        source,
        lambda obj: hasattr(obj, "transform"),
        trust=trust,
        expected="a fitted scaler, ColumnTransformer or vectorizer of scikit-learn",
        instead="use skops.io.dump",
    )


def read_preprocessing(preprocessing: Any, name: str, /) -> tuple[tuple[Feature, ...], bool]:
    """Its features, and whether they have names; messages call it ``name``."""
    return translate_preprocessing(preprocessing, name)


def write_file(obj: Any, to: Path) -> None:
    check_parameters(obj, "The model")  # what is written must be readable again
    write_whole(to, lambda at: import_skops().dump(obj, at))


def plain_script() -> Path:
    return Path(__file__).parent / "_plain_files" / "use_sklearn.py"


def plain_input(obj: Any, x: Any) -> Any:
    """An array, or the columns that the pipeline was fitted on."""
    return x if isinstance(x, np.ndarray) else restore_values(obj, x)


def plain_answers(obj: Any, x: Any) -> Array:
    """What ``predict_proba``, or ``predict``, gives."""
    return predict(obj, x)


def plain_tensors(obj: Any) -> dict[str, list[int]]:
    return {}


def save(obj: Any, to: Path) -> None:
    check_parameters(obj, "The model")  # what is kept must be readable again
    import_skops().dump(obj, to / FILE)
    write_code(find_user_code(obj), to)


def load(at: Path) -> Any:
    return load_skops(at / FILE, boosters=True, code=read_code(at))  # ours: it was checked when it was adopted


def read_signature(obj: Any) -> Signature:
    return signature.read_signature(obj)


def predict(obj: Any, x: Any) -> Array:
    """Probabilities, or values. A category that an encoder would raise for counts as none of the known ones."""
    return _ask(obj, x, probabilities=True)


def predict_labels(obj: Any, x: Any) -> Array:
    """What ``predict`` of a classifier gives: with a threshold of its own that is not the likeliest class."""
    return _ask(obj, x, probabilities=False)


def _ask(obj: Any, x: Any, *, probabilities: bool) -> Array:
    if isinstance(x, np.ndarray):
        predicting, given = obj, name_columns(obj, x)
    else:
        restored = restore_values(obj, x)
        predicting, given = choose_predicting(obj, restored), build_input(obj, restored)
    method = "predict_proba" if probabilities and hasattr(obj, "classes_") else "predict"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Found unknown categories", category=UserWarning)
            found = getattr(predicting, method)(given)
    except Exception as error:  # a step of the user's own can raise anything
        if _has_missing(given):
            raise BadData(
                f"The rows have missing values, and this {type(obj).__name__} takes none.",
                "Fill or drop them, or put an imputer into the model's own pipeline.",
            ) from error
        raise BadData(
            f"This {type(obj).__name__} cannot answer the rows: {' '.join(str(error).split())[:300]}",
            "Check that its columns hold what it was fitted on.",
        ) from error
    return join_answers(found)


def fit(obj: Any, x: Any, y: Array, training: Training, *, from_scratch: bool) -> Any:
    """A new estimator. ``from_scratch`` fits a clone; else a last step with partial_fit goes on from where it is.

    Raises BadSetting where going on is asked of an estimator that cannot.
    """
    heads, labels = list_heads(obj), np.asarray(y)
    if heads:
        labels = decode_targets(heads, y)
    elif training.classes:
        labels = np.asarray(training.classes)[y]
    began = time.monotonic()
    model = (fit_anew if from_scratch else go_on)(obj, x, labels, training)
    if heads:
        check_heads(heads, model)
        labels = y
    training.on_epoch(epoch_of(partial(predict, model), model, x, labels, training, time.monotonic() - began))
    return model


def get_weights(obj: Any) -> list[Array]:
    """Coefficients and intercept of a linear model (last step of a pipeline)."""
    last = last_step(obj)
    if not hasattr(last, "coef_") or not hasattr(last, "intercept_") or hasattr(last, "dual_coef_"):
        raise BadSetting(f"{type(last).__name__} has no coefficients to read.", "Only linear models have.")
    return [np.asarray(last.coef_), np.asarray(last.intercept_)]


def replace_weights(obj: Any, weights: Sequence[Array]) -> Any:
    """A copy with other coefficients and intercept, of the same number type as before."""
    import copy

    model = copy.deepcopy(obj)
    last = last_step(model)
    kinds = (np.asarray(last.coef_).dtype, np.asarray(last.intercept_).dtype)
    last.coef_, last.intercept_ = (np.array(w, dtype=kind) for w, kind in zip(weights, kinds, strict=True))
    return model


def fold_output(obj: Any, factor: float, shift: Array) -> Any:
    """A copy of a linear model whose scores are ``factor * score + shift``. Raises BadModel for other estimators."""
    if type(last_step(obj)).__name__ not in LINEAR:
        raise BadModel(f"The coefficients of a {type(last_step(obj)).__name__} are not its scores alone.")
    coefficients, intercept = get_weights(obj)
    if np.size(intercept) == 1 and np.size(shift) == 2:  # two classes have one score: that of the second
        shift = shift[1:] - shift[:1]
    return replace_weights(obj, [coefficients * factor, intercept * factor + np.reshape(shift, np.shape(intercept))])


def get_hyperparameters(obj: Any) -> Values:
    return tuning.hyperparameters(last_step(obj))


def list_dimensions(obj: Any) -> tuple[Dimension, ...]:
    return tuning.dimensions(last_step(obj))


def replace_hyperparameters(obj: Any, values: Values) -> Any:
    """An unfitted clone with other hyperparameters in its last step; the steps before it are cloned too."""
    from sklearn.base import clone

    model = clone(obj)
    last_step(model).set_params(**tuning.settings(last_step(model), values))
    return model


def combine(objs: Sequence[Any], shares: Sequence[float]) -> Any:
    """One linear model whose raw output is the weighted mean of theirs, by its coefficients.

    Raises BadSetting for other estimators, or where labels or the steps before the last differ.
    """
    import joblib

    first = objs[0]
    for other in objs[1:]:
        labels = [getattr(o, "classes_", np.empty(0)).tolist() for o in (first, other)]
        before = [joblib.hash(o.steps[:-1]) if hasattr(o, "steps") else "" for o in (first, other)]
        if type(last_step(other)) is not type(last_step(first)) or labels[0] != labels[1] or before[0] != before[1]:
            raise BadSetting("Linear models can be combined when kind, labels and the steps before agree.")
    total = float(sum(shares))
    parts = zip(*(get_weights(obj) for obj in objs), strict=True)
    return replace_weights(first, [sum(s / total * w for s, w in zip(shares, same, strict=True)) for same in parts])


def count_trees(obj: Any) -> int:
    return prune_trees.trees(last_step(obj))


def keep_first_trees(obj: Any, trees: int) -> Any:
    """A copy with its first trees or rounds only. Raises BadModel for an estimator without."""
    import copy

    copied = copy.deepcopy(obj)
    prune_trees.truncate(last_step(copied), trees)
    return copied


def count_leaves(obj: Any) -> int:
    """Of all trees together; 0 for an estimator without, or whose trees have no bound."""
    return prune_trees.count_leaves(last_step(obj)) if "max_leaf_nodes" in last_step(obj).get_params() else 0


def limit_leaves(obj: Any, leaves: int) -> Any:
    """A copy whose training from scratch gives at most ``leaves`` leaves in all; the best splits first."""
    import copy

    copied = copy.deepcopy(obj)
    last = last_step(copied)
    last.set_params(max_leaf_nodes=max(2, leaves // max(1, len(prune_trees.list_trees(last)))))
    return copied


def _has_missing(x: Any) -> bool:
    """Whether a matrix or a frame holds a missing value."""
    if isinstance(x, np.ndarray):
        return bool((x != x).any())  # NaN alone is not equal to itself, also among objects
    return bool(x.isna().to_numpy().any()) if hasattr(x, "isna") else False

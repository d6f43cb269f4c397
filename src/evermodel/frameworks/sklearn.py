"""scikit-learn estimators and pipelines: skops files; pickle and joblib only for a file the user trusts by name."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.errors import BadData, BadModel, BadSetting, MissingExtra, Unsafe
from evermodel.core.files import write_whole
from evermodel.core.framework import Needs, Task
from evermodel.core.space import Dimension, Values
from evermodel.core.table import Array
from evermodel.core.training import Training
from evermodel.frameworks._pickled import SUFFIXES as PICKLES
from evermodel.frameworks._pickled import names_package, unpickled
from evermodel.frameworks._sklearn import pruning, tuning
from evermodel.frameworks._sklearn.curve import epoch_of
from evermodel.frameworks._sklearn.trees import check_trees

EXTRA = "sklearn"
# Types of scikit-learn's own that skops does not trust by itself, and whose construction runs no code of a stranger.
KNOWN_TYPES = frozenset(
    {
        "numpy.dtype",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.tree._tree.Tree",  # its children are checked after it is built: see _sklearn/trees.py
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.LogLink",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn.compose._column_transformer._RemainderColsList",
    }
)


def owns(obj: Any) -> bool:
    # Not by the bases: the estimators of xgboost and lightgbm derive from scikit-learn's and belong to their own plugs.
    return type(obj).__module__.split(".")[0] == "sklearn" and hasattr(obj, "predict")


def opens(path: Path) -> bool:
    if path.suffix in PICKLES:
        return not names_package(path, "xgboost")  # frameworks/xgboost.py opens those
    return path.suffix == ".skops"


def suffixes() -> tuple[str, ...]:
    return (".skops",)


def read(path: Path, *, trust: bool = False, factory: str | None = None) -> Any:
    """An estimator from a ``.skops`` file; from a pickle only with ``trust``, because a pickle can run anything."""
    if path.suffix not in PICKLES:
        return _load_skops(path)
    return unpickled(
        path, owns, trust=trust, wanted="a scikit-learn estimator with predict()", instead="use skops.io.dump"
    )


def read_scaler(path: Path) -> Any:
    """A fitted scaler from a ``.skops`` file, read as carefully as a model."""
    return _load_skops(path, wanted="transform")


def write(obj: Any, to: Path) -> None:
    write_whole(to, lambda at: _skops().dump(obj, at))


def save(obj: Any, to: Path) -> None:
    _skops().dump(obj, to / "model.skops")


def load(at: Path) -> Any:
    return _load_skops(at / "model.skops")


def needs(obj: Any) -> Needs:
    names = getattr(obj, "feature_names_in_", None)
    width = getattr(obj, "n_features_in_", None)
    classes = getattr(obj, "classes_", None)
    task: Task = "regression"
    if classes is not None:
        classes = tuple(np.asarray(classes).tolist())
        task = "binary" if len(classes) == 2 else "multiclass"
        if not hasattr(obj, "predict_proba"):
            raise BadModel(
                f"{_last(obj).__class__.__name__} gives no probabilities (it has no predict_proba).",
                "Wrap it in sklearn.calibration.CalibratedClassifierCV and adopt that.",
            )
    return Needs(
        layout="matrix" if names is None else "frame",
        shape=None if width is None else (int(width),),
        names=None if names is None else tuple(map(str, names)),
        task=task,
        classes=classes,
        outputs=1 if classes is None else len(classes),
        output="value" if classes is None else "probability",
        network=False,
    )


def predict(obj: Any, x: Any) -> Array:
    given = x if hasattr(obj, "feature_names_in_") or isinstance(x, np.ndarray) else x.to_numpy()
    try:
        found = obj.predict_proba(given) if hasattr(obj, "classes_") else obj.predict(given)
    except ValueError as error:
        if "contains NaN" not in str(error):
            raise
        raise BadData(
            f"The rows have missing values, and this {type(obj).__name__} takes none.",
            "Fill or drop them, or put an imputer into the model's own pipeline.",
        ) from error
    return np.asarray(found)


def fit(obj: Any, x: Any, y: Array, training: Training, *, fresh: bool) -> Any:
    """A new estimator. ``fresh`` fits a clone; else a last step with partial_fit goes on from where it is.

    Raises BadSetting where going on is asked of an estimator that cannot.
    """
    labels = np.asarray(training.classes)[y] if training.classes else y
    began = time.monotonic()
    model = _fitted_fresh(obj, x, labels, training) if fresh else _continued(obj, x, labels, training)
    training.on_epoch(epoch_of(model, x, labels, training, time.monotonic() - began))
    return model


def _fitted_fresh(obj: Any, x: Any, labels: Array, training: Training) -> Any:
    from sklearn.base import clone

    model = clone(obj)
    seeds = {k: training.seed for k in model.get_params() if k.split("__")[-1] == "random_state"}
    model.set_params(**seeds)
    if training.epochs is not None:
        rounds = [k for k in model.get_params() if k.split("__")[-1] == "max_iter"]
        model.set_params(**dict.fromkeys(rounds, training.epochs))
    return model.fit(x, labels, **_weights(model, training))


def _continued(obj: Any, x: Any, labels: Array, training: Training) -> Any:
    import copy

    model = copy.deepcopy(obj)
    last = _last(model)
    if not hasattr(last, "partial_fit"):
        raise BadSetting(f"{type(last).__name__} cannot go on training (it has no partial_fit).", "Use --with refit.")
    inner = model[:-1].transform(x) if last is not model else x
    order = np.random.default_rng(training.seed)
    size = training.batch_size or 64
    known = {"classes": last.classes_} if hasattr(last, "classes_") else {}
    if known and not np.isin(labels, last.classes_).all():
        name = type(last).__name__
        raise BadSetting(f"{name} cannot go on with classes that it never saw.", "Use --with refit.")
    for _ in range(training.epochs or 5):
        shuffled = order.permutation(len(labels))
        for at in range(0, len(labels), size):
            rows = shuffled[at : at + size]
            last.partial_fit(inner[rows], labels[rows], **known)
        if training.out_of_time():
            break
    return model


def weights(obj: Any) -> list[Array]:
    """Coefficients and intercept of a linear model (last step of a pipeline)."""
    last = _last(obj)
    if not hasattr(last, "coef_") or not hasattr(last, "intercept_") or hasattr(last, "dual_coef_"):
        raise BadSetting(f"{type(last).__name__} has no coefficients to read.", "Only linear models have.")
    return [np.asarray(last.coef_), np.asarray(last.intercept_)]


def with_weights(obj: Any, weights: Sequence[Array]) -> Any:
    import copy

    model = copy.deepcopy(obj)
    last = _last(model)
    last.coef_, last.intercept_ = (np.array(w, dtype=np.float64) for w in weights)
    return model


def hyperparameters(obj: Any) -> Values:
    return tuning.hyperparameters(_last(obj))


def dimensions(obj: Any) -> tuple[Dimension, ...]:
    return tuning.dimensions(_last(obj))


def with_hyperparameters(obj: Any, values: Values) -> Any:
    """An unfitted clone with other hyperparameters in its last step; the steps before it are cloned too."""
    from sklearn.base import clone

    model = clone(obj)
    _last(model).set_params(**tuning.settings(_last(model), values))
    return model


def combined(objs: Sequence[Any], shares: Sequence[float]) -> Any:
    """One linear model whose raw output is the weighted mean of theirs, by its coefficients.

    Raises BadSetting for other estimators, or where labels or the steps before the last differ.
    """
    import joblib

    first = objs[0]
    for other in objs[1:]:
        labels = [getattr(o, "classes_", np.empty(0)).tolist() for o in (first, other)]
        before = [joblib.hash(o.steps[:-1]) if hasattr(o, "steps") else "" for o in (first, other)]
        if type(_last(other)) is not type(_last(first)) or labels[0] != labels[1] or before[0] != before[1]:
            raise BadSetting("Linear models can be combined when kind, labels and the steps before agree.")
    total = float(sum(shares))
    parts = zip(*(weights(obj) for obj in objs), strict=True)
    return with_weights(first, [sum(s / total * w for s, w in zip(shares, same, strict=True)) for same in parts])


def _weights(model: Any, training: Training) -> dict[str, Array]:
    if training.weight is None:
        return {}
    from sklearn.utils.validation import has_fit_parameter

    last = _last(model)
    if not has_fit_parameter(last, "sample_weight"):
        return {}
    name = "sample_weight" if last is model else f"{model.steps[-1][0]}__sample_weight"
    return {name: training.weight}


def trees(obj: Any) -> int:
    return pruning.trees(_last(obj))


def first(obj: Any, trees: int) -> Any:
    """A copy with its first trees or rounds only. Raises BadModel for an estimator without."""
    import copy

    made = copy.deepcopy(obj)
    pruning.truncate(_last(made), trees)
    return made


def _last(obj: Any) -> Any:
    return obj.steps[-1][1] if hasattr(obj, "steps") else obj


def _skops() -> Any:
    try:
        import skops.io
    except ImportError:
        raise MissingExtra.for_package("skops", EXTRA, "A scikit-learn model") from None
    return skops.io


def _load_skops(path: Path, wanted: str = "predict") -> Any:
    io = _skops()
    try:
        foreign = [t for t in io.get_untrusted_types(file=path) if t not in KNOWN_TYPES]
        if foreign:
            raise Unsafe(
                f"{path.name} names types outside scikit-learn: {', '.join(sorted(foreign)[:5])}.",
                "Only estimators of scikit-learn itself, numpy and scipy are built from a file.",
            )
        obj = io.load(path, trusted=sorted(KNOWN_TYPES & set(io.get_untrusted_types(file=path))))
    except (Unsafe, FileNotFoundError):
        raise
    except Exception as error:  # skops raises whatever the broken part inside raises
        raise BadModel(f"{path.name} cannot be read as a skops file ({type(error).__name__}: {error}).") from None
    if not type(obj).__module__.startswith("sklearn") or not hasattr(obj, wanted):
        raise BadModel(f"{path.name} holds a {type(obj).__name__}, not a scikit-learn estimator with {wanted}().")
    check_trees(_last(obj), path.name)
    return obj

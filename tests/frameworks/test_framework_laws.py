"""The laws of laws/frameworks.py, on every framework there is; and on plugs that break one law each."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from evermodel.core import plugs
from evermodel.core.contract import Column, Contract
from evermodel.core.ensemble import Ensemble
from evermodel.core.errors import MissingExtra
from evermodel.core.model import Model
from evermodel.core.table import Array, Roles
from evermodel.core.training import Epoch
from evermodel.core.transform import Feature, Transform
from evermodel.laws import frameworks as laws
from evermodel.laws.frameworks import Example


def rows(seed: int, n: int = 120) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 4)).astype(np.float32)
    return x, (x[:, 0] + (1 - seed) * x[:, 1] > 0).astype(np.int64)


def example(obj: Any, **said: Any) -> Example:
    return Example(obj, *rows(0), *rows(2), classes=(0, 1), **said)


def lightgbm() -> Example:
    lgb = pytest.importorskip("lightgbm")
    told = {"objective": "binary", "num_threads": 1, "verbosity": -1, "num_leaves": 4}
    return example(lgb.train(told, lgb.Dataset(*rows(0)), 5))


def xgboost() -> Example:
    xgb = pytest.importorskip("xgboost")
    told = {"objective": "binary:logistic", "nthread": 1, "max_depth": 3}
    return example(xgb.train(told, xgb.DMatrix(*rows(0)), 5))


def sklearn() -> Example:
    linear = pytest.importorskip("sklearn.linear_model")
    return example(linear.SGDClassifier(loss="log_loss", random_state=0).fit(*rows(0)))


def torch() -> Example:
    nn = pytest.importorskip("torch").nn
    from evermodel.frameworks import torch as plug

    if "torch" not in _taken:
        plug_example = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2))
        _taken["torch"] = plug.taken(plug_example)
    return example(_taken["torch"])


def keras() -> Example:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential(layers)
    model.compile("adam", "binary_crossentropy")
    return example(model)


def ensemble() -> Example:
    """Two linear models; an ensemble takes rows as a frame."""
    names = ("a", "b", "c", "d")
    contract = Contract("binary", Roles("y"), tuple(Column(n, "number") for n in names), (0, 1))
    transform = Transform(tuple(Feature(n) for n in names))
    member = Model(contract, transform, sklearn().obj, plugs.module("frameworks", "sklearn"))
    (x, y), (other_x, other_y) = rows(0), rows(2)
    frames = [pl.DataFrame(part.astype(np.float64), schema=list(names), orient="row") for part in (x, other_x)]
    obj = Ensemble((member, member), (0.5, 0.5), "logit", ("first", "second"))
    return Example(obj, frames[0], y, frames[1], other_y, classes=(0, 1))


_taken: dict[str, Any] = {}
EXAMPLES: dict[str, Callable[[], Example]] = {
    "ensemble": ensemble,
    "keras": keras,
    "lightgbm": lightgbm,
    "sklearn": sklearn,
    "torch": torch,
    "xgboost": xgboost,
}


def test_every_framework_has_an_example() -> None:
    assert sorted(plugs.names("frameworks")) == sorted(EXAMPLES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_law(law: laws.Law, name: str) -> None:
    law(plugs.module("frameworks", name), EXAMPLES[name]())


def test_no_framework_owns_anothers_objects() -> None:
    for name, make in EXAMPLES.items():
        obj = make().obj
        owners = [other for other in EXAMPLES if plugs.module("frameworks", other).owns(obj)]
        assert owners == [name]


def broken(**changed: Any) -> Any:
    """The plug of scikit-learn with one function changed for the worse."""
    plug = plugs.module("frameworks", "sklearn")
    bad = types.SimpleNamespace(**{k: v for k, v in vars(plug).items() if not k.startswith("_")})
    bad.__name__ = plug.__name__
    for name, make in changed.items():
        setattr(bad, name, make(plug))
    return bad


def _fits_in_place(plug: Any) -> Any:
    def fit(obj: Any, x: Any, y: Array, training: Any, *, fresh: bool) -> Any:
        return obj.fit(x, y)

    return fit


def _loses_a_bit(plug: Any) -> Any:
    def load(at: Path) -> Any:
        obj = plug.load(at)
        obj.coef_ = obj.coef_ * 1.001
        return obj

    return load


def _unseeded(plug: Any) -> Any:
    def fit(obj: Any, x: Any, y: Array, training: Any, *, fresh: bool) -> Any:
        made = plug.fit(obj, x, y, training, fresh=fresh)
        made.intercept_ = made.intercept_ + np.random.default_rng().normal()
        return made

    return fit


def _remembers(plug: Any) -> Any:
    return lambda obj, x, y, training, *, fresh: plug.fit(obj, x, y, training, fresh=False)


def _silent(plug: Any) -> Any:
    def fit(obj: Any, x: Any, y: Array, training: Any, *, fresh: bool) -> Any:
        import dataclasses

        return plug.fit(obj, x, y, dataclasses.replace(training, on_epoch=lambda _: None), fresh=fresh)

    return fit


def _nan_loss(plug: Any) -> Any:
    def fit(obj: Any, x: Any, y: Array, training: Any, *, fresh: bool) -> Any:
        training.on_epoch(Epoch(1, float("nan")))
        return obj

    return fit


def _centres_the_batch(plug: Any) -> Any:
    return lambda obj, x: plug.predict(obj, x - x.mean(axis=0))


def _reads_another(plug: Any) -> Any:
    def read(path: Path, **_: Any) -> Any:
        obj = plug.read(path)
        obj.coef_ = -obj.coef_
        return obj

    return read


def _ignores_new_classes(plug: Any) -> Any:
    def fit(obj: Any, x: Any, y: Array, training: Any, *, fresh: bool) -> Any:
        import dataclasses

        told = dataclasses.replace(training, classes=training.classes[:2])
        return plug.fit(obj, x, np.minimum(y, 1), told, fresh=fresh)

    return fit


BROKEN = [
    (laws.fit_leaves_the_given_object_untouched, {"fit": _fits_in_place}),
    (laws.saved_and_loaded_predicts_the_same_bits, {"load": _loses_a_bit}),
    (laws.same_seed_same_bits, {"fit": _unseeded}),
    (laws.fresh_forgets_the_old_parameters, {"fit": _remembers}),
    (laws.on_epoch_hears_a_finite_loss, {"fit": _silent}),
    (laws.on_epoch_hears_a_finite_loss, {"fit": _nan_loss}),
    (laws.prediction_does_not_hang_on_the_batch, {"predict": _centres_the_batch}),
    (laws.a_written_file_is_read_back, {"read": _reads_another}),
    (laws.owns_only_its_own, {"owns": lambda plug: lambda obj: True}),
    (laws.classes_never_seen_are_refused_or_learnt, {"fit": _ignores_new_classes}),
]


@pytest.mark.parametrize(("law", "changed"), BROKEN, ids=lambda v: getattr(v, "__name__", ""))
def test_a_law_catches_a_plug_that_breaks_it(law: laws.Law, changed: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match=law.__name__):
        law(broken(**changed), sklearn())


def test_a_plug_that_imports_its_framework_at_once_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import sklearn.linear_model\nfrom evermodel.frameworks.sklearn import owns, opens, suffixes\n"
    (tmp_path / "hasty_plug.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(map(str, __import__('sys').path))}")
    hasty = broken()
    hasty.__name__ = "hasty_plug"
    with pytest.raises(AssertionError, match="imports_nothing"):
        laws.looking_imports_nothing(hasty, sklearn())


def test_every_law_has_a_plug_that_breaks_it() -> None:
    assert {law for law, _ in BROKEN} | {laws.looking_imports_nothing} == set(laws.LAWS)


GARBAGE = [b"", b"\x00" * 64, b"tree\n", b"{", b'{"learner": 1}', b"PK\x03\x04", b"GIF89a", b"{L\x00"]


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "torch", "sklearn"])
@pytest.mark.parametrize(
    "garbage", [b"", b"\x00" * 64, b"tree\n", b"{", b'{"learner": 1}', b"PK\x03\x04", b"GIF89a", b"{L\x00"]
)
def test_garbage_is_an_error_of_ours(name: str, garbage: bytes, tmp_path: Path) -> None:
    from evermodel.core.errors import EvermodelError

    plug = plugs.module("frameworks", name)
    for suffix in plug.suffixes():
        path = tmp_path / f"m{suffix}"
        path.write_bytes(garbage)
        with pytest.raises(EvermodelError) as caught:
            plug.read(path)
        assert not isinstance(caught.value, MissingExtra)

"""What every framework's file must obey. A plug author runs ``check_framework(module, make_example)``.

Each law is a function whose docstring is the law; it raises AssertionError with the docstring where it is broken.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.errors import AskedWrongly
from evermodel.core.framework import Framework
from evermodel.core.table import Array
from evermodel.core.training import Epoch, Training


@dataclass(frozen=True)
class Example:
    """A fitted object, rows for it, and other rows to train on; small enough to be trained a dozen times."""

    obj: Any
    x: Any  # (n, …)
    y: Array  # (n,) codes or values
    other_x: Any
    other_y: Array
    classes: tuple[Any, ...] = ()
    goes_on: bool = True  # fit(fresh=False) is possible

    def training(self, **asked: Any) -> Training:
        return Training(**{"classes": self.classes, "seed": 7, "epochs": 3, **asked})


Law = Callable[[Framework, Example], None]


def fit_leaves_the_given_object_untouched(plug: Framework, example: Example) -> None:
    """Training makes a new object; the given one predicts what it did."""
    before = plug.predict(example.obj, example.x)
    for fresh in _ways(example):
        plug.fit(example.obj, example.other_x, example.other_y, example.training(), fresh=fresh)
    _same(before, plug.predict(example.obj, example.x), fit_leaves_the_given_object_untouched)


def saved_and_loaded_predicts_the_same_bits(plug: Framework, example: Example) -> None:
    """What is saved and loaded predicts the same bits, before training and after; and needs the same."""
    trained = plug.fit(example.obj, example.x, example.y, example.training(), fresh=True)
    for obj in (example.obj, trained):
        with tempfile.TemporaryDirectory() as folder:
            plug.save(obj, Path(folder))
            found = plug.load(Path(folder))
            _same(plug.predict(obj, example.x), plug.predict(found, example.x), saved_and_loaded_predicts_the_same_bits)
            _hold(plug.needs(obj) == plug.needs(found), saved_and_loaded_predicts_the_same_bits)


def same_seed_same_bits(plug: Framework, example: Example) -> None:
    """The same rows and the same seed give the same bits."""
    for fresh in _ways(example):
        one, two = (plug.fit(example.obj, example.x, example.y, example.training(), fresh=fresh) for _ in range(2))
        _same(plug.predict(one, example.x), plug.predict(two, example.x), same_seed_same_bits)


def fresh_forgets_the_old_parameters(plug: Framework, example: Example) -> None:
    """A fresh training ends at the same model whatever the given object had learnt before."""
    elsewhere = plug.fit(example.obj, example.other_x, example.other_y, example.training(), fresh=True)
    one, two = (plug.fit(obj, example.x, example.y, example.training(), fresh=True) for obj in (example.obj, elsewhere))
    _hold(
        not np.array_equal(plug.predict(elsewhere, example.x), plug.predict(one, example.x)),
        fresh_forgets_the_old_parameters,
    )
    _same(plug.predict(one, example.x), plug.predict(two, example.x), fresh_forgets_the_old_parameters)


def on_epoch_hears_a_finite_loss(plug: Framework, example: Example) -> None:
    """At least one epoch is heard of, numbered from 1, its loss a finite number; the watched rows' too if given."""
    heard: list[Epoch] = []
    watched = example.training(on_epoch=heard.append, validation=(example.other_x, example.other_y))
    plug.fit(example.obj, example.x, example.y, watched, fresh=True)
    numbers = [epoch.number for epoch in heard]
    _hold(len(heard) > 0 and numbers == sorted(set(numbers)) and numbers[0] >= 1, on_epoch_hears_a_finite_loss)
    losses = [loss for epoch in heard for loss in (epoch.loss, epoch.validation_loss)]
    _hold(all(loss is not None and np.isfinite(loss) for loss in losses), on_epoch_hears_a_finite_loss)


def prediction_does_not_hang_on_the_batch(plug: Framework, example: Example) -> None:
    """A row is predicted alike alone, among others, and in another order (to 1e-5: sums may be taken in parts)."""
    whole = plug.predict(example.obj, example.x)
    order = np.random.default_rng(0).permutation(len(example.y))
    parts = [plug.predict(example.obj, _rows(example.x, slice(at, at + 7))) for at in range(0, len(order), 7)]
    for found in (np.concatenate(parts), plug.predict(example.obj, _rows(example.x, order))[np.argsort(order)]):
        _hold(np.allclose(whole, found, rtol=1e-5, atol=1e-5), prediction_does_not_hang_on_the_batch)


def a_written_file_is_read_back(plug: Framework, example: Example) -> None:
    """Every kind of file that can be written, and can be opened without more, is read back with equal predictions."""
    if not plug.suffixes():
        return  # it has no file of its own, as an ensemble has none
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{plug.suffixes()[0]}"
        plug.write(example.obj, path)
        _hold(path.is_file() and plug.opens(path), a_written_file_is_read_back)
        found = plug.predict(plug.read(path), example.x)
    _hold(np.allclose(plug.predict(example.obj, example.x), found, rtol=1e-6, atol=1e-6), a_written_file_is_read_back)


def owns_only_its_own(plug: Framework, example: Example) -> None:
    """It owns its objects and those it makes, and nothing that is no model."""
    made = plug.fit(example.obj, example.x, example.y, example.training(), fresh=True)
    _hold(plug.owns(example.obj) and plug.owns(made), owns_only_its_own)
    others: list[object] = [None, 1, "model", {}, np.zeros(3), Path()]
    _hold(not any(plug.owns(other) for other in others), owns_only_its_own)


def looking_imports_nothing(plug: Framework, example: Example) -> None:
    """Importing the plug, ``owns`` and ``opens`` load no framework: a look must cost nothing."""
    package = type(example.obj).__module__.split(".")[0]
    code = (
        "import sys, importlib, pathlib, tempfile;"
        f"plug = importlib.import_module({plug.__name__!r}); before = set(sys.modules);"
        "plug.owns(object()); at = pathlib.Path(tempfile.mkdtemp());"
        "[((at / f'm{s}').write_bytes(b'x'), plug.opens(at / f'm{s}')) for s in plug.suffixes()];"
        f"known = {{'sklearn', 'torch', 'keras', 'tensorflow', {package!r}}} - {{'evermodel', 'builtins'}};"
        "sys.exit(len(known & {m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    _hold(done.returncode == 0, looking_imports_nothing)


def classes_never_seen_are_refused_or_learnt(plug: Framework, example: Example) -> None:
    """Going on with a class that was never seen gives it a column, or is refused in our words; never nonsense."""
    if not example.classes or not example.goes_on:
        return
    y = example.y.copy()
    y[: len(y) // 4] = len(example.classes)
    told = example.training(classes=(*example.classes, "never seen"))
    try:
        made = plug.fit(example.obj, example.x, y, told, fresh=False)
    except AskedWrongly:
        return
    _hold(plug.predict(made, example.x).shape[1:] == (len(told.classes),), classes_never_seen_are_refused_or_learnt)


LAWS: tuple[Law, ...] = (
    fit_leaves_the_given_object_untouched,
    saved_and_loaded_predicts_the_same_bits,
    same_seed_same_bits,
    fresh_forgets_the_old_parameters,
    on_epoch_hears_a_finite_loss,
    prediction_does_not_hang_on_the_batch,
    a_written_file_is_read_back,
    owns_only_its_own,
    looking_imports_nothing,
    classes_never_seen_are_refused_or_learnt,
)


def check_framework(plug: Framework, make_example: Callable[[], Example]) -> None:
    """Runs all laws, each on an example of its own. Raises AssertionError with the law that is broken."""
    for law in LAWS:
        law(plug, dataclasses.replace(make_example()))


def _ways(example: Example) -> tuple[bool, ...]:
    return (True, False) if example.goes_on else (True,)


def _rows(x: Any, index: Any) -> Any:
    return x[index]


def _same(one: Array, two: Array, law: Law) -> None:
    _hold(one.shape == two.shape and np.array_equal(one, two), law)


def _hold(held: Any, law: Law) -> None:
    if not held:
        raise AssertionError(f"{law.__name__}: {law.__doc__}")

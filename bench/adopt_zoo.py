"""Models as teams have them: adopted, answers equal to the plain framework's, updated once, saved, loaded plainly.

    python bench/adopt_zoo.py [PART OF A NAME]

Every model is built here with its plain framework, written to a file as teams do, and asked for its answers on rows
that come later. Then it is adopted from the file with reference rows, asked for the same rows, updated with new rows,
and the updated version is saved and loaded by its framework alone, which must answer as the version does. "difference"
is the largest one between probabilities or values; a model passes where both are at most 1e-5 of the largest answer.
The last line counts models, formats, and mismatches; a mismatch that nobody said is a failure.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from adopt_zoo_models import MODELS, Zoo, make_data, read_plainly

import evermodel as em
from evermodel.core.errors import EvermodelError

LIMIT = 1e-5


def collect_answers(model: Any, rows: pd.DataFrame, classes: tuple[Any, ...]) -> np.ndarray:
    frame = model.predict(rows)
    if not classes:
        return np.asarray(frame["prediction"], dtype=np.float64)
    return np.column_stack([np.asarray(frame[f"p_{name}"], dtype=np.float64) for name in classes])


def measure_difference(one: np.ndarray, other: np.ndarray) -> float:
    one, other = (np.asarray(a, dtype=np.float64) for a in (one, other))
    if one.ndim == 2 and other.ndim == 1:
        one = one[:, 1]
    if one.shape != other.shape:
        return float("inf")
    return float(np.abs(one - other).max()) / max(1.0, float(np.abs(other).max()))


def try_model(zoo: Zoo, folder: Path) -> tuple[str, float, float, str]:
    """What happened, the difference before and after the update, and the decision."""
    data = make_data(zoo.data)
    inputs = list(zoo.inputs or [c for c in data.reference.columns if c != data.target])
    file = folder / f"model{zoo.suffix}"
    zoo.write(data.reference[inputs], data.reference[data.target], file)
    expected = zoo.answer(file, data.later[inputs])
    options: dict[str, Any] = dict(zoo.options)
    if zoo.suffix in (".pkl", ".joblib", ".sav", ".pickle"):
        options["trust"] = file
    registry = em.open(folder / "registry")
    try:
        model = registry.adopt(
            file, data=data.reference, target=data.target, name="m", inputs=zoo.inputs or None, **options
        )
    except EvermodelError as error:
        return f"refused: {error.message[:90]}", float("nan"), float("nan"), ""
    classes = tuple(model.champion.classes or ()) if data.classes else ()
    before = measure_difference(collect_answers(model, data.later, classes), expected)
    decision = model.update(data.new, strategy="refit").decision.name.lower()
    version = model.version("v2") if len(model.versions) > 1 else model.champion
    saved = folder / f"updated{zoo.saved_suffix or zoo.suffix}"
    model.save(saved, version=version.name, proof=False)  # the plain framework answers below
    own = np.asarray(read_plainly(saved, zoo, data.later[inputs]))
    after = measure_difference(collect_answers(version, data.later, classes), own)
    return "adopted", before, after, decision


def main() -> int:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    os.environ.setdefault("EVERMODEL_SANDBOX", "off")  # every file is our own; the child would cost an import each
    wanted = [zoo for zoo in MODELS if not sys.argv[1:] or any(part in zoo.name for part in sys.argv[1:])]
    print(f"{'model':<44} {'file':<8} {'adopted':<9} {'difference':>10} {'update':<9} {'saved':>10}  seconds")
    passed, refused, mismatched = 0, [], []
    for zoo in wanted:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcome, before, after, decision = try_model(zoo, Path(folder))
            except Exception as error:  # a crash is a row of the table, and fails the bench
                outcome, before, after, decision = f"CRASH {type(error).__name__}: {error}"[:110], np.nan, np.nan, ""
        if outcome == "adopted" and max(before, after) <= LIMIT:
            passed += 1
        elif outcome.startswith("refused"):
            refused.append(zoo.name)
        else:
            mismatched.append(zoo.name)
        shown = outcome if outcome == "adopted" else outcome[:9]
        line = f"{zoo.name:<44} {zoo.suffix:<8} {shown:<9} {before:>10.1e} {decision:<9} {after:>10.1e}"
        print(
            f"{line}  {time.monotonic() - began:.1f}" + ("" if outcome == "adopted" else f"\n    {outcome}"), flush=True
        )
    formats = {zoo.suffix for zoo in wanted}
    print(
        f"{len(wanted)} models of {len(formats)} file formats: {passed} adopted, updated, saved and loaded plainly, "
        f"answers equal; {len(refused)} refused {refused or ''}; {len(mismatched)} not equal {mismatched or ''}"
    )
    return 1 if mismatched else 0


if __name__ == "__main__":
    sys.exit(main())

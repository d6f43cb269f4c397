"""Uses a ``.skops`` file with scikit-learn and skops alone."""

from __future__ import annotations

import json
import sys
from typing import Any


def main(file: str, rows: str, to: str, code: str = "") -> None:
    """Answers the rows of ``rows`` with the model of ``file`` into ``to``; prints the widths of input and output.

    ``code`` is the folder of Python files that define classes of the user's own.
    """
    import numpy as np
    import skops.io

    if code:
        sys.path.insert(0, code)
    model = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
    if rows.endswith(".npy"):
        x = np.load(rows)
    else:
        import polars as pl

        x = to_native(model, pl.read_parquet(rows))
    call = model.predict_proba if hasattr(model, "classes_") else model.predict
    try:
        answers = call(x)
    except Exception:  # a first step of one's own that takes arrays
        if not hasattr(x, "to_numpy"):
            raise
        answers = call(x.to_numpy())
    if isinstance(answers, list):  # probabilities of several targets
        answers = np.hstack(answers)
    np.save(to, answers)
    inputs = [x.shape[1] if hasattr(x, "shape") else 1]
    sys.stdout.write(json.dumps({"inputs": inputs, "outputs": list(np.shape(answers)[1:])}))


def to_native(model: Any, x: Any) -> Any:
    """A pandas frame for a model that was fitted on named columns; a list for one of texts; else an array."""
    import numpy as np
    import pandas as pd
    import polars as pl

    columns: dict[str, Any] = {}
    for column in x:
        if isinstance(column.dtype, pl.Enum):
            codes = column.to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
            columns[column.name] = pd.Categorical.from_codes(codes, categories=column.dtype.categories.to_list())
        else:
            columns[column.name] = column.to_numpy()
            if column.dtype == pl.String:
                columns[column.name] = np.where(
                    column.is_null().to_numpy(), np.nan, columns[column.name].astype(object)
                )
    if not hasattr(model, "feature_names_in_") and not starts_with_own(model):
        arrays = list(columns.values())
        return arrays[0].tolist() if not hasattr(model, "n_features_in_") else np.column_stack(arrays)
    return pd.DataFrame(columns)


def starts_with_own(model: Any) -> bool:
    """Whether the first step is of the user's own class and says nothing of its columns: it may want their names."""
    while hasattr(model, "steps"):
        model = next(step for _, step in model.steps if step is not None and not isinstance(step, str))
    return type(model).__module__.split(".")[0] != "sklearn" and not hasattr(model, "n_features_in_")


if __name__ == "__main__":
    main(*sys.argv[1:5])

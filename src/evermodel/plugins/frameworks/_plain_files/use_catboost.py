"""Uses a ``.cbm`` or ``.json`` file with CatBoost alone."""

from __future__ import annotations

import json
import sys


def main(file: str, rows: str, to: str) -> None:
    """Answers the rows of ``rows`` with the model of ``file`` into ``to``; prints the widths of input and output."""
    import catboost
    import numpy as np
    import pandas as pd

    model = catboost.CatBoost().load_model(file, format="json" if file.endswith(".json") else "cbm")
    loss = str(model.get_all_params().get("loss_function", "RMSE"))
    kind = "Exponent" if loss.startswith(("Poisson", "Tweedie")) else "RawFormulaVal"
    if len(model.classes_):
        kind = "Probability"
    if rows.endswith(".npy"):
        x = np.load(rows)
    else:
        import polars as pl

        frame = pl.read_parquet(rows)
        categories = {frame.columns[at] for at in model.get_cat_feature_indices()}
        x = pd.DataFrame(
            {
                c.name: c.cast(pl.String).fill_null("nan").to_numpy().astype(object)
                if c.name in categories
                else c.to_numpy()
                for c in frame
            }
        )
    answers = np.asarray(model.predict(x, prediction_type=kind))
    np.save(to, answers)
    sys.stdout.write(json.dumps({"inputs": [x.shape[1]], "outputs": list(answers.shape[1:])}))


if __name__ == "__main__":
    main(*sys.argv[1:4])

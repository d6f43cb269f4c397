"""Uses a native XGBoost file with XGBoost alone."""

from __future__ import annotations

import json
import sys


def main(file: str, rows: str, to: str) -> None:
    """Answers the rows of ``rows`` with the model of ``file`` into ``to``; prints the widths of input and output."""
    import numpy as np
    import xgboost

    booster = xgboost.Booster(model_file=file)
    columns = {"feature_names": booster.feature_names, "feature_types": booster.feature_types}
    answers = booster.predict(xgboost.DMatrix(np.load(rows), **columns, enable_categorical=True))
    np.save(to, answers)
    sys.stdout.write(json.dumps({"inputs": [booster.num_features()], "outputs": list(np.shape(answers)[1:])}))


if __name__ == "__main__":
    main(*sys.argv[1:4])

"""Uses a native LightGBM file with LightGBM alone."""

from __future__ import annotations

import json
import sys


def main(file: str, rows: str, to: str) -> None:
    """Answers the rows of ``rows`` with the model of ``file`` into ``to``; prints the widths of input and output."""
    import lightgbm
    import numpy as np

    booster = lightgbm.Booster(model_file=file)
    answers = booster.predict(np.load(rows), validate_features=False)
    np.save(to, answers)
    sys.stdout.write(json.dumps({"inputs": [booster.num_feature()], "outputs": list(np.shape(answers)[1:])}))


if __name__ == "__main__":
    main(*sys.argv[1:4])

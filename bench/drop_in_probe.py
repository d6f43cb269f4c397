"""Run by bench/drop_in.py in a clean process, with the plain framework alone: OLD NEW ROWS ANSWERS.

Loads both files, predicts the rows with the new one, compares signatures, sizes and latencies, prints a JSON object.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

REPEATS, ROUNDS = 60, 8


def load(file):
    """A function of rows, and what the file says of its inputs and outputs."""
    if file.endswith((".keras", ".h5")):
        import keras

        model = keras.models.load_model(file)
        layers = [[type(e).__name__, [list(w.shape) for w in e.weights]] for e in model.layers]
        # As a server calls it: without the fixed cost of Model.predict, which hides the network's.
        import tensorflow as tf

        call = tf.function(lambda part: model(part, training=False), reduce_retracing=True)
        inputs = [[tensor.name, list(tensor.shape[1:]), str(tensor.dtype)] for tensor in model.inputs]
        said = [inputs, list(model.output_shape[1:]), layers]

        def serve(x):
            return call({k: tf.constant(v) for k, v in x.items()} if isinstance(x, dict) else tf.constant(x)).numpy()

        return (lambda x: model.predict(x, verbose=0)), serve, said
    if file.endswith(".pt2"):
        import torch

        program = torch.export.load(file)
        module = program.module()
        shapes = sorted([list(v.shape), str(v.dtype)] for v in program.state_dict.values())

        def ask(x):
            given = x.values() if isinstance(x, dict) else [x]
            with torch.no_grad():
                return module(*map(torch.from_numpy, given)).numpy()

        return ask, ask, shapes
    if file.endswith(".skops"):
        import skops.io

        model = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
        ask = model.predict_proba if hasattr(model, "classes_") else model.predict
        names = list(getattr(model, "feature_names_in_", []))
        return ask, ask, [type(model).__name__, int(model.n_features_in_), names]
    if file.endswith((".json", ".ubj")):
        import xgboost

        booster = xgboost.Booster(model_file=file)
        columns = {"feature_names": booster.feature_names, "feature_types": booster.feature_types}

        def ask(x):
            return booster.predict(xgboost.DMatrix(x, **columns, enable_categorical=True))

        return ask, ask, [booster.num_features(), booster.feature_names, booster.feature_types]
    import lightgbm

    booster = lightgbm.Booster(model_file=file)

    def ask(x):
        return booster.predict(x, validate_features=False)

    return ask, ask, [booster.num_feature(), booster.feature_name(), booster.num_model_per_iteration()]


def fastest(asks, x):
    """Seconds of the fastest answer of each, taking turns; on a busy machine it takes many turns to find them."""
    best = [float("inf")] * len(asks)
    for ask in asks:
        ask(x)
    for turn in range(ROUNDS * REPEATS):
        if turn % REPEATS == 0 and turn and best[1] <= 1.1 * best[0]:
            break
        for at, ask in enumerate(asks):
            began = time.perf_counter()
            ask(x)
            best[at] = min(best[at], time.perf_counter() - began)
    return best


def read_rows(rows):
    """All rows and the first one, then a thousand; an .npz holds an array for each named input."""
    if rows.endswith(".parquet"):
        import polars as pl

        x = pl.read_parquet(rows)
        return (x, x[:1]), pl.concat([x] * (1000 // len(x) + 1))[:1000]
    loaded = np.load(rows)
    if rows.endswith(".npy"):
        return (loaded, loaded[:1]), repeat(loaded)
    x = {name: loaded[name] for name in loaded.files}
    return (x, {name: values[:1] for name, values in x.items()}), {name: repeat(v) for name, v in x.items()}


def repeat(values):
    return np.concatenate([values] * (1000 // len(values) + 1))[:1000]


def main():
    old, new, rows, to = sys.argv[1:5]
    first, many = read_rows(rows)
    (_, serve_old, said_old), (ask, serve_new, said_new) = load(old), load(new)
    x, one_row = first
    np.save(to, ask(x))
    one = fastest([serve_old, serve_new], one_row)
    batch = fastest([serve_old, serve_new], many)
    found = {
        "old": said_old,
        "new": said_new,
        "size": Path(new).stat().st_size / Path(old).stat().st_size,
        "one": one[1] / one[0],
        "many": batch[1] / batch[0],
    }
    sys.stdout.write(json.dumps(found) + "\n")


main()

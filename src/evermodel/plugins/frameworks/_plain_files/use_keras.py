"""Uses a ``.keras`` or ``.h5`` file with Keras alone."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any


def main(file: str, rows: str, to: str, code: str = "") -> None:
    """Answers the rows of ``rows`` with the model of ``file`` into ``to``; prints the widths of input and output.

    An ``.npz`` holds an array for each input, by its name; a ``.parquet`` texts, or a column for each input.
    """
    import keras
    import numpy as np

    model = keras.models.load_model(file, custom_objects=import_classes(code) if code else None)
    named = None
    if rows.endswith(".parquet") and len(model.inputs) + (model.inputs[0].dtype != "string") > 1:
        named = read_columns(rows, model)
    elif rows.endswith(".parquet"):
        given = read_texts(rows, model.inputs[0].shape)
    else:
        given = np.load(rows)
        named = {name: read_array(given[name]) for name in given.files} if rows.endswith(".npz") else None
    answers = model.predict(given if named is None else named, verbose=0)
    parts = [answers[name] for name in sorted(answers)] if isinstance(answers, dict) else answers
    several = isinstance(answers, (dict, list))
    flat = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1) if several else answers
    np.save(to, flat)
    shape = list(given.shape[1:]) if named is None else [sum(np.size(part[0]) for part in named.values())]
    found = {"inputs": shape, "outputs": list(flat.shape[1:]), "names": list(named or {})}
    sys.stdout.write(json.dumps(found))


def read_array(values: Any) -> Any:
    """Numbers as they are; texts as a tensor, which is all that Keras takes."""
    if values.dtype.kind != "U":
        return values
    import tensorflow as tf

    return tf.constant(values)


def read_texts(rows: str, shape: Any) -> Any:
    """Columns of texts as one tensor, for a network that holds its own vectorizer."""
    import polars as pl
    import tensorflow as tf

    texts = pl.read_parquet(rows).fill_null("").to_numpy().astype(object)
    return tf.constant(texts.reshape(len(texts), *(1 if d is None else d for d in shape[1:])))


def read_columns(rows: str, model: Any) -> dict[str, Any]:
    """A tensor (n, 1) for each input, by its name: texts, and numbers, NaN where there is none."""
    import polars as pl
    import tensorflow as tf

    frame, given = pl.read_parquet(rows), {}
    for tensor in model.inputs:
        column = frame[tensor.name]
        values = column.fill_null("").to_list() if tensor.dtype == "string" else column.to_numpy().astype("float64")
        given[tensor.name] = tf.reshape(tf.constant(values), (-1, 1))
    return given


def import_classes(code: str) -> dict[str, Any]:
    """The classes and functions of the user's own that the Python files in the folder ``code`` define, by name."""
    sys.path.insert(0, code)
    modules = [importlib.import_module(file.stem) for file in sorted(Path(code).glob("*.py"))]
    return {key: value for module in modules for key, value in vars(module).items() if callable(value)}


if __name__ == "__main__":
    main(*sys.argv[1:5])

"""How textbooks update a model, written with the libraries alone: what the demonstration compares Evermodel with.

Each class holds one model and knows two things: ``update(rows)`` and ``score(rows)``. Evermodel touches none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import polars as pl

from evermodel.demo.streams import Stream

__all__ = ["RECIPES", "Booster", "Network", "OneHot", "Textbook", "train_booster"]


class Textbook(Protocol):
    """A model that is updated by a fixed recipe."""

    @property
    def recipe(self) -> str:
        """What an update does, in a few words."""

    def update(self, rows: pl.DataFrame) -> None:
        """Train on the newest block."""

    def score(self, rows: pl.DataFrame) -> float:
        """The stream's metric on labelled rows."""


class Network:
    """The scaler is fitted on the new rows, then the network trains ten epochs on them alone."""

    recipe = "new scaler, ten epochs on the new block"

    def __init__(self, stream: Stream) -> None:
        """Read the file; fit encoder and scaler on the rows that the network was deployed on."""
        import keras

        self._model: Any = keras.saving.load_model(stream.shipped_model, compile=False)
        self._target = stream.target
        labels = stream.blocks[0][stream.target]
        self._classes = sorted(labels.unique())
        loss = "binary_crossentropy" if len(self._classes) == 2 else "sparse_categorical_crossentropy"
        self._model.compile(keras.optimizers.Adam(1e-3), loss)
        self._encoder = OneHot(stream.blocks[0].drop(stream.target))
        self._mean, self._deviation = self._scale(stream.blocks[0])

    def _inputs(self, rows: pl.DataFrame) -> np.ndarray[Any, Any]:
        return self._encoder.encode(rows)

    def _codes(self, rows: pl.DataFrame) -> np.ndarray[Any, Any]:
        return np.array([self._classes.index(value) for value in rows[self._target]])

    def _scale(self, rows: pl.DataFrame) -> tuple[Any, Any]:
        x = self._inputs(rows)
        flags = ((x == 0) | (x == 1)).all(axis=0)
        deviation = np.where(flags | (x.std(axis=0) == 0), 1.0, x.std(axis=0))
        return np.where(flags, 0.0, x.mean(axis=0)), deviation

    def _scaled(self, rows: pl.DataFrame) -> np.ndarray[Any, Any]:
        return np.asarray((self._inputs(rows) - self._mean) / self._deviation, dtype="float32")

    def update(self, rows: pl.DataFrame) -> None:
        """Fit the scaler on these rows, then go on training on them."""
        import keras

        keras.utils.set_random_seed(0)
        self._mean, self._deviation = self._scale(rows)
        self._model.fit(self._scaled(rows), self._codes(rows), batch_size=64, epochs=10, verbose=0)

    def score(self, rows: pl.DataFrame) -> float:
        """Accuracy, or for two classes the area under the ROC curve."""
        from sklearn.metrics import roc_auc_score

        answers = self._model.predict(self._scaled(rows), verbose=0)
        if len(self._classes) > 2:
            return float((answers.argmax(axis=1) == self._codes(rows)).mean())
        return float(roc_auc_score(self._codes(rows), answers[:, 0]))


class OneHot:
    """Numbers and flags as they are, each category as a column of zeros and ones, in the order of the columns."""

    def __init__(self, rows: pl.DataFrame) -> None:
        """Learn the categories of each text column, in alphabetical order."""
        texts = [c for c in rows.columns if rows[c].dtype == pl.String]
        self._categories = {c: sorted(rows[c].drop_nulls().unique()) for c in texts}
        self._columns = rows.columns

    def encode(self, rows: pl.DataFrame) -> np.ndarray[Any, Any]:
        """The rows as one matrix; a category that was never seen is all zeros."""
        parts = []
        for column in self._columns:
            if column in self._categories:
                values = rows[column].to_numpy()
                parts += [values == category for category in self._categories[column]]
            else:
                parts.append(rows[column].cast(pl.Float64).to_numpy())
        return np.column_stack(parts).astype("float64")


class Booster:
    """Boosting goes on for a hundred rounds on the newest block (``init_model`` of LightGBM)."""

    recipe = "a hundred more rounds of boosting on the new block"

    def __init__(self, stream: Stream) -> None:
        """Read the text file of LightGBM."""
        import lightgbm

        self._model = lightgbm.Booster(model_file=str(stream.shipped_model))
        self._target = stream.target

    def _inputs(self, rows: pl.DataFrame) -> np.ndarray[Any, Any]:
        return rows.select(self._model.feature_name()).to_numpy().astype("float64")

    def update(self, rows: pl.DataFrame) -> None:
        """Add trees that are trained on these rows alone."""
        columns = self._model.feature_name()
        self._model = train_booster(self._inputs(rows), rows[self._target].to_numpy(), columns, self._model)

    def score(self, rows: pl.DataFrame) -> float:
        """The share of the variance explained (R2)."""
        from sklearn.metrics import r2_score

        return float(r2_score(rows[self._target].to_numpy(), self._model.predict(self._inputs(rows))))


def train_booster(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], columns: Sequence[str], before: Any = None) -> Any:
    """A hundred rounds of LightGBM with its default settings, after those of the booster ``before``."""
    import lightgbm

    settings = {"objective": "regression", "seed": 0, "verbose": -1, "num_threads": 2, "deterministic": True}
    return lightgbm.train(settings, lightgbm.Dataset(x, y, feature_name=list(columns)), 100, init_model=before)


RECIPES: Mapping[str, Callable[[Stream], Textbook]] = {"gas": Network, "bank": Network, "bike": Booster}

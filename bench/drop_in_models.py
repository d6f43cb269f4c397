"""The 24 model files of bench/drop_in.py, made by their plain frameworks on real rows, and the blocks that come."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.data.image_decoding import decode_images

DATA = Path(os.environ.get("EVERMODEL_DATA", Path(__file__).parents[2] / "shared" / "data"))
FIRST, BLOCK, BLOCKS = 1500, 600, 5  # rows deployed on, rows of an update, updates
WORDS, LENGTH = 1000, 12  # of a text: known words, words kept
SIDE = 32  # of a picture


@dataclass(frozen=True)
class Deployed:
    """A model file, the rows it was made with, and those that come."""

    name: str
    file: Path
    blocks: tuple[pl.DataFrame, ...]
    target: str
    adopting: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plain_file(self) -> Path:
        return self.file

    @property
    def saved_suffix(self) -> str:
        return self.file.suffix


Rows = Callable[[], tuple[pl.DataFrame, ...]]
Maker = Callable[[str, Path], Deployed]


def blocks_of(frame: pl.DataFrame, first: int = FIRST, block: int = BLOCK) -> tuple[pl.DataFrame, ...]:
    return (frame[:first], *(frame[first + i * block : first + (i + 1) * block] for i in range(BLOCKS)))


def read(name: str) -> pl.DataFrame:
    return pl.read_parquet(DATA / name / f"{name}.parquet")


@cache
def bank() -> tuple[pl.DataFrame, ...]:
    frame = read("bank_marketing").drop("row_order", "year", "call_duration_s")
    numbers = [c for c in frame.columns if frame[c].dtype != pl.String]
    return blocks_of(
        frame.select(pl.col(numbers).cast(pl.Float64)).with_columns(pl.col("subscribed").cast(pl.Int64))[25_000:]
    )


@cache
def electricity() -> tuple[pl.DataFrame, ...]:
    frame = read("electricity").drop("timestamp")
    return blocks_of(frame.with_columns(pl.col("day_of_week").cast(pl.Float64))[20_000:])


@cache
def bike() -> tuple[pl.DataFrame, ...]:
    frame = read("bike_sharing_hourly").drop("rentals_casual", "rentals_registered", "year_index", "timestamp")
    return blocks_of(frame.select(pl.all().cast(pl.Float64)))


@cache
def gas() -> tuple[pl.DataFrame, ...]:
    frame = read("gas_sensor_drift").drop("months", "concentration_ppmv", "batch")
    kept = [c for c in frame.columns if c == "gas" or c.endswith(("_f1", "_f2"))]
    order = np.random.default_rng(0).permutation(frame.height)
    return blocks_of(frame.select(kept)[order].with_columns(pl.col(c).cast(pl.Float64) for c in kept if c != "gas"))


@cache
def intents() -> tuple[pl.DataFrame, ...]:
    """Token ids t0 … t11, and whether the request belongs to every second intent."""
    frame = read("clinc150_intents").filter(pl.col("domain_order") >= 0)
    frame = frame[np.random.default_rng(0).permutation(frame.height)]
    chosen = frame["intent"].unique().sort().to_list()[::2]
    texts = [text.lower().split()[:LENGTH] for text in frame["text"]]
    counts: dict[str, int] = {}
    for text in texts[:FIRST]:
        for word in text:
            counts[word] = counts.get(word, 0) + 1
    known = {w: i + 2 for i, w in enumerate(sorted(counts, key=lambda w: (-counts[w], w))[: WORDS - 2])}
    ids = np.zeros((len(texts), LENGTH), dtype=np.int64)
    for i, text in enumerate(texts):
        ids[i, : len(text)] = [known.get(word, 1) for word in text]
    columns = {f"t{j}": ids[:, j] for j in range(LENGTH)}
    return blocks_of(pl.DataFrame({**columns, "wanted": frame["intent"].is_in(chosen).cast(pl.Int64)}))


@cache
def signs() -> tuple[pl.DataFrame, ...]:
    frame = read("traffic_signs_gtsrb").filter("in_core")
    frame = frame.select("png", pl.format("sign {}", "sign_class").alias("sign"))
    frame = frame.filter(pl.col("sign").is_in(sorted(frame["sign"].unique().to_list())[:6]))
    frame = frame[np.random.default_rng(0).permutation(frame.height)]
    return blocks_of(frame, 500, 150)


def scaled(block: pl.DataFrame, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Standardised inputs and labels, as a training script has them."""
    x = block.drop(target).to_numpy()
    spread = x.std(axis=0)
    y = block[target].to_numpy()
    return (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0), y


def keras_table(rows: Rows, target: str, suffix: str, kind: str, extra: str = "") -> Maker:
    """Dense networks; ``extra`` puts a BatchNormalization or an adapted Normalization in front."""

    def make(name: str, folder: Path) -> Deployed:
        import keras
        from keras import layers

        keras.utils.set_random_seed(0)
        blocks = rows()
        x, y = scaled(blocks[0], target)
        front: list[Any] = []
        if extra == "normalization":
            x = blocks[0].drop(target).to_numpy()
            front = [layers.Normalization()]
            front[0].adapt(x)
        elif extra == "batchnorm":
            front = [layers.BatchNormalization()]
        labels = np.unique(y, return_inverse=True)[1] if kind == "softmax" else y
        units = len(np.unique(y)) if kind == "softmax" else 1
        loss = {"softmax": "sparse_categorical_crossentropy", "sigmoid": "binary_crossentropy", "linear": "mse"}[kind]
        body = [layers.Dense(64, "relu"), layers.Dropout(0.1), layers.Dense(32, "relu"), layers.Dense(units, kind)]
        net = keras.Sequential([keras.Input((x.shape[1],)), *front, *body])
        net.compile(keras.optimizers.Adam(1e-3), loss)
        net.fit(x, labels, epochs=60 if kind == "linear" else 15, batch_size=32, verbose=0)
        net.save(folder / f"{name}{suffix}")
        return Deployed(name, folder / f"{name}{suffix}", blocks, target)

    return make


def keras_text(body: str, suffix: str) -> Maker:
    def make(name: str, folder: Path) -> Deployed:
        import keras
        from keras import layers

        keras.utils.set_random_seed(0)
        blocks = intents()
        ids, y = blocks[0].drop("wanted").to_numpy(), blocks[0]["wanted"].to_numpy()
        source = keras.Input((LENGTH,), dtype="int32")
        x = layers.Embedding(WORDS, 16)(source)
        if body == "gru":
            x = layers.GRU(16)(x)
        elif body == "lstm":
            x = layers.Bidirectional(layers.LSTM(12))(x)
        elif body == "conv":
            x = layers.GlobalMaxPooling1D()(layers.Conv1D(24, 3, activation="relu")(x))
        else:
            x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
            x = layers.GlobalAveragePooling1D()(layers.Dense(16, "relu")(x))
        net = keras.Model(source, layers.Dense(1, "sigmoid")(x))
        net.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy")
        net.fit(ids, y, epochs=8, batch_size=32, verbose=0)
        net.save(folder / f"{name}{suffix}")
        return Deployed(name, folder / f"{name}{suffix}", blocks, "wanted", {"shuffled": True})

    return make


def keras_signs(name: str, folder: Path) -> Deployed:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    blocks = signs()
    x = decode_images(blocks[0]["png"], (SIDE, SIDE, 3)).astype("float32") / 255.0
    known, codes = np.unique(blocks[0]["sign"].to_numpy(), return_inverse=True)
    body = [part for f in (8, 16) for part in (layers.Conv2D(f, 3, activation="relu"), layers.MaxPooling2D())]
    net = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *body, layers.Flatten(), layers.Dense(len(known), "softmax")])
    net.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    net.fit(x, codes, batch_size=32, epochs=8, verbose=0)
    net.save(folder / f"{name}.keras")
    return Deployed(name, folder / f"{name}.keras", blocks, "sign", {"shuffled": True})


def torch_file(rows: Rows, target: str, kind: str) -> Maker:
    """An exported program; ``kind`` says what it is made of."""

    def make(name: str, folder: Path) -> Deployed:
        import torch
        from torch import nn

        torch.manual_seed(0)
        blocks = rows()
        adopting: dict[str, Any] = {}
        if kind == "picture":
            pixels = decode_images(blocks[0]["png"], (SIDE, SIDE, 3)).astype("float32") / 255.0
            x, y = np.moveaxis(pixels, -1, 1), np.unique(blocks[0][target].to_numpy(), return_inverse=True)[1]
            adopting = {"shuffled": True}
        else:
            x, y = scaled(blocks[0], target)
        classes = kind in ("picture", "classes")
        labels = np.unique(y, return_inverse=True)[1] if classes else y.astype(np.float32)
        units = len(np.unique(y)) if classes else 1
        if kind == "picture":
            body: list[Any] = [
                nn.Conv2d(3, 8, 3),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Flatten(),
                nn.Linear(8 * 15 * 15, units),
            ]
        else:
            norm = [nn.BatchNorm1d(32)] if kind == "batchnorm" else []
            body = [nn.Linear(x.shape[1], 32), *norm, nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, units)]
        end = [nn.Softmax(-1)] if classes else [] if kind == "number" else [nn.Sigmoid()]
        net = nn.Sequential(*body, *end)
        given, wanted = torch.tensor(x, dtype=torch.float32), torch.tensor(labels)
        optimizer = torch.optim.Adam(net.parameters(), 1e-2 if kind == "number" else 3e-3)
        for _ in range(25 if kind != "picture" else 8):
            for at in torch.randperm(len(given)).split(64):
                optimizer.zero_grad()
                found = net(given[at])
                if classes:
                    loss = nn.functional.nll_loss(torch.log(found + 1e-9), wanted[at])
                elif kind == "number":
                    loss = nn.functional.mse_loss(found[:, 0], wanted[at])
                else:
                    loss = nn.functional.binary_cross_entropy(found[:, 0], wanted[at])
                loss.backward()
                optimizer.step()
        free = ({0: torch.export.Dim.DYNAMIC},)
        torch.export.save(torch.export.export(net.eval(), (given[:2],), dynamic_shapes=free), folder / f"{name}.pt2")
        return Deployed(name, folder / f"{name}.pt2", blocks, target, adopting)

    return make


def sklearn_file(rows: Rows, target: str, kind: str) -> Maker:
    def make(name: str, folder: Path) -> Deployed:
        import skops.io
        from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
        from sklearn.linear_model import LogisticRegression, Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        blocks = rows()
        last = {
            "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
            "forest": lambda: RandomForestClassifier(40, random_state=0, n_jobs=1),
            "histogram": lambda: HistGradientBoostingClassifier(max_iter=60, random_state=0),
            "ridge": lambda: make_pipeline(StandardScaler(), Ridge()),
        }[kind]()
        model = last.fit(blocks[0].drop(target).to_numpy(), blocks[0][target].to_numpy())
        skops.io.dump(model, folder / f"{name}.skops")
        return Deployed(name, folder / f"{name}.skops", blocks, target)

    return make


def booster_file(rows: Rows, target: str, suffix: str, kind: str) -> Maker:
    def make(name: str, folder: Path) -> Deployed:
        blocks = rows()
        x, y = blocks[0].drop(target).to_numpy(), blocks[0][target].to_numpy()
        codes = np.unique(y, return_inverse=True)[1] if kind == "classes" else y
        several = {"num_class": len(np.unique(y))} if kind == "classes" else {}
        file = folder / f"{name}{suffix}"
        if suffix == ".txt":
            import lightgbm

            objective = {"binary": "binary", "classes": "multiclass", "number": "regression"}[kind]
            settings = {"objective": objective, "verbose": -1, "seed": 0, "num_threads": 2, **several}
            lightgbm.train(settings, lightgbm.Dataset(x, codes), 60).save_model(file)
        else:
            import xgboost

            objective = {"binary": "binary:logistic", "classes": "multi:softprob", "number": "reg:squarederror"}[kind]
            settings = {"objective": objective, "max_depth": 5, "eta": 0.1, "seed": 0, "nthread": 2, **several}
            xgboost.train(settings, xgboost.DMatrix(x, codes), 60).save_model(file)
        return Deployed(name, file, blocks, target)

    return make


FILES: dict[str, Maker] = {
    "keras-table-h5": keras_table(bank, "subscribed", ".h5", "sigmoid"),
    "keras-table": keras_table(electricity, "price_up", ".keras", "sigmoid"),
    "keras-regression": keras_table(bike, "rentals", ".keras", "linear"),
    "keras-classes": keras_table(gas, "gas", ".keras", "softmax"),
    "keras-normalization": keras_table(electricity, "price_up", ".keras", "sigmoid", "normalization"),
    "keras-batchnorm-h5": keras_table(bank, "subscribed", ".h5", "sigmoid", "batchnorm"),
    "keras-gru": keras_text("gru", ".keras"),
    "keras-lstm-h5": keras_text("lstm", ".h5"),
    "keras-conv1d": keras_text("conv", ".keras"),
    "keras-transformer": keras_text("transformer", ".keras"),
    "keras-signs": keras_signs,
    "torch-table": torch_file(bank, "subscribed", "binary"),
    "torch-batchnorm": torch_file(electricity, "price_up", "batchnorm"),
    "torch-regression": torch_file(bike, "rentals", "number"),
    "torch-classes": torch_file(gas, "gas", "classes"),
    "torch-signs": torch_file(signs, "sign", "picture"),
    "sklearn-logistic": sklearn_file(bank, "subscribed", "logistic"),
    "sklearn-forest": sklearn_file(electricity, "price_up", "forest"),
    "sklearn-histogram": sklearn_file(gas, "gas", "histogram"),
    "sklearn-ridge": sklearn_file(bike, "rentals", "ridge"),
    "lightgbm-binary": booster_file(bank, "subscribed", ".txt", "binary"),
    "lightgbm-classes": booster_file(gas, "gas", ".txt", "classes"),
    "xgboost-binary": booster_file(electricity, "price_up", ".json", "binary"),
    "xgboost-regression": booster_file(bike, "rentals", ".ubj", "number"),
}


def make(name: str, folder: Path) -> Deployed:
    """The named file, made in ``folder``."""
    return FILES[name](name, folder)

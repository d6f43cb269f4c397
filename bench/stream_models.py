"""The models that bench/streams.py deploys, trained as their makers would; the textbook's update of a network."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import polars as pl
from stream_data import Stream

from evermodel.core.data.image_decoding import decode_images
from evermodel.core.data.table import Table
from evermodel.core.model.model import Model
from evermodel.core.model.training import Training

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


def deploy(stream: Stream, kind: str, seed: int, folder: Path) -> Path:
    """The file of a model trained on the stream's first block."""
    return MAKERS[kind](stream, seed, folder)


def _table(stream: Stream, *, hot: bool) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """x, y of the first block: numbers first, then each category one-hot or as its code in alphabetical order."""
    frame = stream.blocks[0]
    skip = {stream.target, stream.adopting.get("time"), stream.adopting.get("entity")}
    inputs = frame.select([c for c in frame.columns if c not in skip])
    texts = [c for c in inputs.columns if inputs[c].dtype == pl.String]
    columns = []
    for name in inputs.columns:
        if name not in texts:
            columns.append(inputs[name].cast(pl.Float64).to_numpy()[:, None])
        else:
            known = inputs[name].drop_nulls().unique().sort().to_list()
            codes = np.array([known.index(v) if v is not None else np.nan for v in inputs[name]])
            columns.append(np.eye(len(known))[codes.astype(int)] if hot else codes[:, None])
    return np.hstack(columns), frame[stream.target].to_numpy(), texts


def _sklearn(stream: Stream, seed: int, folder: Path) -> Path:
    import skops.io
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = stream.blocks[0]
    skip = {stream.target, stream.adopting.get("time")}
    inputs = frame.select([c for c in frame.columns if c not in skip])
    texts = [c for c in inputs.columns if inputs[c].dtype == pl.String]
    numbers = [c for c in inputs.columns if c not in texts]
    last = Ridge(1.0) if stream.task == "regression" else LogisticRegression(max_iter=1000)
    ready = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
    )
    cast = inputs.with_columns(pl.col(numbers).cast(pl.Float64))
    model = make_pipeline(ready, last).fit(cast, frame[stream.target].to_numpy())
    skops.io.dump(model, folder / "model.skops")
    return folder / "model.skops"


def _lightgbm(stream: Stream, seed: int, folder: Path) -> Path:
    import lightgbm

    x, y, _ = _table(stream, hot=False)
    known, codes = np.unique(y, return_inverse=True)
    objective = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}[stream.task]
    settings = {
        "objective": objective,
        "learning_rate": 0.1,
        "num_leaves": 31,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "feature_fraction": 0.8,
        "seed": seed,
        "verbose": -1,
        "num_threads": 1,
        "deterministic": True,
    }
    if stream.task == "multiclass":
        settings["num_class"] = len(known)
    label = y if stream.task == "regression" else codes
    lightgbm.train(settings, lightgbm.Dataset(x, label), 100).save_model(folder / "model.txt")
    return folder / "model.txt"


def _xgboost(stream: Stream, seed: int, folder: Path) -> Path:
    import xgboost

    x, y, _ = _table(stream, hot=False)
    known, codes = np.unique(y, return_inverse=True)
    objective = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}
    settings = {
        "objective": objective[stream.task],
        "eta": 0.1,
        "max_depth": 5,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "seed": seed,
        "nthread": 1,
    }
    if stream.task == "multiclass":
        settings["num_class"] = len(known)
    label = y if stream.task == "regression" else codes
    xgboost.train(settings, xgboost.DMatrix(x, label), 100).save_model(folder / "model.json")
    return folder / "model.json"


def _scaled_table(stream: Stream) -> tuple[np.ndarray, np.ndarray]:
    """x of the first block as a network takes it: gaps filled, numbers standardised, categories one-hot; and y."""
    x, y, _ = _table(stream, hot=True)
    middle = np.nanmedian(x, axis=0)
    x = np.where(np.isfinite(x), x, middle)
    hot = ((x == 0) | (x == 1)).all(axis=0)
    mean, deviation = np.where(hot, 0.0, x.mean(axis=0)), np.where(hot, 1.0, x.std(axis=0))
    return (x - mean) / np.where(deviation > 1e-9, deviation, 1.0), y


def _torch(stream: Stream, seed: int, folder: Path) -> Path:
    """The network of ``_keras`` and its training, as an exported program."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    x, y = _scaled_table(stream)
    known, codes = np.unique(y, return_inverse=True)
    classes = stream.task == "multiclass"
    ends: dict[str, list[nn.Module]] = {"binary": [nn.Sigmoid()], "multiclass": [nn.Softmax(-1)], "regression": []}
    layers = [nn.Linear(x.shape[1], 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Linear(32, len(known) if classes else 1), *ends[stream.task])
    label = (y - y.mean()) / y.std() if stream.task == "regression" else codes
    given = torch.tensor(x, dtype=torch.float32)
    wanted = torch.tensor(label, dtype=torch.long if classes else torch.float32)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(20):
        for at in torch.randperm(len(given)).split(64 if len(given) > 1000 else 32):
            optimizer.zero_grad()
            found = net(given[at])
            if classes:
                loss = nn.functional.nll_loss(torch.log(found + 1e-9), wanted[at])
            elif stream.task == "regression":
                loss = nn.functional.mse_loss(found[:, 0], wanted[at])
            else:
                loss = nn.functional.binary_cross_entropy(found[:, 0], wanted[at])
            loss.backward()
            optimizer.step()
    free = ({0: torch.export.Dim.DYNAMIC},)
    torch.export.save(torch.export.export(net.eval(), (given[:2],), dynamic_shapes=free), folder / "model.pt2")
    return folder / "model.pt2"


def _keras(stream: Stream, seed: int, folder: Path) -> Path:
    import keras

    keras.utils.set_random_seed(seed)
    if stream.name == "traffic_signs":
        return _keras_signs(stream, folder)
    x, y = _scaled_table(stream)
    known, codes = np.unique(y, return_inverse=True)
    outputs = len(known) if stream.task == "multiclass" else 1
    activation = {"binary": "sigmoid", "multiclass": "softmax", "regression": "linear"}[stream.task]
    loss = {"binary": "binary_crossentropy", "multiclass": "sparse_categorical_crossentropy", "regression": "mse"}
    layers = [keras.layers.Dense(64, "relu"), keras.layers.Dense(32, "relu"), keras.layers.Dense(outputs, activation)]
    model = keras.Sequential([keras.Input((x.shape[1],)), *layers])
    model.compile(keras.optimizers.Adam(1e-3), loss[stream.task])
    label = (y - y.mean()) / y.std() if stream.task == "regression" else codes
    model.fit(x, label, batch_size=64 if len(x) > 1000 else 32, epochs=20, verbose=0)
    model.save(folder / "model.keras")
    return folder / "model.keras"


def _keras_signs(stream: Stream, folder: Path) -> Path:
    import keras
    from keras import layers

    frame = stream.blocks[0]
    x = decode_images(frame["png"], (32, 32, 3)).astype("float32") / 255.0
    known, codes = np.unique(frame["sign_class"].to_numpy(), return_inverse=True)
    body = [layer for f in (16, 32, 64) for layer in (layers.Conv2D(f, 3, activation="relu"), layers.MaxPooling2D())]
    model = keras.Sequential([keras.Input((32, 32, 3)), *body, layers.Flatten(), layers.Dense(len(known), "softmax")])
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    model.fit(x, codes, batch_size=32, epochs=10, verbose=0)
    model.save(folder / "model.keras")
    return folder / "model.keras"


def list_options(stream: Stream, kind: str) -> dict[str, object]:
    """Options of adopt: how a network's columns and target were scaled, which its file cannot say, is stated."""
    options = dict(stream.adopting)
    if kind not in ("keras", "torch"):
        return options
    if stream.name != "traffic_signs":
        options["transform"] = "standard_but_flags"
    y = stream.blocks[0][stream.target]
    return (
        {**options, "target_transform": f"scale:{y.mean()}:{y.std(ddof=0)}"} if stream.task == "regression" else options
    )


MAKERS = {"sklearn": _sklearn, "lightgbm": _lightgbm, "xgboost": _xgboost, "keras": _keras, "torch": _torch}


def textbook(before: Model, new: Table, seed: int) -> Model:
    """The scaler fitted anew on the new rows, ten epochs on the new rows alone."""
    transform = before.transform.fit(new.frame)
    return dataclasses.replace(before, transform=transform).fit(new, Training(epochs=10, seed=seed), from_scratch=False)

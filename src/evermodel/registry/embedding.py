"""Makes of a version a model whose own file takes raw rows: its transform and its output become part of its object."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel, BadSetting
from evermodel.core.model.capabilities import Exportable, PlainFiles, PreprocessingFiles
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.transform import Feature, Transform
from evermodel.registry.file_proof import TOLERANCE

UNKNOWN = "\N{BULLET}unknown"  # a category that no code table holds


def embed_preprocessing(model: Model, target: Path, rows: pl.DataFrame | None) -> Model:
    """The same model behind named raw columns, checked on ``rows``, cleaned, and on the same rows with gaps.

    A model that takes raw columns by itself is given back as it is. Raises BadModel where the transform cannot be
    expressed in its framework's own files or the answers differ, BadSetting for a format that cannot hold it.
    """
    if isinstance(model.framework, Exportable):
        model = model.framework.export_model(model)
    if model.transform.layout == "frame":
        return model
    plugin = model.framework
    if not isinstance(plugin, PreprocessingFiles) or not isinstance(plugin, PlainFiles) or model.contract.outputs:
        raise BadModel(
            "A file of this model cannot hold its preprocessing.",
            "Save it without: NAME.transform.json says how rows become its input, in ten lines of numpy.",
        )
    if target.suffix and target.suffix not in plugin.RAW_ROWS and not target.is_dir():
        raise BadSetting(
            f"With preprocessing, `to` must end in {' or '.join(plugin.RAW_ROWS)}. Got {target.name!r}.",
            "Other formats hold the model alone.",
        )
    obj = plugin.embed_preprocessing(model.obj, model.transform, model.output, model.contract.names)
    used = {f.column for f in model.transform.features}
    transform = Transform(tuple(Feature(n) for n in model.contract.names if n in used), layout="frame")
    regression = model.contract.task == "regression"
    output = Output("value") if regression else Output(threshold=model.output.threshold)
    embedded = dataclasses.replace(model, obj=obj, transform=transform, output=output)
    if rows is not None:
        _compare_answers(model, embedded, rows)
    return embedded


def _compare_answers(model: Model, embedded: Model, rows: pl.DataFrame) -> None:
    """Raises BadModel where both do not answer alike, on the rows and where each column in turn has a gap."""
    frames = [rows, _drop_values(model, rows)] if len(rows) else [rows]
    for frame in frames:
        expected, found = model.predict(frame), _answer(model, embedded, frame)
        scale = max(1e-12, float(np.nanmax(np.abs(expected), initial=0.0)))
        difference = float(np.nanmax(np.abs(found - expected), initial=0.0)) / scale if len(frame) else 0.0
        if (np.isnan(found) != np.isnan(expected)).any() or not difference <= TOLERANCE:
            raise BadModel(
                f"With preprocessing in it, the model answers otherwise, by up to {difference:.2g}.",
                "The version in the registry is whole. Save it without preprocessing.",
            )


def _answer(model: Model, embedded: Model, frame: pl.DataFrame) -> Array:
    plugin = embedded.framework
    assert isinstance(plugin, PlainFiles)  # noqa: S101 - checked before
    raw = plugin.plain_answers(embedded.obj, plugin.plain_input(embedded.obj, embedded.transform(frame)))
    return embedded.output(raw if embedded.contract.task == "regression" else model.align(raw))


def _drop_values(model: Model, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows, one value of each column missing where the model answers that, and unknown where it is a category."""
    frame = rows
    places = pl.int_range(rows.height)
    for at, feature in enumerate(f for f in model.transform.features if f.below is None and f.encoding != "integer"):
        here, gap = pl.col(feature.column), places == at % rows.height
        if feature.encoding != "value":
            frame = frame.with_columns(pl.when(gap).then(pl.lit(UNKNOWN)).otherwise(here).alias(feature.column))
        elif feature.fill is not None:
            frame = frame.with_columns(pl.when(gap).then(None).otherwise(here).alias(feature.column))
    return frame

"""The first update of a model that was adopted without rows: the oldest of its rows complete the adoption."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core.data.scan import collect, scan
from evermodel.core.data.source import find_stated_dialect
from evermodel.core.errors import Damaged, NoData
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.store import Store
from evermodel.registry.adoption.adopt import adopt_with_rows
from evermodel.registry.adoption.given_transform import read_transform_table
from evermodel.registry.adoption.options import AdoptionOptions
from evermodel.registry.adoption.pending_adoption import SIGNATURE, TRANSFORM
from evermodel.registry.model_export import check_format
from evermodel.registry.results import AdoptResult
from evermodel.registry.upkeep.version_signature import verify_version

REFERENCE_SHARE = 0.4  # of the first update's rows, the oldest, where nobody kept the training rows
LEAST_ROWS = 50


def complete_adoption(
    store: Store, name: str, data: Any, *, into: Store, to: Path | None = None
) -> tuple[pl.DataFrame, AdoptResult]:
    """Adopts a pending model with the oldest of ``data``; returns the newer rows and what was settled.

    Its first version stays as it was.

    ``into``: the registry that gets the model, another than ``store`` for a dry run. Raises BadSetting where the model
    could not be written to ``to``, before anything is adopted; NoData where the rows are too few.
    """
    began = time.monotonic()
    card = store.read_card(name, store.resolve_alias(name, "waiting") or "")
    framework = FRAMEWORKS.load_module(card.framework)
    check_format(to, framework)
    at = store.version_folder(name, card.version)
    verify_version(at, card)
    if card.adoption is None or card.adoption.request is None:
        raise Damaged(f"The version card of {name} {card.version} does not say what was asked of its adoption.")
    signature = at / SIGNATURE if (at / SIGNATURE).exists() else None
    transform = read_transform_table(at / TRANSFORM) if (at / TRANSFORM).exists() else None
    options = AdoptionOptions.from_request(card.adoption.request, transform, signature)
    options = dataclasses.replace(options, dialect=find_stated_dialect(data))
    oldest, newer = split_reference_rows(data, options.roles.time)
    return newer, adopt_with_rows(into, name, framework.load(at / "model"), framework, oldest, options, began)


def split_reference_rows(data: Any, time_column: str | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The oldest rows, used in place of the training rows that nobody kept, and the newer ones. Raises NoData."""
    frame = collect(scan(data, None))
    if time_column in frame.columns:
        frame = frame.sort(time_column, maintain_order=True)
    oldest = round(REFERENCE_SHARE * frame.height)
    if oldest < LEAST_ROWS:
        raise NoData(
            f"Without reference rows the oldest rows take the place of the training rows; {frame.height} are too few.",
            "Adopt the model with rows like those it was trained on.",
        )
    return frame[:oldest], frame[oldest:]

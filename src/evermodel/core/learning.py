"""Learns from reference rows what a model expects: the contract."""

from __future__ import annotations

from typing import Literal

import polars as pl

from evermodel.core.contract import Contract
from evermodel.core.framework import Task
from evermodel.core.table import Roles


def learn_contract(frame: pl.LazyFrame, roles: Roles, *, task: Task | Literal["auto"] = "auto") -> Contract:
    """The contract that reference rows imply; what was decided along the way is in its ``notes``.

    Raises NotFound for a role that names no column, BadData for a target with one class, NoData without usable rows.
    """
    raise NotImplementedError

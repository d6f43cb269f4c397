"""What kind of answer a model gives."""

from __future__ import annotations

from typing import Literal

Task = Literal["binary", "multiclass", "regression"]

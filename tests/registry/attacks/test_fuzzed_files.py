"""Inputs at which a reader once failed, found by ``bench/fuzz.py``: each is refused in one sentence now, or read."""

from __future__ import annotations

from pathlib import Path

import pytest

from evermodel.core.errors import BadModel
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.registry.adoption.sandbox import _predict_zeros

FOLDER = Path(__file__).parent / "fuzzed"
FRAMEWORK_OF = {".keras": "keras", ".pt2": "torch", ".cbm": "catboost", ".json": "catboost", ".txt": "lightgbm"}


READ = {"no-argument.pt2"}  # a sigmoid whose tensor is given by its name: a program like any


@pytest.mark.parametrize("name", sorted(file.name for file in FOLDER.iterdir()))
def test_an_input_that_was_found_is_refused_or_read(name: str) -> None:
    framework = FRAMEWORKS.load_module(FRAMEWORK_OF[Path(name).suffix])
    if name in READ:
        _predict_zeros(framework, framework.read_file(FOLDER / name, trust=False, factory=None))
        return
    with pytest.raises(BadModel) as caught:
        framework.read_file(FOLDER / name, trust=False, factory=None)
    assert "\n" not in caught.value.message and len(caught.value.message) < 1000

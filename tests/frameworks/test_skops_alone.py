"""A scikit-learn model is read without PyTorch, and both work beside one another afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("torch", reason='pip install "evermodel[torch]"')
pytest.importorskip("skops", reason='pip install "evermodel[sklearn]"')


def test_a_scikit_learn_model_is_read_without_pytorch(tmp_path):
    code = f"""
import sys
import numpy as np
from sklearn.linear_model import LogisticRegression
from evermodel.plugins.frameworks._sklearn.skops_files import import_skops
io = import_skops()
x = np.array([[0.0], [1.0], [2.0], [3.0]])
io.dump(LogisticRegression().fit(x, [0, 0, 1, 1]), {str(tmp_path / "m.skops")!r})
model = io.load({str(tmp_path / "m.skops")!r})
assert not {{"torch", "sklearn.externals.array_api_compat.torch"}} & set(sys.modules), "PyTorch was imported"
from skops.io._trusted_types import SKLEARN_ESTIMATOR_TYPE_NAMES as found
from sklearn.utils import all_estimators
assert {{f"{{c.__module__}}.{{c.__name__}}" for _, c in all_estimators()}} >= set(found) and len(found) > 150
import torch
from sklearn.externals.array_api_compat.torch import asarray
assert asarray([1.0]).sum() == 1.0 and model.predict(x).tolist() == [0, 0, 1, 1]
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_what_was_imported_before_stays():
    from evermodel.plugins.frameworks._sklearn.skops_alone import pass_over

    held = sys.modules["json"]
    with pass_over("json"):
        assert sys.modules["json"] is held
    assert sys.modules["json"] is held

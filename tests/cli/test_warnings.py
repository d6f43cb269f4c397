"""Warnings of ours are one sentence on the command line, without the place in the code."""

from __future__ import annotations

import warnings

import pytest

import evermodel.registry
from tests.cli.ground import ask


def test_a_warning_of_ours_is_a_sentence_and_others_are_shown_as_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    assert ask(["--version"], None).code == 0
    ours = warnings.formatwarning("The model is old.", UserWarning, evermodel.registry.__file__, 7)
    assert ours == "evermodel: warning: The model is old.\n"
    other = warnings.formatwarning("Use f.", DeprecationWarning, "/somewhere/library.py", 7)
    assert other == "/somewhere/library.py:7: DeprecationWarning: Use f.\n"


def test_a_keras_file_whose_loss_is_not_there_says_how_it_will_be_trained(tmp_path):
    keras = pytest.importorskip("keras")
    from evermodel.registry.adoption.model_file import open_model

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "sigmoid")])

    def own_loss(truth, answer):
        return keras.losses.binary_crossentropy(truth, answer)

    model.compile("adam", own_loss)
    model.save(tmp_path / "own.keras")
    with pytest.warns(UserWarning, match=r"usual loss of its task.*--trust FILE\.py"):
        open_model(tmp_path / "own.keras")

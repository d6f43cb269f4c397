"""All labels of a language model in one sequence: the same scores as one by one, whatever the size of a tree."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from evermodel.plugins.frameworks import language_models as plugin
from evermodel.plugins.frameworks._causal.answer_scores import check_memory, score_prompts
from evermodel.plugins.frameworks._causal.answer_tree import plant_trees, score_tree
from tests.frameworks.tiny_language_model import make_language_model

pytest.importorskip("transformers", reason='needs pip install ".[transformers]"')
PROMPTS = ((5, 6, 7), (8,), (9, 10, 11, 12, 13))
ANSWERS = ((3, 4, 5, 1), (3, 4, 1), (3, 1), (6, 1), (1,), (7, 8, 9, 10, 1), (3, 4, 5, 1))


def test_beginnings_are_shared_and_every_answer_is_in_one_tree() -> None:
    (whole,) = plant_trees(ANSWERS, 100)
    assert len(whole) == 3 + 1 + 4  # 3, 3 4, 3 4 5; 6; 7 .. 10: ends are scored and never read
    assert sorted(whole.columns) == list(range(len(ANSWERS)))
    parts = plant_trees(ANSWERS, 3)
    assert sorted(np.concatenate([tree.columns for tree in parts])) == list(range(len(ANSWERS)))
    assert all(len(tree) <= 4 for tree in parts)


@pytest.mark.parametrize("most", [100, 3, 1])
def test_a_tree_scores_what_single_answers_score(tmp_path: Path, most: int) -> None:
    model = plugin.read_file(make_language_model(tmp_path / "words"))
    assert model.packed and check_memory(model.network, 0)
    expected = score_prompts(model.network, PROMPTS, ANSWERS, 0, packed=False)
    for tree in plant_trees(ANSWERS, most):
        found = score_tree(model.network, PROMPTS, tree, 0)
        np.testing.assert_allclose(found, expected[:, tree.columns], atol=1e-4)


def test_layers_that_see_the_last_tokens_alone_are_asked_in_the_other_way(tmp_path: Path) -> None:
    model = plugin.read_file(make_language_model(tmp_path / "words"))
    model.network.config.sliding_window = 8
    assert not check_memory(model.network, 0)
    asked = plugin.name_labels(model, ("pay", "cook"))
    (tmp_path / "stored").mkdir()
    plugin.save(asked, tmp_path / "stored")
    assert plugin.load(tmp_path / "stored").packed
    (tmp_path / "other").mkdir()
    plugin.save(dataclasses.replace(asked, packed=False), tmp_path / "other")
    assert not plugin.load(tmp_path / "other").packed

"""What a model answers becomes probabilities, also where it answers with numbers of any size."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from evermodel.core.model.output import Output, sigmoid


@pytest.mark.parametrize("score", [-1e6, -800.0, -1.0, 0.0, 1.0, 800.0, 1e6])
def test_a_score_of_any_size_is_a_probability_without_a_warning(score: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        p = Output("logit")(np.array([[score]]))
    right = {-1.0: 0.2689414213699951, 0.0: 0.5, 1.0: 0.7310585786300049}.get(score, float(score > 0))
    assert p[0].tolist() == pytest.approx([1.0 - right, right], abs=1e-15)


def test_the_sigmoid_of_one_score_is_its_softmax_against_zero() -> None:
    scores = np.linspace(-30.0, 30.0, 13)
    both = Output("logit")(np.column_stack([np.zeros(13), scores]))
    assert sigmoid(scores) == pytest.approx(both[:, 1], abs=1e-15)

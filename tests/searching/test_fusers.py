"""What each fuser promises beyond the checks: exact folding, alignment, refusals, selection, students."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.combining.members import average_weights, build_scorer, get_matching_weights, replace_weights
from evermodel.core.errors import BadModel, NoData
from evermodel.core.model.output import Output
from evermodel.core.model.strategy import Context, Split
from evermodel.plugins.fusers._average.alignment import align_layers
from evermodel.plugins.fusers._average.fold_normalisation import behind
from evermodel.plugins.fusers.average import average
from evermodel.plugins.fusers.distill import distill
from evermodel.plugins.fusers.select import select
from evermodel.plugins.fusers.soup import soup
from evermodel.plugins.fusers.stack import stack
from evermodel.plugins.fusers.vote import vote
from tests.searching.fusing import family, renormalised, split, strangers, table, trained, untrained

_strangers = functools.cache(strangers)
_family = functools.cache(family)
ROWS = table(200, 5).frame


@pytest.mark.parametrize("kind", ["torch", "keras"])
def test_a_network_answers_the_same_behind_another_normalisation(kind):
    own = trained(renormalised(untrained(1, kind), 0.7, 1.9), table(300, 1), 1, 4)
    other = untrained(2, kind)
    folded = behind(own, other)
    assert folded.transform == other.transform
    assert np.abs(folded.predict(ROWS) - own.predict(ROWS)).max() < 1e-5


def test_what_cannot_be_folded_is_refused():
    one, two = _family()[0], _family()[1]
    coded = dataclasses.replace(two.transform.features[0], encoding="onehot", categories=("x",))
    other = dataclasses.replace(two, transform=dataclasses.replace(two.transform, features=(coded, coded)))
    with pytest.raises(BadModel, match="encode their columns"):
        behind(other, one)
    warm = dataclasses.replace(two, output=Output("logit", temperature=2.0))
    with pytest.raises(BadModel, match="correct their output"):
        behind(warm, one)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(2, 9), min_size=1, max_size=3))
def test_alignment_finds_the_order_that_was_hidden(seed, hidden):
    random = np.random.default_rng(seed)
    sizes = [4, *hidden, 3]
    layers = [(random.normal(size=(a, b)), random.normal(size=b)) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    order = [random.permutation(h) for h in hidden]
    mixed = []
    for at, (kernel, bias) in enumerate(layers):
        kernel = kernel if at == 0 else kernel[order[at - 1]]
        mixed.append((kernel, bias) if at == len(hidden) else (kernel[:, order[at]], bias[order[at]]))
    found = align_layers(mixed, layers, seed)
    x = random.normal(size=(20, 4))
    assert np.allclose(_relu(mixed, x), _relu(found, x))  # the function is never changed
    if len(hidden) == 1:  # one assignment: exact
        assert np.allclose(found[0][0], layers[0][0])


def _relu(layers, x):
    for kernel, bias in layers[:-1]:
        x = np.maximum(x @ kernel + bias, 0)
    return x @ layers[-1][0] + layers[-1][1]


def test_independent_starts_are_aligned_before_they_are_averaged_or_refused():
    one, two = _strangers()
    score = build_scorer(one, split().tuning_rows)
    plain = score(replace_weights(one, average_weights(get_matching_weights([one, behind(two, one)]), [1.0, 1.0])))
    ends = min(score(one), score(two))
    assert ends > 0.85
    try:
        found = score(average([one, two], split(), Context()))
    except BadModel as error:
        assert "independent starts" in error.message
        return
    assert found > plain
    assert found >= ends - 0.05


def test_other_kinds_and_shapes_are_refused():
    wide = trained(dataclasses.replace(untrained(3), obj=_wide()), table(200, 3), 3, 2)
    with pytest.raises(BadModel, match="structures"):
        average([_family()[0], wide], split(), Context())
    narrow = dataclasses.replace(_family()[1].contract, classes=(0, 1))
    with pytest.raises(BadModel, match="cannot be combined"):
        vote([_family()[0], dataclasses.replace(_family()[1], contract=narrow)], split(), Context())


def _wide():
    from torch import nn

    from evermodel.plugins.frameworks import torch as plugin

    return plugin.convert_object(
        nn.Sequential(nn.Linear(2, 30), nn.ReLU(), nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 3))
    )


@pytest.mark.parametrize("fuser", [average, soup, select, stack])
def test_what_chooses_needs_rows_to_choose_by(fuser):
    with pytest.raises(NoData, match="30 rows"):
        fuser(_family(), Split(table(50, 1)), Context())


def test_selection_is_never_worse_than_the_best_on_its_rows_and_leaves_out_a_bad_one():
    bad = untrained(77)
    made = select([*_family(), bad], split(), Context())
    losses = [_loss(m) for m in _family()]
    assert _loss(made) <= min(losses) + 1e-9
    members = made.obj.members if hasattr(made.obj, "members") else (made,)
    assert all(m.obj is not bad.obj for m in members)


def test_stacking_weighs_the_better_more():
    made = stack([_family()[1], untrained(77)], split(), Context(), shrink=1.0)
    if hasattr(made.obj, "shares"):
        by = dict(zip([id(m.obj) for m in made.obj.members], made.obj.shares, strict=True))
        assert by[id(_family()[1].obj)] > 0.5
    assert _loss(made) <= _loss(_family()[1]) + 0.01


def _loss(model):
    rows = split().tuning_rows
    p = model.predict(rows.frame)
    return -np.log(np.maximum(p[np.arange(len(rows)), model.target(rows)], 1e-12)).mean()


def test_vote_is_the_mean_of_log_probabilities_and_order_does_not_matter():
    a, b = _family()[1:]
    one, two = vote([a, b], split(), Context()).predict(ROWS), vote([b, a], split(), Context()).predict(ROWS)
    assert np.allclose(one, two)
    mean = np.exp((np.log(a.predict(ROWS)) + np.log(b.predict(ROWS))) / 2)
    assert np.allclose(one, mean / mean.sum(axis=1, keepdims=True), atol=1e-6)


def test_an_ensemble_can_be_fused_again_and_stays_flat():
    first = vote(_family()[1:], split(), Context())
    again = vote([first, _family()[0]], split(), Context())
    assert len(again.obj.members) == 3
    assert sorted(again.obj.shares) == pytest.approx([0.25, 0.25, 0.5])


def test_a_student_is_one_model_and_not_worse_than_the_best_parent():
    made = distill([*_strangers(), _family()[1]], split(), Context(seed=1), epochs=8)
    assert not hasattr(made.obj, "members")
    score = build_scorer(made, split().tuning_rows)
    assert score(made) >= max(map(score, (*_strangers(), _family()[1])))

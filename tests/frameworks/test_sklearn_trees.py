"""Forests and trees come back from a skops file; one whose nodes point outside of it does not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from evermodel.core.errors import BadData, BadModel
from evermodel.plugins.frameworks import sklearn as plugin
from evermodel.plugins.frameworks._sklearn.check_trees import check_trees

X = np.random.default_rng(0).normal(size=(200, 3))
Y = (X[:, 0] > 0).astype(int)
MODELS = [
    RandomForestClassifier(5, n_jobs=1).fit(X, Y),
    GradientBoostingRegressor(n_estimators=4).fit(X, X[:, 1]),
    DecisionTreeClassifier().fit(X, Y),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_it_is_read_and_predicts_the_same(model, tmp_path):
    skops.io.dump(model, tmp_path / "model.skops")
    assert np.array_equal(plugin.predict(plugin.read_file(tmp_path / "model.skops"), X), plugin.predict(model, X))


@pytest.mark.parametrize("left", [[5, -1, -1], [0, -1, -1], [-7, -1, -1], [1, -1]])
def test_a_tree_that_points_outside_of_itself_or_back_is_refused(left):
    tree = SimpleNamespace(
        node_count=3,
        children_left=np.array(left),
        children_right=np.array([2, -1, -1]),
        n_features=2,
        feature=np.array([0, -2, -2]),
        value=np.zeros((3, 1, 2)),
    )
    with pytest.raises(BadModel, match="nodes point outside"):
        check_trees(SimpleNamespace(tree_=tree, n_features_in_=2), "model.skops")


def test_an_estimator_that_takes_no_missing_values_says_so():
    from sklearn.linear_model import LogisticRegression

    holes = X.copy()
    holes[0, 0] = np.nan
    with pytest.raises(BadData, match="missing"):
        plugin.predict(LogisticRegression().fit(X, Y), holes)

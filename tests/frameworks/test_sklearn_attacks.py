"""A skops file of a stranger: no folder that it names is touched, no tree in it leads outside of itself."""

from __future__ import annotations

import numpy as np
import pytest
import skops.io
from sklearn.cluster import FeatureAgglomeration
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomTreesEmbedding,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.tree._tree import Tree

from evermodel.core.errors import BadModel, Unsafe
from evermodel.plugins.frameworks import sklearn as plugin
from evermodel.plugins.frameworks._sklearn.check_trees import check_trees
from evermodel.plugins.frameworks._tree_depth import MAX_DEPTH, is_too_deep
from tests.cli.ground import ask

X = np.random.default_rng(0).normal(size=(300, 4))
Y = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int)


def read_back(model, folder):
    skops.io.dump(model, folder / "evil.skops")
    return plugin.read_file(folder / "evil.skops")


def scaled_regression(**settings):
    return Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())], **settings).fit(X, Y)


# -- parameters with side effects -----------------------------------------------------------------
def with_memory(marker):
    model = scaled_regression()
    model.memory = str(marker)
    return model


def with_agglomeration_memory(marker):
    model = make_pipeline(FeatureAgglomeration(2), LogisticRegression()).fit(X, Y)
    model[0].memory = str(marker)
    return model


def with_files_as_input(marker):
    return make_pipeline(CountVectorizer(input="content"), LogisticRegression()).set_params(
        countvectorizer__input="filename"
    )


def with_many_jobs(marker):
    model = RandomForestClassifier(2).fit(X, Y)
    model.n_jobs = 10**6
    return model


@pytest.mark.parametrize(
    "make", [with_memory, with_agglomeration_memory, with_files_as_input, with_many_jobs], ids=lambda m: m.__name__
)
def test_a_parameter_with_side_effects_is_refused(make, tmp_path):
    marker = tmp_path / "marker"
    with pytest.raises(Unsafe) as error:
        read_back(make(marker), tmp_path)
    assert "evil.skops" in error.value.message and error.value.hint
    assert not marker.exists()


def test_a_memory_deep_inside_is_refused(tmp_path):
    model = BaggingClassifier(scaled_regression(), 2).fit(X, Y)
    model.estimators_[1].memory = str(tmp_path / "marker")
    with pytest.raises(Unsafe, match="memory="):
        read_back(model, tmp_path)
    assert not (tmp_path / "marker").exists()


def test_the_command_line_refuses_a_memory_in_one_sentence(tmp_path):
    skops.io.dump(with_memory(tmp_path / "marker"), tmp_path / "evil.skops")
    rows = "f0,f1,f2,f3,y\n" + "\n".join(",".join(map(str, [*x, y])) for x, y in zip(X.tolist(), Y, strict=True))
    (tmp_path / "rows.csv").write_text(rows)
    asked = ["adopt", str(tmp_path / "evil.skops"), "--data", str(tmp_path / "rows.csv"), "--target", "y"]
    answer = ask([*asked, "--name", "evil"], tmp_path / "registry")
    assert answer.code == 2 and "memory=" in answer.err and "Traceback" not in answer.err
    assert not (tmp_path / "marker").exists()


def test_a_function_to_call_is_refused_and_arithmetic_is_not(tmp_path):
    plain = make_pipeline(FunctionTransformer(np.arctan), LogisticRegression()).fit(X, Y)
    assert np.array_equal(plugin.predict(read_back(plain, tmp_path), X), plugin.predict(plain, X))
    with pytest.raises(Unsafe, match="function"):
        plugin.write_file(make_pipeline(FunctionTransformer(print), LogisticRegression()), tmp_path / "m.skops")
    assert not (tmp_path / "m.skops").exists()


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    with pytest.raises(Unsafe, match="memory="):
        plugin.write_file(with_memory(tmp_path / "marker"), tmp_path / "m.skops")


# -- trees -----------------------------------------------------------------
def damage(tree, how):
    """The tree of one estimator with its root changed: outside, in a loop, or on a column that is not there."""
    state = tree.tree_.__getstate__()
    nodes = state["nodes"].copy()
    if how == "loop":
        nodes["left_child"][0] = nodes["right_child"][0] = 0
    elif how == "outside":
        nodes["left_child"][0] = nodes["right_child"][0] = 2**40
    elif how == "one-sided":
        nodes["right_child"][0] = -1
    elif how == "negative-column":
        nodes["feature"][0] = -(2**40)
    elif how == "wider":  # the tree believes that rows have many columns more
        nodes["feature"][0] = 2**20
        wider = Tree(2**21, np.array([tree.tree_.value.shape[2]], dtype=np.intp), 1)
        wider.__setstate__({**state, "nodes": nodes})
        tree.tree_ = wider
        return
    tree.tree_.__setstate__({**state, "nodes": nodes})


TREE = DecisionTreeClassifier(max_depth=3, random_state=0)
FOREST = RandomForestClassifier(3, max_depth=3, random_state=0)
PLACES = {
    "tree": (lambda: TREE, lambda m: [m]),
    "forest": (lambda: FOREST, lambda m: m.estimators_),
    "pipeline": (lambda: make_pipeline(StandardScaler(), TREE), lambda m: [m[-1]]),
    "ada": (lambda: AdaBoostClassifier(TREE, n_estimators=2), lambda m: m.estimators_),
    "bagged forests": (lambda: BaggingClassifier(FOREST, 2), lambda m: m.estimators_[1].estimators_),
    "bagged pipelines": (lambda: BaggingClassifier(make_pipeline(TREE), 2), lambda m: [m.estimators_[0][-1]]),
    "voting": (lambda: VotingClassifier([("a", TREE), ("b", LogisticRegression())]), lambda m: [m.estimators_[0]]),
    "stacking": (
        lambda: StackingClassifier([("a", LogisticRegression())], final_estimator=TREE, cv=2),
        lambda m: [m.final_estimator_],
    ),
    "embedding": (
        lambda: make_pipeline(RandomTreesEmbedding(3, max_depth=3), LogisticRegression()),
        lambda m: m[0].estimators_,
    ),
    "init of boosting": (lambda: GradientBoostingClassifier(init=TREE, n_estimators=2), lambda m: [m.init_]),
}


@pytest.mark.parametrize("how", ["loop", "outside", "one-sided", "negative-column", "wider"])
@pytest.mark.parametrize("place", PLACES)
def test_a_damaged_tree_is_refused_wherever_it_is(place, how, tmp_path):
    from sklearn.base import clone

    make, trees = PLACES[place]
    model = clone(make()).fit(X, Y)
    check_trees(model, "whole.skops")
    for tree in trees(model):
        damage(tree, how)
    with pytest.raises(BadModel, match="nodes point outside"):
        check_trees(model, "evil.skops")
    with pytest.raises((BadModel, Unsafe)):  # a list of named steps, as voting and stacking have, is not read at all
        read_back(model, tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("left", 2**31 - 7), ("right", 0), ("feature_idx", 2**30), ("feature_idx", -5), ("is_categorical", 1)],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_damaged_histogram_tree_is_refused(field, value, wrapped, tmp_path):
    model = HistGradientBoostingClassifier(max_iter=3).fit(X, Y)
    whole = BaggingClassifier(model, 2).fit(X, Y) if wrapped else model
    assert np.allclose(plugin.predict(read_back(whole, tmp_path), X), plugin.predict(whole, X))
    damaged = whole.estimators_[1] if wrapped else model
    damaged._predictors[-1][0].nodes[field][0] = value
    with pytest.raises(BadModel, match="nodes point outside"):
        read_back(whole, tmp_path)


def test_gradient_boosting_with_more_trees_a_stage_than_columns_is_refused(tmp_path):
    model = GradientBoostingClassifier(n_estimators=3).fit(X, Y)
    model.estimators_ = np.hstack([model.estimators_] * 50)
    with pytest.raises(BadModel, match="nodes point outside"):
        read_back(model, tmp_path)


def test_a_chain_of_too_many_levels_is_refused(tmp_path):
    levels = MAX_DEPTH + 10
    model = DecisionTreeRegressor().fit(X, X[:, 1])
    left, right = np.full(2 * levels + 1, -1), np.full(2 * levels + 1, -1)
    left[0 : 2 * levels : 2], right[0 : 2 * levels : 2] = np.arange(1, 2 * levels, 2), np.arange(2, 2 * levels + 1, 2)
    nodes = np.zeros(2 * levels + 1, dtype=model.tree_.__getstate__()["nodes"].dtype)
    nodes["left_child"], nodes["right_child"] = left, right
    state = {"max_depth": levels, "node_count": len(nodes), "nodes": nodes, "values": np.zeros((len(nodes), 1, 1))}
    model.tree_ = Tree(4, np.array([1], dtype=np.intp), 1)
    model.tree_.__setstate__(state)
    with pytest.raises(BadModel, match="too deep"):
        read_back(model, tmp_path)


def test_depth_is_measured_and_shared_nodes_are_no_tree():
    count = 4 * MAX_DEPTH
    balanced = np.arange(count)
    left, right = 2 * balanced + 1, 2 * balanced + 2
    left, right = np.where(left < count, left, -1), np.where(right < count, right, -1)
    assert not is_too_deep(left, right)
    shared = np.append(np.arange(1, count), -1)  # both children of a node are the next node: 2**depth ways
    assert is_too_deep(shared, shared)

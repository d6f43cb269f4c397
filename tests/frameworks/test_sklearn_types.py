"""Which types of scikit-learn a file may hold: the list is that of the rule, and usual estimators are within it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn import linear_model, naive_bayes, neighbors, neural_network, svm
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_selection import SelectKBest, f_classif, mutual_info_classif
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.neighbors import KDTree
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, QuantileTransformer, SplineTransformer, StandardScaler

from evermodel.core.errors import BadModel, Unsafe
from evermodel.plugins.frameworks import sklearn as plugin
from evermodel.plugins.frameworks._sklearn.allowed_types import ALLOWED_TYPES
from evermodel.plugins.frameworks._sklearn.rebuild_parts import rebuild_parts

SCRIPT = Path(__file__).parents[2] / "scripts" / "list_sklearn_types.py"
X = np.random.default_rng(0).normal(size=(200, 4))
Y = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int)


def test_the_list_is_what_the_rule_gives_for_the_installed_version() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=True)
    found: dict[str, frozenset[str]] = {}
    exec(compile(done.stdout, "allowed_types", "exec"), found)  # noqa: S102 - our own script's output
    new = found["ALLOWED_TYPES"] - ALLOWED_TYPES
    assert not new, f"review these and run {SCRIPT.name} again: {sorted(new)}"
    gone = ALLOWED_TYPES - found["ALLOWED_TYPES"]
    assert not gone, f"no longer there, or no longer plain: {sorted(gone)}"


@pytest.mark.parametrize("risky", ["callback", "_mocking", "datasets", "_seq_dataset", "_dispatcher", "_export"])
def test_tools_that_no_fitted_estimator_holds_are_not_listed(risky: str) -> None:
    assert not [name for name in ALLOWED_TYPES if risky in name]


MODELS = {
    "mlp, adam": lambda: neural_network.MLPClassifier((4,), max_iter=30),
    "mlp, sgd": lambda: neural_network.MLPClassifier((4,), max_iter=30, solver="sgd"),
    "calibrated": lambda: CalibratedClassifierCV(svm.LinearSVC()),
    "isotonic": lambda: CalibratedClassifierCV(naive_bayes.GaussianNB(), method="isotonic"),
    "neighbours, k-d tree": lambda: neighbors.KNeighborsClassifier(algorithm="kd_tree"),
    "neighbours, ball tree": lambda: neighbors.KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"),
    "neighbours, brute": lambda: neighbors.KNeighborsClassifier(algorithm="brute", metric="cosine"),
    "gaussian process": GaussianProcessClassifier,
    "svc": lambda: CalibratedClassifierCV(svm.SVC()),
    "sgd": lambda: linear_model.SGDClassifier(loss="log_loss"),
    "sgd, huber": lambda: linear_model.SGDClassifier(loss="modified_huber"),
    "logistic, cv": lambda: linear_model.LogisticRegressionCV(cv=3),
    "discriminant": LinearDiscriminantAnalysis,
    "select": lambda: make_pipeline(SelectKBest(f_classif, k=2), naive_bayes.GaussianNB()),
    "select, information": lambda: make_pipeline(SelectKBest(mutual_info_classif, k=2), naive_bayes.GaussianNB()),
    "components": lambda: make_pipeline(
        PolynomialFeatures(), PCA(5), TruncatedSVD(3), linear_model.LogisticRegression()
    ),
    "splines": lambda: make_pipeline(SplineTransformer(), linear_model.LogisticRegression()),
    "quantiles": lambda: make_pipeline(QuantileTransformer(n_quantiles=50), linear_model.LogisticRegression()),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=5),
    "ada": lambda: AdaBoostClassifier(n_estimators=5),
    "vote": lambda: VotingClassifier(
        [("a", linear_model.LogisticRegression()), ("b", naive_bayes.GaussianNB())], voting="soft"
    ),
    "stack": lambda: StackingClassifier(
        [("a", make_pipeline(StandardScaler(), linear_model.LogisticRegression())), ("b", naive_bayes.GaussianNB())]
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_usual_estimators_are_kept_and_answer_as_before(name: str, tmp_path: Path) -> None:
    model = MODELS[name]().fit(X, Y)
    plugin.save(model, tmp_path)
    np.testing.assert_array_equal(plugin.predict(plugin.load(tmp_path), X), model.predict_proba(X))


def test_a_search_tree_is_built_anew_from_the_rows(tmp_path: Path) -> None:
    model = neighbors.KNeighborsClassifier(algorithm="kd_tree").fit(X, Y)
    right = model.predict_proba(X)
    model._tree = KDTree(np.random.default_rng(1).normal(size=(5_000, 4)))  # leads outside of the 200 labels
    skops.io.dump(model, tmp_path / "evil.skops")
    np.testing.assert_array_equal(plugin.predict(plugin.read_file(tmp_path / "evil.skops"), X), right)


def test_a_search_tree_that_nobody_rebuilds_is_refused(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), linear_model.LogisticRegression()).fit(X, Y)
    model[0].hidden = KDTree(X)
    skops.io.dump(model, tmp_path / "evil.skops")
    with pytest.raises(Unsafe, match="KDTree outside"):
        plugin.read_file(tmp_path / "evil.skops")
    broken = neighbors.KNeighborsClassifier().fit(X, Y)
    broken._fit_X = X[:, :2]
    skops.io.dump(broken, tmp_path / "broken.skops")
    with pytest.raises(BadModel, match="do not fit together"):
        plugin.read_file(tmp_path / "broken.skops")
    bent = make_pipeline(SplineTransformer(), linear_model.LogisticRegression()).fit(X, Y)
    bent[0].bsplines_[0].t = bent[0].bsplines_[0].t[:2]  # scipy would read behind its end
    skops.io.dump(bent, tmp_path / "bent.skops")
    with pytest.raises(BadModel, match="broken Pipeline"):
        plugin.read_file(tmp_path / "bent.skops")
    rebuild_parts(neighbors.KNeighborsClassifier().fit(X, Y), "a sound one")


@pytest.mark.parametrize("package", ["xgboost", "lightgbm"])
def test_a_damaged_booster_inside_a_pipeline_is_refused_before_its_package_sees_it(package, tmp_path: Path) -> None:
    import json
    import zipfile

    booster = pytest.importorskip(package)
    kinds = {"xgboost": "XGBClassifier", "lightgbm": "LGBMClassifier"}
    model = make_pipeline(StandardScaler(), getattr(booster, kinds[package])(n_estimators=3, n_jobs=1)).fit(X, Y)
    skops.io.dump(model, tmp_path / "m.skops")
    assert plugin.read_file(tmp_path / "m.skops", trust=True) is not None
    with zipfile.ZipFile(tmp_path / "m.skops") as old, zipfile.ZipFile(tmp_path / "evil.skops", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if package == "xgboost" and name.endswith(".bin"):
                at = data.index(b"left_children") + 13 + len(b"[$l#L") + 8
                data = data[:at] + (2**30).to_bytes(4, "big") + data[at + 4 :]
            if package == "lightgbm" and name == "schema.json":
                data = data.replace(b"left_child=1", b"left_child=9")
                assert json.loads(data)
            new.writestr(name, data)
    with pytest.raises(BadModel, match=r"broken XGBoost|not a whole LightGBM"):
        plugin.read_file(tmp_path / "evil.skops", trust=True)

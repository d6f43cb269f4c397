"""The Python API: scripts as users write them, frames of every library, results in notebooks, wrong arguments."""

from __future__ import annotations

import inspect
import shutil

import numpy as np
import polars as pl
import pytest

pytest.importorskip("lightgbm")

import evermodel as em
from evermodel.api.model import Model
from evermodel.core.errors import AskedWrongly
from tests.api.user_scripts import SCRIPTS

VERBS = (
    *("update", "judge", "tune", "prune", "fuse", "iterate", "reproduce"),
    *("evaluate", "predict_file", "save", "promote", "rollback", "approve"),
    *("watch", "check", "notify", "report", "policy"),
)


@pytest.fixture
def folder(documented_folder, tmp_path, monkeypatch):
    """A copy of the documented folder, as the working directory."""
    copy = shutil.copytree(documented_folder, tmp_path / "documented")
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def churn(folder):
    return em.open("models")["churn"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_a_script_of_a_user_runs(folder, script):
    script()


def test_predictions_come_in_the_library_of_the_rows(churn):
    pandas, arrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    rows = pl.read_csv("april.csv").drop("churned")
    expected = churn.predict(rows)
    assert isinstance(expected, pl.DataFrame)

    frame = rows.to_pandas()
    frame.index = frame.index + 7
    from_pandas = churn.predict(frame)
    assert isinstance(from_pandas, pandas.DataFrame)
    assert from_pandas.index.equals(frame.index)
    assert pl.from_pandas(from_pandas).equals(expected)

    from_arrow = churn.predict(rows.to_arrow())
    assert isinstance(from_arrow, arrow.Table)
    assert pl.from_arrow(from_arrow).equals(expected)

    assert churn.predict(rows.lazy()).equals(expected)
    assert churn.predict("april.csv").equals(expected)
    assert churn.predict(rows.to_dicts()).equals(expected)


def test_a_numpy_array_gives_an_array_of_predictions(folder, tmp_path):
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    x = random.normal(size=(400, 2))
    y = (x[:, 0] > 0).astype(int)
    reference = pl.DataFrame({"0": x[:, 0], "1": x[:, 1], "y": y})
    model = em.open(tmp_path / "arrays").adopt(LogisticRegression().fit(x, y), data=reference, target="y", name="m")
    predictions = model.predict(x)
    assert isinstance(predictions, np.ndarray)
    assert predictions.shape == (400,)
    assert (predictions == y).mean() > 0.9
    assert type(model.champion.load()).__name__ == "LogisticRegression"


def test_a_keras_champion_is_the_live_keras_model(tmp_path):
    keras = pytest.importorskip("keras")
    random = np.random.default_rng(0)
    x = random.normal(size=(600, 3)).astype(np.float32)
    y = (x.sum(axis=1) > 0).astype(int)
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")])
    network.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.01))
    network.fit(x, y, epochs=20, verbose=0)
    rows = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y})
    model = em.open(tmp_path / "models").adopt(network, data=rows, target="y", name="net")
    champion = model.champion
    live = champion.load()
    assert isinstance(live, keras.Model)
    answers = live.predict(champion.prepare(rows.drop("y")), verbose=0).ravel()
    assert np.allclose(answers, champion.predict(rows.drop("y"))["p_1"].to_numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda churn: churn.update("april.csv", epochs=3), "settings={'epochs': 3}"),
        (lambda churn: churn.update("april.csv", stratgy="refit"), "Did you mean 'strategy'?"),
        (lambda churn: em.update("churn", "april.csv", registy="models"), "Did you mean 'registry'?"),
        (lambda churn: churn.update("april.csv", target="churned"), "update() has no argument 'target'"),
        (lambda churn: churn.report(too="r.html"), "Did you mean 'to'?"),
        (lambda churn: em.open("models").gc(keep=3), "gc() has no argument 'keep'. It has: keep_versions"),
    ],
)
def test_an_unknown_argument_names_the_nearest(churn, call, names):
    with pytest.raises(TypeError) as error:
        call(churn)
    assert names in str(error.value)


def test_a_result_can_be_explained(churn):
    result = churn.update("april.csv")
    explanation = result.explain("may.csv")
    assert (explanation.old, explanation.new) == (result.champion, result.challenger)
    assert explanation.flips.rows > 0
    with pytest.raises(AskedWrongly, match="no challenger"):
        churn.update("may.csv", dry_run=True).explain()


def test_a_result_prints_as_lines_and_shows_as_tables(churn):
    result = churn.update("april.csv")
    assert str(result).splitlines()[0] == result.headline
    assert result.headline.startswith("promoted: churn v2")
    assert "Candidates:" in result.describe_candidates()
    html = result._repr_html_()
    assert html.count("<table>") == 2
    assert "<th>challenger</th>" in html
    frame = result.scores.to_frame()
    auc = frame.filter((pl.col("rows") == "new") & (pl.col("metric") == "auc")).row(0, named=True)
    assert auc["challenger"] == result.scores["new"]["auc"].challenger
    assert auc["n"] == result.scores["new"]["auc"].n


def test_cells_of_a_table_are_escaped():
    from evermodel.registry.result_table import ResultTable

    table = ResultTable("<b>", ("a",), (("<script>",), (None,), (float("nan"),)))
    assert "<script>" not in table.to_html()
    assert "&lt;script&gt;" in table.to_html()
    assert table.lines() == ["a", "<script>", "", "not known"]


def test_a_registry_shows_its_models_as_a_table(churn):
    registry = em.open("models")
    assert "churn" in str(registry)
    assert "<td" in registry._repr_html_()
    assert registry.models.to_frame()["name"].to_list() == ["churn"]
    assert [model.name for model in registry.models] == ["churn"]
    assert registry["churn"] == churn


def test_methods_and_functions_take_the_same_arguments():
    """``churn.update(...)`` and ``em.update("churn", ...)`` are one function."""
    for name in VERBS:
        method = dict(inspect.signature(getattr(Model, name)).parameters)
        function = dict(inspect.signature(getattr(em, name)).parameters)
        assert set(method) - {"self"} == set(function) - {"name", "registry"}, name
        for parameter in set(method) & set(function):
            ours, theirs = method[parameter].default, function[parameter].default
            assert callable(ours) or ours == theirs, f"{name}({parameter})"


def test_a_result_in_place_of_a_name_says_which_name_to_give(churn):
    with pytest.raises(AskedWrongly, match=r"called by its name, a text\. Got a Model") as said:
        em.update(churn, "april.csv", registry="models")
    assert said.value.hint == "Give 'churn'."
    with pytest.raises(AskedWrongly, match="Got a dict"):
        em.evaluate({}, "april.csv", registry="models")


def test_every_public_name_has_a_docstring():
    for name in em.__all__:
        assert name == "__version__" or inspect.getdoc(getattr(em, name)), name
    methods = [getattr(Model, n) for n in dir(Model) if not n.startswith("_")]
    assert len(methods) >= 25
    assert all(inspect.getdoc(method) for method in methods)

"""A prepared version answers as the version does, whatever its framework and its transform; rows are checked alike."""

from __future__ import annotations

import json

import httpx
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import evermodel
from evermodel.core.errors import AskedWrongly, Damaged
from evermodel.registry.lookup import champion_of, open_store
from evermodel.registry.versions import load_version
from evermodel.server.answering import Question, answer_question
from evermodel.server.prepared_model import PreparedModel, prepare_model
from evermodel.server.request_body import read_body
from tests.updating.conftest import rows


def prepare(registry, name: str = "m") -> PreparedModel:
    store = open_store(registry)
    card = champion_of(store, name)
    folder = store.version_folder(name, card.version)
    return prepare_model(name, card.version, load_version(store, card), folder)


def adopt_linear(registry) -> None:
    """Two numbers and a one-hot category in a matrix: it has no answer without a number."""
    from sklearn.linear_model import LogisticRegression

    frame = rows(1500, 1)
    hot = [(frame["kind"] == kind).cast(pl.Float64).to_numpy() for kind in ("blue", "green", "red")]
    x = np.column_stack([frame["a"].to_numpy(), frame["b"].to_numpy(), *hot])
    model = LogisticRegression(max_iter=500).fit(x, frame["y"].to_numpy())
    evermodel.adopt(model, data=rows(1500, 2), target="y", time="when", name="m", registry=registry)


def adopt_pipeline(registry) -> None:
    """A pipeline that takes a frame."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = rows(1500, 1)
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["kind"]), remainder="passthrough"
    )
    model = make_pipeline(encoder, HistGradientBoostingClassifier(max_iter=15))
    model.fit(frame.select("a", "b", "kind").to_pandas(), frame["y"].to_numpy())
    evermodel.adopt(model, data=rows(1500, 2), target="y", time="when", name="m", registry=registry)


def adopt_regression(registry) -> None:
    import xgboost

    frame = rows(1500, 1)
    x = frame.select("a", "b").to_numpy()
    model = xgboost.XGBRegressor(n_estimators=20, max_depth=3, n_jobs=1).fit(x, 3.0 * x[:, 0] + x[:, 1])
    known = rows(1500, 2).with_columns(y=3.0 * pl.col("a") + pl.col("b")).drop("kind", "when")
    evermodel.adopt(model, data=known, target="y", name="m", shuffled=True, registry=registry)


ADOPT = {"linear": adopt_linear, "pipeline": adopt_pipeline, "regression": adopt_regression}


@pytest.mark.parametrize("what", ADOPT)
def test_it_answers_as_the_version_does(what, tmp_path):
    ADOPT[what](tmp_path / "registry")
    prepared = prepare(tmp_path / "registry")
    frame = rows(200, 8).select(prepared.contract.names)
    body = json.dumps({"dataframe_records": frame.to_dicts()}).encode()
    question = Question(read_body(body, "application/json", prepared.contract.names, 1000), "answer")
    answer = answer_question(prepared, question, "id")
    plain = evermodel.predict("m", frame, registry=tmp_path / "registry")
    held = json.loads(answer.body)
    if what == "regression":
        assert np.allclose(held["predictions"], plain["prediction"].to_numpy(), rtol=1e-6)
    else:
        assert held["predictions"] == plain["prediction"].to_list()
        assert np.allclose(np.array(held["probabilities"])[:, 1], plain["p_1"].to_numpy(), atol=1e-6)


def test_it_knows_which_columns_it_cannot_do_without(tmp_path, two_versions):
    adopt_linear(tmp_path / "registry")
    linear = prepare(tmp_path / "registry")
    missing = {"dataframe_records": [{"a": None, "b": 1.0, "kind": "red"}, {"a": 1.0, "b": 1.0, "kind": None}]}
    question = Question(read_body(json.dumps(missing).encode(), "application/json", [], 1000), "answer")
    assert linear.needed == {"a", "b"}  # an unknown category is all zeros, and has an answer
    held = json.loads(answer_question(linear, question, "id").body)
    assert held["predictions"][0] is None
    assert held["predictions"][1] is not None
    assert [row["column"] for row in held["refused"]] == ["a"]
    assert prepare(two_versions).needed == frozenset()  # trees take missing values


def test_a_version_that_answers_otherwise_than_its_golden_rows_is_damaged(registry):
    store = open_store(registry)
    card = champion_of(store, "m")
    folder = store.version_folder("m", card.version)
    golden = json.loads((folder / "golden.json").read_text())
    golden["answers"][0] = [0.5, 0.5]
    (folder / "golden.json").chmod(0o600)
    (folder / "golden.json").write_text(json.dumps(golden))
    with pytest.raises(Damaged, match="golden rows"):
        prepare_model("m", card.version, load_version_unchecked(folder, card.framework), folder)


def load_version_unchecked(folder, framework):
    from evermodel.registry.versions import load_folder

    return load_folder(folder, framework)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
ROW = st.fixed_dictionaries({}, optional={"a": JSON_VALUES, "b": JSON_VALUES, "kind": JSON_VALUES, "x": JSON_VALUES})
LISTS = st.lists(st.lists(JSON_VALUES, max_size=4), max_size=4)
FORM = st.sampled_from(["dataframe_records", "dataframe_split", "instances", "inputs", "else"])


@pytest.fixture(scope="module")
def booster(two_versions) -> PreparedModel:
    return prepare(two_versions)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=FORM, value=JSON_VALUES | st.lists(ROW, max_size=5) | st.lists(st.lists(JSON_VALUES, max_size=4), max_size=4)
)
def test_whatever_json_comes_is_answered_or_refused_in_words(booster, form, value):
    body = json.dumps({form: value}).encode()
    try:
        question = Question(read_body(body, "application/json", booster.contract.names, 1000), "answer")
        held = json.loads(answer_question(booster, question, "id").body)
    except AskedWrongly as error:
        assert len(error.message) > 15
        return
    answered = [p is not None for p in held["predictions"]]
    assert len(answered) == question.rows.total
    assert sum(answered) + held.get("refused_rows", 0) == len(answered)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.sampled_from(["a", "b", "kind", "x"]), min_size=1, max_size=4),
    shape=st.lists(st.integers(-1, 5), max_size=3),
    datatype=st.sampled_from(["FP64", "BYTES", "INT8", "NONSENSE"]),
    data=st.lists(JSON_VALUES, max_size=6),
)
def test_whatever_tensors_come_are_answered_or_refused_in_words(booster, names, shape, datatype, data):
    from evermodel.server.open_inference import read_request, read_tensors

    inputs = [{"name": name, "shape": shape, "datatype": datatype, "data": data} for name in names]
    try:
        inference = read_request(json.dumps({"inputs": inputs}).encode())
        rows_of = read_tensors(inference, booster.contract.names, 1000)
        answer = answer_question(booster, Question(rows_of, "refuse", inference), "id")
    except AskedWrongly as error:
        assert len(error.message) > 15
        return
    assert json.loads(answer.body)["outputs"][0]["shape"] == [rows_of.total]


@pytest.mark.parametrize("kind", ["text/csv", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"])
def test_no_bytes_bring_the_server_down(client, kind):
    random = np.random.default_rng(0)
    good = rows(5, 3).select("a", "b", "kind")
    whole = {"text/csv": good.write_csv().encode()}.get(kind, b"PAR1" + bytes(100))
    for _ in range(30):
        body = bytearray(whole)
        for at in random.integers(0, len(body), 6):
            body[at] = random.integers(0, 256)
        answer = client.post("/invocations", content=bytes(body), headers={"Content-Type": kind})
        assert answer.status_code in (200, 400, 413, 422), answer.text
    assert client.post("/invocations", json={"instances": [[1, 2, "red"]]}).status_code == 200


def test_paths_and_methods_that_are_not_there(client):
    for path in ("/../etc/passwd", "/models//invocations", "/models/m/x/invocations", "/v2/models/m/infer/x", "/%00"):
        assert client.post(path, json={}).status_code in (400, 404), path
    assert client.get("/invocations").status_code == 405
    assert client.put("/v2/models/m/infer").status_code == 405
    assert client.post("/models/%6d/invocations", json={"instances": [[1, 2, "red"]]}).status_code == 200
    assert httpx.get(f"{client.base_url}/openapi.json", trust_env=False).json()["openapi"] == "3.1.0"


def test_a_version_that_answers_slowly_is_not_warmed_in_large_sizes(tmp_path, monkeypatch):
    adopt_linear(tmp_path)
    monkeypatch.setattr("evermodel.server.prepared_model.MOST_WARM_SECONDS", 0.0)
    sizes, predict = [], PreparedModel.predict
    monkeypatch.setattr(PreparedModel, "predict", lambda self, rows: sizes.append(len(rows)) or predict(self, rows))
    prepared = prepare(tmp_path)
    assert max(sizes) == 16 and 1 in sizes  # 16 golden rows are always answered
    assert prepared.estimate_seconds(256) > prepared.estimate_seconds(1) > 0.0

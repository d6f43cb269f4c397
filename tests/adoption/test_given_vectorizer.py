"""A vectorizer that is kept in a file beside the model: both become one pipeline, which answers as the two did."""

from __future__ import annotations

from pathlib import Path

import joblib
import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import evermodel as em
from evermodel.core.errors import BadModel, Unsafe
from tests.cli.ground import ask

WORDS = {0: ["good", "fine", "great", "thanks"], 1: ["bad", "awful", "broken", "refund"]}


def draw_texts(n: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, n)
    both = ["the", "parcel", "came", "today", *WORDS[0], *WORDS[1]]
    texts = [" ".join([*random.choice(both, 5), *random.choice(WORDS[int(y)], 2)]) for y in labels]
    return pl.DataFrame({"text": texts, "complaint": labels})


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(),
        CountVectorizer(binary=True),
        HashingVectorizer(n_features=256),
        make_pipeline(TfidfVectorizer(), TruncatedSVD(6, random_state=0)),
    ],
    ids=["tfidf", "counts", "hashing", "pipeline"],
)
def test_two_files_become_one_pipeline(vectorizer: object, tmp_path: Path) -> None:
    learnt, later = draw_texts(600, 1), draw_texts(400, 2)
    x = vectorizer.fit_transform(learnt["text"].to_list())  # type: ignore[attr-defined]
    model = LogisticRegression().fit(x, learnt["complaint"])
    files = {name: tmp_path / f"{name}.joblib" for name in ("vectorizer", "model")}
    joblib.dump(vectorizer, files["vectorizer"])
    joblib.dump(model, files["model"])
    expected = model.predict_proba(vectorizer.transform(later["text"].to_list()))[:, 1]  # type: ignore[attr-defined]
    registry, names = tmp_path / "registry", [str(file) for file in files.values()]
    with pytest.raises(Unsafe):
        em.adopt(files["model"], data=learnt, target="complaint", transform=files["vectorizer"], trust=names[1:])
    learnt.write_csv(tmp_path / "learnt.csv")
    words = ["--data", str(tmp_path / "learnt.csv"), "--target", "complaint", "--transform", names[0], "--name", "m"]
    answer = ask(["adopt", names[1], *words, *(f"--trust={name}" for name in names)], registry)
    assert answer.code == 0 and "kept as one pipeline" in answer.out, answer.err
    found = em.open(registry)["m"]
    assert np.abs(found.predict(later[["text"]])["p_1"].to_numpy() - expected).max() < 1e-6
    found.update(later)
    found.save(tmp_path / "whole.skops")


def test_a_vectorizer_of_anything_else_is_named_for_what_it_is(tmp_path: Path) -> None:
    learnt = draw_texts(200, 1)
    model = LogisticRegression().fit(np.eye(2)[learnt["complaint"]], learnt["complaint"])
    of_dicts = DictVectorizer().fit([{"a": 1.0}, {"b": 2.0}])
    with pytest.raises(BadModel, match="holds a DictVectorizer, which does not take a table of columns"):
        em.adopt(model, data=learnt, target="complaint", name="m", transform=of_dicts, registry=tmp_path)
    with pytest.raises(BadModel, match="TfidfVectorizer that was not fitted"):
        em.adopt(model, data=learnt, target="complaint", name="m", transform=TfidfVectorizer(), registry=tmp_path)
    import lightgbm

    booster = lightgbm.train({"verbose": -1}, lightgbm.Dataset(np.random.default_rng(0).random((60, 2)), np.arange(60)))
    fitted = TfidfVectorizer().fit(learnt["text"])
    with pytest.raises(BadModel, match="A TfidfVectorizer cannot stand before a model of lightgbm") as error:
        em.adopt(booster, data=learnt, target="complaint", name="m", transform=fitted, registry=tmp_path)
    assert "Pipeline" in error.value.hint

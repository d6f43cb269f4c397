"""Lists of token ids of any length are padded as the signature file says, from adoption to service."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if importlib.util.find_spec("keras") is None:
    pytest.skip('needs pip install "evermodel[keras]"', allow_module_level=True)

import keras

import evermodel as em
from evermodel.core.data.list_columns import lay_out_lists
from evermodel.core.errors import BadData, BadSetting, NotFound
from evermodel.core.records.model_signature import ListLayout
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version
from evermodel.server.checked_rows import RowChecker

WORDS, LENGTH = 30, 6
SIGNATURE = '[inputs.ids]\ncolumns = ["tokens"]\npad = 0\npad_side = "left"\n'
WORTH = np.random.default_rng(0).normal(size=WORDS)
KERAS_SIDES = {"left": "pre", "right": "post"}


def sentences(n: int, seed: int) -> pl.DataFrame:
    """Token ids in lists of 1 to LENGTH; the label hangs on the words."""
    random = np.random.default_rng(seed)
    tokens = [random.integers(1, WORDS, random.integers(1, LENGTH + 1)).tolist() for _ in range(n)]
    liked = [int(WORTH[ids].sum() + random.normal(0, 0.3) > 0) for ids in tokens]
    return pl.DataFrame({"tokens": tokens, "liked": liked}).with_row_index("t", 9_000 * seed)


def pad(rows: pl.DataFrame) -> np.ndarray:
    """What the deployed program makes of the lists."""
    return keras.utils.pad_sequences(rows["tokens"].to_list(), LENGTH, padding="pre", truncating="pre")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32", name="ids"),
            layers.Embedding(WORDS, 8, mask_zero=True),
            layers.GlobalAveragePooling1D(),
            layers.Dense(8, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    rows = sentences(1500, 1)
    model.fit(pad(rows), rows["liked"].to_numpy(), epochs=6, verbose=0)
    at = tmp_path_factory.mktemp("network") / "sentences.keras"
    model.save(at)
    (at.parent / "signature.toml").write_text(SIGNATURE)
    return at


@pytest.fixture(scope="module")
def adopted(network: Path) -> Any:
    return em.open(network.parent / "registry").adopt(
        network,
        data=sentences(1500, 1),
        target="liked",
        time="t",
        name="sentences",
        signature=network.parent / "signature.toml",
    )


LISTS = st.lists(st.none() | st.lists(st.integers(0, 99), max_size=9), min_size=1, max_size=8)
SIDES = st.sampled_from(["left", "right"])


@settings(max_examples=60, deadline=None)
@given(LISTS, st.integers(1, 7), SIDES, SIDES)
def test_lists_are_padded_and_cut_as_keras_does(lists: list[Any], length: int, pad_side: Any, cut_side: Any) -> None:
    layout = ListLayout("x", length, 7, pad_side, cut_side)
    frame = pl.LazyFrame({"x": lists}, schema={"x": pl.List(pl.Int64)})
    found = lay_out_lists(frame, [layout]).collect().rows()
    given_lists = [values or [] for values in lists]
    expected = keras.utils.pad_sequences(
        given_lists, length, padding=KERAS_SIDES[pad_side], truncating=KERAS_SIDES[cut_side], value=7
    )
    for places, values, row in zip(found, lists, expected.tolist(), strict=True):
        assert list(places) == ([None] * length if values is None else row)
        assert values is None or layout.lay_out(values) == row


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9_999), max_size=5), min_size=2, max_size=6), st.sampled_from(["[,]", " "]))
def test_lists_written_as_text_are_the_same_lists(lists: list[list[int]], form: str) -> None:
    layout = [ListLayout("x", 5, 0, "right")]
    written = [json.dumps(one) if form == "[,]" else " ".join(map(str, one)) or "[]" for one in lists]
    texts = lay_out_lists(pl.LazyFrame({"x": written}), layout).collect()
    plain = lay_out_lists(pl.LazyFrame({"x": lists}, schema={"x": pl.List(pl.Int64)}), layout).collect()
    assert texts.cast(pl.Int64).equals(plain)


@pytest.mark.parametrize("text", ["[1, 2", "1, 2", "a", "[1; 2]", "[[1], [2]]", "1-2"])
def test_texts_that_are_no_list_are_refused_by_row(text: str) -> None:
    with pytest.raises(BadData, match=r"x must hold lists of numbers.* 1 rows hold another text: 2"):
        lay_out_lists(pl.LazyFrame({"x": ["[1]", text]}), [ListLayout("x", 3, 0, "right")])


def test_without_a_signature_file_it_is_asked_for(network: Path, tmp_path: Path) -> None:
    with pytest.raises(BadData, match="'tokens' have 1 to 6 values") as raised:
        em.open(tmp_path).adopt(network, data=sentences(200, 1), target="liked", time="t", name="a")
    assert "pad_side" in raised.value.hint and "[inputs.NAME]" in raised.value.hint


def test_an_update_is_judged_and_plain_keras_answers_the_same(adopted: Any, tmp_path: Path) -> None:
    shown = {row["what"]: row["value"] for row in em.show("sentences", "v1", registry=adopted.location).rows}
    assert shown["input ids"] == (
        f"int32, {LENGTH} a row, whole numbers from 0 to {WORDS - 1}, of the lists in tokens, "
        "padded with 0 on the left, not cut"
    )
    result = adopted.update(sentences(1200, 2), policy="refresh")
    assert result.decision == "promote", result.headline
    rows = sentences(300, 3)
    found = adopted.predict(rows.drop("liked"))["p_1"].to_numpy()
    adopted.save(tmp_path / "updated.keras", proof=False)
    plain = keras.models.load_model(tmp_path / "updated.keras").predict(pad(rows), verbose=0)[:, 0]
    np.testing.assert_allclose(plain, found, atol=1e-6)
    assert ((found > 0.5) == (rows["liked"].to_numpy() == 1)).mean() > 0.8
    assert np.array_equal(adopted.champion.prepare(rows.drop("liked"))["ids"], pad(rows))
    assert adopted.evaluate(rows).rows == 300
    watched = adopted.watch(sentences(1500, 4))
    assert "1,500 rows" in str(watched)


def test_every_kind_of_file_gives_the_same_answers(adopted: Any, tmp_path: Path) -> None:
    rows = sentences(40, 5).drop("liked")
    expected = adopted.predict(rows)["p_1"].to_list()
    rows.write_parquet(tmp_path / "rows.parquet")
    rows.write_ndjson(tmp_path / "rows.jsonl")
    written = rows.with_columns(tokens=pl.Series([json.dumps(ids) for ids in rows["tokens"].to_list()]))
    written.write_csv(tmp_path / "rows.csv")
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress((tmp_path / "rows.jsonl").read_bytes()))
    (tmp_path / "folder").mkdir()
    rows.head(15).write_parquet(tmp_path / "folder" / "1.parquet")
    rows.tail(25).write_parquet(tmp_path / "folder" / "2.parquet")
    for name in ("rows.parquet", "rows.jsonl", "rows.csv", "rows.jsonl.gz", "folder"):
        assert adopted.predict(tmp_path / name)["p_1"].to_list() == expected, name
    same = sentences(200, 6).filter(pl.col("tokens").list.len() == 3).drop("liked")  # none is of the model's length
    short = adopted.predict(same)["p_1"].to_numpy()
    np.testing.assert_allclose(short, adopted.champion.load().predict(pad(same), verbose=0)[:, 0], atol=1e-6)


def test_lists_that_are_too_long_are_refused_by_row(adopted: Any) -> None:
    rows = pl.DataFrame({"tokens": [[1], [2] * 7, [3] * 9], "t": [1, 2, 3]})
    with pytest.raises(BadData, match=r"up to 9 values, and the model takes 6\. 2 rows hold more: 2, 3"):
        adopted.predict(rows)


def test_the_server_pads_lists_and_refuses_the_rows_it_cannot_take(adopted: Any) -> None:
    checker = RowChecker(load_version(open_store(adopted.location), adopted.champion.card).contract)
    checked = checker.check_columns({"tokens": [[1, 2], [3] * 7, "x", None, [4, WORDS], [5]]}, 6)
    assert [(row.row, row.column) for row in checked.refused] == [(1, "tokens"), (2, "tokens"), (4, "tokens[5]")]
    assert checked.refused[0].reason == "must be a list of at most 6 numbers, and has 7"
    assert checked.numbers[[0, 2]].tolist() == [[0, 0, 0, 0, 1, 2], [0, 0, 0, 0, 0, 5]]
    assert np.isnan(checked.numbers[1]).all()
    for column in (pl.Series("tokens", [[1, 2], [5]]), pl.Series("tokens", ["1 2", "5"]), pl.Series("tokens", [7, 5])):
        table = checker.check_frame(pl.DataFrame(column))
        assert table.numbers[1].tolist() == [0, 0, 0, 0, 0, 5]


def test_a_model_that_waits_and_one_that_cuts(network: Path, tmp_path: Path) -> None:
    (tmp_path / "signature.toml").write_text(SIGNATURE + 'cut_side = "left"\n')
    registry = em.open(tmp_path / "registry")
    registry.adopt(network, target="liked", time="t", name="waiting", signature=tmp_path / "signature.toml")
    (tmp_path / "signature.toml").unlink()
    registry["waiting"].update(sentences(1500, 1))
    long = pl.DataFrame({"tokens": [list(range(1, 12)), [3]]})
    assert registry["waiting"].champion.prepare(long)["ids"].tolist() == [[6, 7, 8, 9, 10, 11], [0, 0, 0, 0, 0, 3]]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        (SIGNATURE.replace("ids", "words"), NotFound, "no input of the model 'words'"),
        (SIGNATURE.replace("pad = 0", "pad = 30"), BadSetting, "from 0 to 29; its lists cannot be padded with 30"),
        (SIGNATURE.replace("pad = 0", "pad = 0.5"), BadSetting, "cannot be padded with 0.5"),
        (SIGNATURE.replace("pad = 0", 'pad = "0"'), BadSetting, "a number as pad"),
        (SIGNATURE.replace('"left"', '"before"'), BadSetting, "left or right"),
        (SIGNATURE.replace('pad_side = "left"', ""), BadSetting, "left or right"),
        (SIGNATURE.replace('["tokens"]', '["tokens", "t"]'), BadSetting, "made of one column of lists"),
    ],
)
def test_a_wrong_signature_file_is_one_sentence(
    network: Path, tmp_path: Path, text: str, error: type[Exception], said: str
) -> None:
    (tmp_path / "signature.toml").write_text(text)
    with pytest.raises(error, match=said):
        em.open(tmp_path).adopt(
            network, data=sentences(200, 1), target="liked", time="t", name="a", signature=tmp_path / "signature.toml"
        )


def test_a_policy_maintains_the_model_from_deliveries_of_lists(adopted: Any, tmp_path: Path) -> None:
    (tmp_path / "incoming").mkdir()
    delivered = sentences(500, 7)
    short = delivered.filter(pl.col("tokens").list.len() == 2)
    short.write_parquet(tmp_path / "incoming" / "1.parquet")  # lists of one length, shorter than the model's
    delivered.filter(pl.col("tokens").list.len() != 2).write_ndjson(tmp_path / "incoming" / "2.jsonl")
    adopted.policy({"data": str(tmp_path / "incoming"), "rows": 400, "judge_policy": "refresh"})
    notes = [note for job in em.maintain("sentences", registry=adopted.location).jobs for note in job.notes]
    assert any(f"took {short.height:,} rows" in note for note in notes), notes
    assert any(f"took {500 - short.height:,} rows" in note for note in notes), notes


def test_a_network_that_takes_rows_of_any_length_is_refused_with_what_to_do(tmp_path: Path) -> None:
    layers = keras.layers
    given, words = keras.Input((None,), dtype="int32", name="ids"), layers.Embedding(WORDS, 4)
    model = keras.Model(given, layers.Dense(1, "sigmoid")(layers.GlobalAveragePooling1D()(words(given))))
    (tmp_path / "signature.toml").write_text(SIGNATURE)
    with pytest.raises(BadSetting, match="takes rows of any length") as raised:
        em.open(tmp_path).adopt(
            model, data=sentences(200, 1), target="liked", time="t", name="a", signature=tmp_path / "signature.toml"
        )
    assert "keras.Input((20,)" in raised.value.hint

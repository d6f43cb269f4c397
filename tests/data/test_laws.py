"""Sources obey their laws; the laws catch a broken source; parsers and cleaning hold for whatever comes."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.core import plugs
from evermodel.core.cleaning import clean, in_batches
from evermodel.core.contract import Column, Contract
from evermodel.core.difference import difference
from evermodel.core.errors import AskedWrongly, EvermodelError
from evermodel.core.learning import learn_contract
from evermodel.core.profile import profile, profile_difference
from evermodel.core.reading import collect, scan
from evermodel.core.table import Roles
from evermodel.core.transform import category_codes
from evermodel.laws import sources as laws

ROWS = pl.DataFrame(
    {"n": [1.5, -2.0, None, 1e9] * 5, "k": [3, 1, 2, 2] * 5, "w": ["a b", "é", "x,y", 'q"q'] * 5, "y": [0, 1, 1, 0] * 5}
)


def write_sql(rows: pl.DataFrame, folder: Path) -> str:
    with sqlite3.connect(folder / "x.db") as db:
        db.execute(f"CREATE TABLE t ({', '.join(rows.columns)})")
        db.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows.rows())
    db.close()
    return f"sqlite:///{folder}/x.db::SELECT * FROM t"


def write_csv(rows: pl.DataFrame, folder: Path, separator: str = ",") -> Path:
    rows.write_csv(folder / "odd [1] *.csv", separator=separator)
    return folder / "odd [1] *.csv"


def write_parquet(rows: pl.DataFrame, folder: Path) -> Path:
    rows.write_parquet(folder / "odd [1] *.parquet")
    return folder / "odd [1] *.parquet"


def write_arrow(rows: pl.DataFrame, folder: Path) -> Path:
    rows.write_ipc(folder / "odd [1] *.arrow")
    return folder / "odd [1] *.arrow"


def write_jsonl(rows: pl.DataFrame, folder: Path) -> Path:
    rows.write_ndjson(folder / "odd [1] *.jsonl")
    return folder / "odd [1] *.jsonl"


WRITERS = {
    "csv": write_csv,
    "tab": lambda r, f: write_csv(r, f, "\t"),
    "semicolon": lambda r, f: write_csv(r, f, ";"),
    "parquet": write_parquet,
    "arrow": write_arrow,
    "jsonl": write_jsonl,
    "sql": write_sql,
    "polars": lambda r, f: r,
    "lazy": lambda r, f: r.lazy(),
    "rows": lambda r, f: r.to_dicts(),
    "columns": lambda r, f: r.to_dict(as_series=False),
}


def test_all_sources_are_found() -> None:
    assert plugs.names("sources") == ("arrow", "csv", "frames", "images", "jsonl", "parquet", "sql")


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("law", laws.LAWS)
def test_source_obeys(law: Any, writer: str, tmp_path: Path) -> None:
    law(WRITERS[writer], ROWS, tmp_path)


def test_a_source_that_loses_a_row_is_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="19 rows"):
        laws.keeps_rows_and_order(lambda r, f: write_csv(r.head(19), f), ROWS, tmp_path)


def test_pandas_arrow_and_numpy(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    laws.keeps_rows_and_order(lambda r, f: r.to_pandas(), ROWS, tmp_path)
    laws.keeps_rows_and_order(lambda r, f: r.to_arrow(), ROWS, tmp_path)
    assert collect(scan(ROWS.select("k", "y").to_numpy())).columns == ["0", "1"]
    assert collect(scan(ROWS.select("k", "y").to_numpy(structured=True))).columns == ["k", "y"]


def test_a_folder_of_pictures_and_a_table_of_paths(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for i in range(3):
            (tmp_path / label / f"{i}.png").write_bytes(b"\x89PNG" + label.encode() + bytes([i]))
    found = collect(scan(tmp_path))
    assert found["label"].to_list() == ["cat"] * 3 + ["dog"] * 3
    assert found["image"][4] == b"\x89PNGdog\x01"
    (tmp_path / "t.csv").write_text("picture,y\ncat/0.png,0\ndog/2.png,1\n")
    assert collect(scan(tmp_path / "t.csv"))["picture"].to_list() == [b"\x89PNGcat\x00", b"\x89PNGdog\x02"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a;b\n1,5;x\n0,25;y\n", [1.5, 0.25]),
        ('a,b\n"1,234",x\n"2,345,678.5",y\n', [1234.0, 2345678.5]),
        ("a;b\n1.234,5;x\n7;y\n", [1234.5, 7.0]),
        ("a,b\n  7 ,x\n007,y\n", [7, 7]),
        ("a,b\nNA,x\n3,y\n", [None, 3]),
        ("a,b\n" + "1,x\n" * 6000 + "1.5,y\n", [1.0] * 6000 + [1.5]),
        ("a,b\n" + "1,x\n" * 6000 + "one,y\n", ["1"] * 6000 + ["one"]),
        ('a,b\n1,"two\nlines"\n2,y\n', [1, 2]),
        ("\ufeffa,b\r\n1,x\r\n2,y\r\n", [1, 2]),
    ],
)
def test_numbers_as_people_write_them(text: str, values: list[Any], tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(text.encode())
    found = collect(scan(tmp_path / "x.csv"))
    assert found.columns[0] == "a"
    assert found["a"].to_list() == values


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.sampled_from(["csv", "parquet", "jsonl", "arrow", "tsv"]))
def test_any_bytes_are_read_or_refused(data: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"x.{suffix}"
        file.write_bytes(data)
        try:
            collect(scan(file))
        except EvermodelError as error:
            assert isinstance(error, AskedWrongly)


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from('ab1.,;\t|"\n\r -e?é'), min_size=1, max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    test_any_bytes_are_read_or_refused.hypothesis.inner_test(text.encode(), "csv")  # type: ignore[attr-defined]


CONTRACT = Contract(
    "binary",
    Roles("y"),
    (
        Column("n", "number", "Float64", low=-10.0, high=10.0),
        Column("c", "category", "String", ("a", "b")),
        Column("b", "boolean", "Boolean"),
    ),
    classes=("no", "yes"),
)
NUMBERS = st.one_of(st.none(), st.floats(), st.just(-999.0))
TEXTS = st.one_of(
    st.none(), st.sampled_from(["1", " 2.5", "1,5", "-999", "x", "", "NA", "inf", "nan", "1e400", "a ", "b"])
)


@st.composite
def dirty(draw: st.DrawFn) -> pl.DataFrame:
    n = draw(st.integers(1, 12))
    numbers, text = draw(st.booleans()), draw(st.booleans())
    values = draw(st.lists(NUMBERS if numbers else TEXTS, min_size=n, max_size=n))
    return pl.DataFrame(
        {
            "n": pl.Series(values, dtype=pl.Float64 if numbers else pl.String),
            "c": pl.Series(draw(st.lists(TEXTS, min_size=n, max_size=n)), dtype=pl.String),
            "b": pl.Series(
                draw(st.lists(TEXTS if text else st.sampled_from([True, False, None]), min_size=n, max_size=n)),
                dtype=pl.String if text else pl.Boolean,
            ),
            "y": draw(st.lists(st.sampled_from(["no", "yes", " yes ", "maybe", None]), min_size=n, max_size=n)),
        },
        schema_overrides={"y": pl.String},
    )


@settings(max_examples=100, deadline=None)
@given(dirty())
def test_cleaning_is_idempotent_and_counts_add_up(rows: pl.DataFrame) -> None:
    once = clean(rows.lazy(), CONTRACT, labelled=False)
    first = once.collect().frame
    assert first.height == rows.height == once.rows
    assert [d.missing for d in once.done] == [first[c].null_count() for c in CONTRACT.names]
    assert not first["n"].drop_nulls().is_infinite().any()
    again = clean(first.lazy(), CONTRACT, labelled=False)
    assert again.collect().frame.equals(first, null_equal=True)
    assert sum(d.infinite + d.impossible + d.unreadable + d.trimmed for d in again.done) == 0
    if rows["y"].str.strip_chars().is_in(["no", "yes"]).any():
        labelled = clean(rows.lazy(), CONTRACT, labelled=True)
        assert labelled.rows + sum(labelled.dropped.values()) == labelled.rows_read == rows.height
        assert sum(b.height for b in in_batches(labelled, rows=3)) == labelled.rows
        assert sum(labelled.class_counts.values()) == labelled.rows


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcxyz"), min_size=1, max_size=30))
def test_codes_never_change(values: list[str]) -> None:
    rows = pl.DataFrame({"n": [1.0] * len(values), "c": values, "b": [True] * len(values), "y": ["no"] * len(values)})
    grown = difference(CONTRACT, rows.lazy()).contract
    known = CONTRACT.column("c").categories
    assert grown.column("c").categories[: len(known)] == known
    before, after = (category_codes(rows["c"], k.column("c").categories) for k in (CONTRACT, grown))
    assert (before[before >= 0] == after[before >= 0]).all()
    assert (after >= 0).all()


def test_stand_ins_duplicates_and_the_clock() -> None:
    at = pl.Series([1, 3, 2, 4, 4, 5, 6, 7]).cast(pl.Datetime("us"))
    rows = pl.DataFrame({"n": [1.0, 2, -999, 3, 3, -999, -999, 4], "at": at, "y": [0, 1, 0, 1, 1, 0, 1, 0]})
    reference = rows.with_columns(n=pl.Series([float(i) for i in range(8)]))
    contract = learn_contract(reference.lazy(), Roles("y", time="at"))
    cleaned = clean(rows.lazy(), contract, labelled=True)
    assert cleaned.done[0].impossible == 3
    assert cleaned.dropped == {"duplicate row": 1}
    assert any("goes back 1 time" in n for n in cleaned.notes)
    frame = cleaned.collect().frame
    assert frame["at"].is_sorted()
    assert frame["n"].to_list() == [1.0, None, 2.0, 3.0, None, None, 4.0]


def test_profiles_see_what_moved() -> None:
    old = pl.DataFrame({"n": [float(i % 100) for i in range(2000)], "c": ["a", "b"] * 1000, "b": [0.0, 1.0] * 1000})
    new = old.with_columns(n=pl.col("n") + 60)
    was, now = (profile(f.lazy(), CONTRACT) for f in (old, new))
    moved = profile_difference(was, now)
    assert moved[0].column == "n"
    assert moved[0].psi > 1
    assert moved[0].ks == pytest.approx(0.6, abs=0.02)
    assert moved[0].mean == pytest.approx(60 / 28.87, rel=0.01)
    assert all(abs(m.psi) < 1e-9 for m in profile_difference(was, was))

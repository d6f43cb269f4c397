"""Every source passes the checks; each check catches a broken one; parsers and cleaning hold for whatever comes."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.core.contracts.column_profile import compare_profiles, profile_columns
from evermodel.core.contracts.differences import compare_with_contract
from evermodel.core.contracts.inference import learn_contract
from evermodel.core.data.cleaning import clean, clean_in_batches
from evermodel.core.data.contract import Column, Contract
from evermodel.core.data.scan import collect, scan
from evermodel.core.data.source import SOURCES
from evermodel.core.errors import AskedWrongly, EvermodelError
from evermodel.core.model.transform import category_codes
from evermodel.core.plugins import Confidence
from evermodel.core.records.column_roles import Roles
from evermodel.testing import sources as checks
from evermodel.testing.check_runner import run_checks

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
    ours = ("arrow", "compression", "csv", "excel", "frames", "images", "jsonl", "parquet", "sql", "table_folder")
    assert SOURCES.names() == ours


SOURCE_OF = {
    "tab": "csv",
    "semicolon": "csv",
    "polars": "frames",
    "lazy": "frames",
    "rows": "frames",
    "columns": "frames",
}


def module_of(writer: str) -> Any:
    return SOURCES.load_module(SOURCE_OF.get(writer, writer))


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_source_passes(check: checks.Check, writer: str, tmp_path: Path) -> None:
    run_checks([check], "source", writer, module_of(writer), WRITERS[writer], ROWS, tmp_path)


def test_check_source_runs_them_all() -> None:
    assert checks.check_source(module_of("parquet"), write_parquet) == len(checks.CHECKS)
    with pytest.raises(AssertionError, match="The source 'csv' breaks check_rows_and_order_are_kept"):
        checks.check_source(module_of("csv"), lambda r, f: write_csv(r.reverse(), f))


def _shouts(rows: pl.DataFrame, folder: Path) -> Path:
    return write_csv(rows.with_columns(pl.col("w").str.to_uppercase()), folder)


def _draws(rows: pl.DataFrame, folder: Path) -> Path:
    path = write_csv(rows, folder)
    draw = random.Random()

    class Moody(type(path)):  # type: ignore[misc]
        """A file that is written anew each time it is looked at."""

        @property
        def suffix(self) -> str:
            write_csv(rows.with_columns(n=pl.lit(draw.random())), folder)
            return ".csv"

    return Moody(path)


class _Greedy:
    SUFFIXES = (".csv",)

    @staticmethod
    def recognize(source: Any, /) -> Confidence:
        return Confidence.CERTAIN


BROKEN: list[tuple[checks.Check, Any, checks.Write, str]] = [
    (checks.check_only_its_own_is_recognized, _Greedy, write_csv, "it claims to read None"),
    (checks.check_only_its_own_is_recognized, None, write_parquet, "does not recognize what it reads"),
    (checks.check_rows_and_order_are_kept, None, lambda r, f: write_csv(r.head(19), f), "19 rows"),
    (checks.check_rows_and_order_are_kept, None, lambda r, f: write_csv(r.reverse(), f), "the values of 'n' changed"),
    (checks.check_rows_and_order_are_kept, None, _shouts, "the values of 'w' changed"),
    (checks.check_reading_twice_gives_the_same, None, _draws, "the second reading gave other rows"),
]


@pytest.mark.parametrize(("check", "module", "write", "found"), BROKEN)
def test_a_check_catches_a_source_that_breaks_it(
    check: checks.Check, module: Any, write: checks.Write, found: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=f"{check.__name__}.*{found}"):
        run_checks([check], "source", "broken", module or module_of("csv"), write, ROWS, tmp_path)


def test_every_check_of_sources_is_shown_to_catch_something() -> None:
    assert {check for check, *_ in BROKEN} == set(checks.CHECKS)


def test_what_is_read_although_it_is_none_is_caught() -> None:
    with pytest.raises(AssertionError, match="was read"):
        checks.check_refuses_in_words(ROWS)


def test_pandas_arrow_and_numpy(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    checks.check_rows_and_order_are_kept(module_of("frames"), lambda r, f: r.to_pandas(), ROWS, tmp_path)
    checks.check_rows_and_order_are_kept(module_of("frames"), lambda r, f: r.to_arrow(), ROWS, tmp_path)
    assert collect(scan(ROWS.select("k", "y").to_numpy())).columns == ["0", "1"]
    assert collect(scan(ROWS.select("k", "y").to_numpy(structured=True))).columns == ["k", "y"]


def test_hugging_face_datasets_and_arrow_streams(tmp_path: Path) -> None:
    class Stream:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return ROWS.__arrow_c_stream__(requested_schema)

    checks.check_rows_and_order_are_kept(module_of("frames"), lambda r, f: Stream(), ROWS, tmp_path)
    datasets = pytest.importorskip("datasets")
    import dill  # which it imports, and which makes every pickle of this process hold classes of scripts by value

    dill.extend(use_dill=False)
    table = datasets.Dataset.from_dict(ROWS.to_dict(as_series=False))
    checks.check_rows_and_order_are_kept(module_of("frames"), lambda r, f: table, ROWS, tmp_path)
    order = np.random.default_rng(0).permutation(len(ROWS)).tolist()
    assert collect(scan(table.select(order).with_format("numpy"))).rows() == ROWS[order].rows()
    for unlike in (datasets.DatasetDict({"train": table}), table.to_iterable_dataset()):
        checks.check_refuses_in_words(unlike)


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
        assert sum(b.height for b in clean_in_batches(labelled, rows=3)) == labelled.rows
        assert sum(labelled.class_counts.values()) == labelled.rows


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcxyz"), min_size=1, max_size=30))
def test_codes_never_change(values: list[str]) -> None:
    rows = pl.DataFrame({"n": [1.0] * len(values), "c": values, "b": [True] * len(values), "y": ["no"] * len(values)})
    grown = compare_with_contract(CONTRACT, rows.lazy()).contract
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
    was, now = (profile_columns(f.lazy(), CONTRACT) for f in (old, new))
    moved = compare_profiles(was, now)
    assert moved[0].column == "n"
    assert moved[0].psi > 1
    assert moved[0].ks == pytest.approx(0.6, abs=0.02)
    assert moved[0].mean == pytest.approx(60 / 28.87, rel=0.01)
    assert all(abs(m.psi) < 1e-9 for m in compare_profiles(was, was))

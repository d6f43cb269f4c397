"""What is read from a text file equals what was written, in every dialect, or the file is refused with a reason."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evermodel.core.contracts.differences import compare_with_contract
from evermodel.core.contracts.inference import learn_contract
from evermodel.core.data.cleaning import clean
from evermodel.core.data.scan import collect, scan
from evermodel.core.data.target_column import class_code, fold_label
from evermodel.core.errors import BadData, ContractBroken
from evermodel.core.model.transform import category_codes
from evermodel.core.records.column_roles import Roles

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ROWS = pl.DataFrame({"größe": [1.5, -2.25, 3.0, 4.125], "n": [1, 20, 300, 4000], "w": ["a b", "é", "x", "zz"]})


def read(path: Path) -> pl.DataFrame:
    return collect(scan(path))


@SETTINGS
@given(
    separator=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    quote=st.sampled_from(["", '"', "'"]),
    before=st.sampled_from(["", "sep", "# made by lab 3\n", "# one\n# two\n"]),
    blanks=st.booleans(),
)
def test_a_table_is_read_as_it_was_written_in_any_dialect(
    tmp_path, separator, end, encoding, quote, before, blanks
) -> None:
    text = ROWS.write_csv(separator=separator)
    lines = [line.split(separator) for line in text.splitlines()]
    if blanks and not quote:
        lines[0] = [f" {name} " for name in lines[0]]
    text = "\n".join(separator.join(f"{quote}{value}{quote}" for value in line) for line in lines) + "\n"
    first = f"sep={separator}\n" if before == "sep" else before
    at = tmp_path / f"{abs(hash((separator, end, encoding, quote, before, blanks)))}.csv"
    at.write_bytes((first + text).replace("\n", end).encode(encoding))
    assert read(at).equals(ROWS)


@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zst", ".json", ".xlsx", ".jsonl.gz"])
def test_packed_and_other_files_hold_the_same_rows(tmp_path, suffix) -> None:
    at, text = tmp_path / f"rows{suffix}", ROWS.write_csv().encode()
    if suffix == ".json":
        at.write_text(json.dumps(ROWS.to_dicts()))
    elif suffix == ".xlsx":
        pytest.importorskip("fastexcel", reason='needs pip install "evermodel[files]"')
        openpyxl = pytest.importorskip("openpyxl")
        book = openpyxl.Workbook()
        for row in [ROWS.columns, *ROWS.rows()]:
            book.active.append(list(row))
        book.save(at)
    elif suffix == ".csv.zst":
        zstandard = pytest.importorskip("zstandard", reason='needs pip install "evermodel[files]"')
        at.write_bytes(zstandard.compress(text))
    else:
        pack = {".gz": gzip, ".bz2": bz2, ".xz": lzma}[at.suffix].compress
        at.write_bytes(pack(ROWS.write_ndjson().encode() if suffix.startswith(".jsonl") else text))
    found = read(at)
    assert found.cast({"n": pl.Int64}).equals(ROWS)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("cut.csv.gz", gzip.compress(b"a,b\n1,2\n" * 1000, mtime=0)[:-20], "cannot be unpacked"),
        ("numbers.csv", b"1.5,2.5,3\n1.25,2,3\n", "no names of columns"),
        ("twice.csv", b"a,b\n1,2\n3,4\na,b\n5,6\n", "Line 4 of .*twice.csv repeats the header"),
        ("items.json", b'[{"a": 1}, 2]', "Item 2"),
        ("no.xlsx", b"PK\x03\x04" + bytes(40), "cannot be read as a workbook"),
        ("latin.csv", "a,é\n1,2\n".encode("latin-1"), "iconv"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path, name, data, words) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadData, match=words):
        read(tmp_path / name)


FORMS = {  # form -> whether the day can be told from the month
    "%Y-%m-%d %H:%M:%S": True,
    "%Y-%m-%dT%H:%M:%SZ": True,
    "%Y-%m-%dT%H:%M:%S+0000": True,
    "%d.%m.%Y %H:%M:%S": True,
    "%b %d %Y %H:%M:%S": True,
    "%d-%b-%Y %I:%M:%S %p": True,
    "%A, %d %B %Y %H:%M:%S UTC": True,
    "%B %d, %Y %H:%M:%S": True,
    "%m/%d/%Y %H:%M:%S": False,
    "%d/%m/%Y %I:%M:%S %p": False,
}
MOMENTS = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2069, 12, 31)).map(lambda m: m.replace(microsecond=0))


@SETTINGS
@given(st.sampled_from(sorted(FORMS)), st.lists(MOMENTS, min_size=4, max_size=12))
def test_moments_are_read_as_they_were_written_or_refused(tmp_path, form, moments) -> None:
    n = len(moments)
    frame = pl.DataFrame({"at": [m.strftime(form) for m in moments], "a": range(n), "y": np.arange(n) / 2})
    contract = learn_contract(frame.lazy(), Roles("y", time="at", inputs=("a",)), task="regression")
    told = FORMS[form] or any(m.day > 12 for m in moments)
    if not told:
        with pytest.raises(BadData, match="month or the day first"):
            clean(frame.lazy(), contract, labelled=True)
        return
    cleaned = clean(frame.lazy(), contract, labelled=True).collect()
    assert cleaned.frame["at"].to_list() == sorted(moments)


@pytest.mark.parametrize("word", ["monday", "2024-12-31 23:59 CET", "week one", "31|12|24"])
def test_words_are_no_clock(word) -> None:
    frame = pl.DataFrame({"at": [word] * 5, "a": range(5), "y": [0.5, 1.5, 2.0, 3.0, 1.0]}).lazy()
    contract = learn_contract(frame, Roles("y", time="at", inputs=("a",)), task="regression")
    with pytest.raises(BadData, match="form that cannot be told"):
        clean(frame, contract, labelled=True)


NUMBERS = st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 2)), min_size=3, max_size=20)


def german(value: float) -> str:
    return f"{value:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".")


@SETTINGS
@given(NUMBERS, st.lists(st.integers(0, 10**6), min_size=20, max_size=20))
def test_signs_of_numbers_are_decided_once_a_file(tmp_path, values, wholes) -> None:
    """1.234 alone could be either; beside a column of 1,5 it is 1234, and beside one of 1.5 it is 1.234."""
    frame = pl.DataFrame({"v": values, "n": wholes[: len(values)]})
    comma = tmp_path / f"comma{abs(hash((tuple(values), tuple(wholes))))}.csv"
    frame.select(
        v=pl.Series(map(german, values)), n=pl.Series([f"{n:,}".replace(",", ".") for n in frame["n"]])
    ).write_csv(comma, separator=";")
    found = read(comma)
    assert found["v"].to_list() == values
    assert found["n"].cast(pl.Float64).to_list() == [float(n) for n in frame["n"]]


def test_a_point_stays_a_point_beside_points(tmp_path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1.5,1.234\n2.25,5.678\n")
    assert read(tmp_path / "x.csv").rows() == [(1.5, 1.234), (2.25, 5.678)]


LABELS = st.lists(st.sampled_from(["yes", "no", "may be", "größer", "Ja", "3"]), min_size=2, max_size=5, unique=True)


@SETTINGS
@given(LABELS, st.data())
def test_a_spelling_is_never_another_class(classes, data) -> None:
    spell = st.sampled_from([str.upper, str.title, lambda s: f" {s} ", lambda s: s.replace(" ", "   "), str])
    written = [(i, data.draw(spell)(c)) for i, c in enumerate(classes) for _ in range(3)]
    if len({fold_label(c) for c in classes}) < len(classes):
        return
    written = [(i, w) for i, w in written if fold_label(w) == fold_label(classes[i])]  # ß has no capital
    texts = pl.DataFrame({"y": [w for _, w in written]})
    codes = texts.select(class_code(pl.col("y"), pl.String(), tuple(classes))).to_series().to_list()
    assert codes == [i for i, _ in written]


@pytest.mark.parametrize("classes", [(0, 1), (False, True), ("no", "yes"), ("N", "Y")])
@pytest.mark.parametrize(
    "written", [[0, 1], [0.0, 1.0], [False, True], ["0", "1.0"], ["false", "TRUE"], ["No", "yes "], ["n", "Y"]]
)
def test_truth_has_one_meaning_however_it_is_written(classes, written) -> None:
    column = pl.Series("y", written)
    found = pl.DataFrame({"y": column}).select(class_code(pl.col("y"), column.dtype, classes)).to_series()
    assert found.to_list() == [0, 1]


def test_a_spelling_in_the_reference_rows_is_no_class(tmp_path) -> None:
    rows = pl.DataFrame({"a": np.arange(12.0), "y": ["Yes", "no", "yes", "Yes", "NO", "no"] * 2})
    contract = learn_contract(rows.lazy(), Roles("y"))
    assert contract.classes == ("Yes", "no")
    new = rows.with_columns(y=pl.lit("YES"))
    assert not [d for d in compare_with_contract(contract, new.lazy()).found if d.kind == "classes"]
    other = rows.with_columns(y=pl.lit("maybe"))
    assert [d.action for d in compare_with_contract(contract, other.lazy()).found if d.kind == "classes"] == ["refuse"]


@pytest.mark.parametrize(
    "last",
    [("Total", None, 60.0), (None, None, 60.0), ("SUMME:", 6.0, 60.0)],
    ids=["says so in a column of numbers", "is the sum and nothing else", "says so in German"],
)
def test_a_row_of_totals_is_seen(last) -> None:
    rows = pl.DataFrame({"a": [1.0, 2.0, 3.0, 0.0, 0.0, 0.0], "b": 1.0, "y": [5.0, 10.0, 15.0, 10.0, 10.0, 10.0]})
    contract = learn_contract(rows.lazy(), Roles("y"), task="regression")
    texts = rows.cast({"a": pl.String})
    total = pl.DataFrame([last], schema=texts.schema, orient="row")
    with pytest.raises(ContractBroken, match="Row 7 is a row of totals"):
        compare_with_contract(contract, pl.concat([texts, total]).lazy()).refuse()
    compare_with_contract(contract, texts.lazy()).refuse()


CATEGORIES = st.lists(
    st.one_of(
        st.text(st.characters(categories=["L", "Nd", "Pd"]), min_size=1, max_size=6).map(lambda s: f"c{s}"),
        st.integers(0, 99_999).map(lambda n: f"{n:05d}"),
    ),
    min_size=2,
    max_size=8,
    unique=True,
)


@settings(SETTINGS, max_examples=25)
@given(CATEGORIES, st.randoms(use_true_random=False), st.booleans())
def test_categories_keep_their_codes_whatever_the_next_file_holds(tmp_path, names, random, padded) -> None:
    """Codes are of the contract: fewer categories, another order, blanks around them or new ones change none."""
    names = ["word", *names]
    rows = [name for name in names for _ in range(6)]
    random.shuffle(rows)
    contract = learn_contract(written(tmp_path, rows), Roles("y", inputs=("c", "a")), task="regression")
    assert contract.column("c").categories == tuple(sorted(names))
    some = [random.choice(names) for _ in range(5)] + ["c unseen"]
    new = written(tmp_path, [f" {name} " if padded else name for name in some])
    cleaned = clean(new, contract, labelled=True).collect().frame
    codes = category_codes(cleaned["c"], contract.column("c").categories)
    assert codes.tolist() == [*(sorted(names).index(name) for name in some[:-1]), -1]


def written(folder: Path, values: list[str]) -> pl.LazyFrame:
    at = folder / f"{abs(hash(tuple(values)))}.csv"
    n = len(values)
    pl.DataFrame({"c": values, "a": np.arange(n) / 4, "y": np.arange(n) / 2}).write_csv(at)
    return scan(at)

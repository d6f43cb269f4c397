"""What a user states of a text table is followed, or refused where the table contradicts it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evermodel.cli.app import app
from evermodel.core.data.scan import collect, scan
from evermodel.core.data.source import STATED_DIALECT
from evermodel.core.errors import BadData, BadSetting

SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(path: Path, **stated: str) -> dict[str, list[Any]]:
    token = STATED_DIALECT.set(stated)
    try:
        return collect(scan(path)).to_dict(as_series=False)
    finally:
        STATED_DIALECT.reset(token)


@pytest.mark.parametrize(
    ("data", "stated", "found"),
    [
        (b"1,2.5,x\n3,4.5,y\n", {"header": "a,b,c"}, {"a": [1, 3], "b": [2.5, 4.5], "c": ["x", "y"]}),
        (b"1,2.5,x\n3,4.5,y\n", {"header": "none"}, {"0": [1, 3], "1": [2.5, 4.5], "2": ["x", "y"]}),
        (b"1,2\n1,2\n3,4\n", {"header": "a,b"}, {"a": [1, 1, 3], "b": [2, 2, 4]}),
        (b"x,y\nz,w\n", {"header": '"a, b",c'}, {"a, b": ["x", "z"], "c": ["y", "w"]}),
        (b"# lab 3\n1 2\n3 4\n", {"header": "a,b"}, {"a": [1, 3], "b": [2, 4]}),
        (b"7\n8\n", {"header": "a"}, {"a": [7, 8]}),
        (b"a^b\n1^5\n2^6\n", {"separator": "^"}, {"a": [1, 2], "b": [5, 6]}),
        (b"a\tb;c\n1\t2;3\n", {"separator": "tab"}, {"a": [1], "b;c": ["2;3"]}),
        (b"a;b\n1,234;5\n2,345;6\n", {"decimal": ","}, {"a": [1.234, 2.345], "b": [5, 6]}),
        (b"a;b\n1,234;5\n2,345;6\n", {"decimal": "."}, {"a": [1234.0, 2345.0], "b": [5, 6]}),
        (b"a;b\n1.234;5\n2.345;6\n", {"decimal": ","}, {"a": [1234.0, 2345.0], "b": [5, 6]}),
        (b"a;b\n1,25;5\n2,5;6\n", {"decimal": "."}, {"a": ["1,25", "2,5"], "b": [5, 6]}),
        ("a,b\n1,größe\n".encode("cp1252"), {"encoding": "windows-1252"}, {"a": [1], "b": ["größe"]}),
        ("a,b\n1,日本\n".encode("shift_jis"), {"encoding": "shift_jis"}, {"a": [1], "b": ["日本"]}),
    ],
)
def test_what_is_stated_is_followed(tmp_path, data, stated, found) -> None:
    (tmp_path / "x.csv").write_bytes(data)
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(data))
    assert read(tmp_path / "x.csv", **stated) == found
    assert read(tmp_path / "x.csv.gz", **stated) == found


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"header": "a,b"}, "names 2 columns, and the first line of .* has 3 values"),
        ({"header": "A,b,C"}, "is its header already"),
        ({"header": "a,,c"}, "each column once"),
        ({"header": "a,a,c"}, "each column once"),
        ({"separator": "ab"}, "one sign"),
        ({"separator": "a"}, "one sign"),
        ({"decimal": "x"}, "one of"),
        ({"encoding": "klingon"}, "name of an encoding"),
        ({"encoding": "base64"}, "name of an encoding"),
    ],
)
def test_what_the_table_contradicts_is_refused(tmp_path, stated, words) -> None:
    (tmp_path / "x.csv").write_text("a,B,c\n1,2,3\n")
    with pytest.raises(BadSetting, match=words):
        read(tmp_path / "x.csv", **stated)


def test_a_wrong_encoding_and_a_file_that_is_no_text_table_are_refused(tmp_path) -> None:
    (tmp_path / "x.csv").write_bytes("a,é\n1,2\n".encode("latin-1"))
    with pytest.raises(BadData, match=r"not whole UTF-8 text|is not UTF-8"):
        read(tmp_path / "x.csv", encoding="utf-8")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(BadSetting, match="how a text table is written"):
        read(tmp_path / "x.parquet", header="none")
    assert read(pl.DataFrame({"a": [1]}), header="none") == {"a": [1]}  # type: ignore[arg-type]


def test_comments_below_the_header_are_comments_where_some_stand_above_it(tmp_path) -> None:
    (tmp_path / "x.csv").write_text("# lab 3\na,b\n1,2\n# moved, to lab 4\n3,4\n")
    assert read(tmp_path / "x.csv") == {"a": [1, 3], "b": [2, 4]}


NAMES = st.lists(st.text(st.characters(categories=["L"]), min_size=1, max_size=6), min_size=2, max_size=5, unique=True)


@SETTINGS
@given(NAMES, st.sampled_from([";", "|", "\t", "^", "~"]), st.sampled_from([".", ","]), st.data())
def test_a_headerless_table_is_read_as_it_was_written(tmp_path, names, separator, decimal, data) -> None:
    cells = st.floats(-1e6, 1e6).map(lambda v: round(v, 3))
    rows = data.draw(st.lists(st.lists(cells, min_size=len(names), max_size=len(names)), min_size=1, max_size=6))
    text = "".join(separator.join(repr(v).replace(".", decimal) for v in row) + "\n" for row in rows)
    at = tmp_path / f"{abs(hash(text))}.csv"
    at.write_text(text)
    found = read(at, header=",".join(names), separator=separator, decimal=decimal)
    assert list(found) == names
    assert [[float(v) for v in row] for row in zip(*found.values(), strict=True)] == rows


def test_the_options_of_a_command_reach_the_reader_and_end_with_it(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    lightgbm = pytest.importorskip("lightgbm")
    rows = pl.DataFrame({"a": [i / 8 for i in range(400)], "b": [(i * 37) % 100 / 8 for i in range(400)]})
    y = rows["a"] * 2 - rows["b"]
    data = lightgbm.Dataset(rows.to_numpy(), y.to_numpy())
    lightgbm.train({"objective": "regression", "verbose": -1}, data, 60).save_model("m.txt")
    lines = rows.with_columns(y=y).write_csv(include_header=False, separator=";").replace(".", ",")
    Path("rows.csv").write_text(lines)
    run = CliRunner().invoke
    options = ["rows.csv", "--header", "a,b,y", "--sep", ";", "--decimal", ","]
    adopted = run(app, ["adopt", "m.txt", "--data", *options, "--target", "y", "--registry", "h"])
    assert adopted.exit_code == 0, adopted.output
    evaluated = run(app, ["evaluate", "m", *options, "--registry", "h", "--json"])
    assert evaluated.exit_code == 0, evaluated.output
    kept = run(app, ["evaluate", "m", "rows.csv", "--registry", "h", "--json"])  # as its reference rows were written
    assert kept.exit_code == 0, kept.output
    assert json.loads(kept.output)["scores"] == json.loads(evaluated.output)["scores"]
    rows.with_columns(y=y).write_parquet("rows.parquet")
    plain = ["adopt", "m.txt", "--data", "rows.parquet", "--name", "plain", "--target", "y", "--registry", "h"]
    assert run(app, plain).exit_code == 0
    without = run(app, ["evaluate", "plain", "rows.csv", "--registry", "h"])
    assert without.exit_code == 2
    assert "--header A,B,C" in without.output

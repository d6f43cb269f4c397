"""No cell of a CSV file that is written for people is a formula, and no number is changed."""

from __future__ import annotations

import polars as pl
import pytest

import evermodel
from evermodel.core.data.text_tables.safe_csv import write_csv
from tests.cli.ground import make_ground
from tests.updating.conftest import rows

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "\r=1", '=HYPERLINK("http://x")']
HARMLESS = ["-1", "+1.5", "-.5", "-1e5", "-3.", "a=b", "", "name", "1-2"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_text(tmp_path, text):
    write_csv(pl.DataFrame({"a": [text], "n": [-1.5]}), tmp_path / "a.csv")
    read = pl.read_csv(tmp_path / "a.csv", infer_schema=False)
    assert read["a"][0] == f"'{text}" and read["n"][0] == "-1.5"


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_formula_stays(tmp_path, text):
    write_csv(pl.DataFrame({"a": [text]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() in (f"a\n{text}\n", f'a\n"{text}"\n')


def test_names_of_columns_too(tmp_path):
    write_csv(pl.DataFrame({"=x": [1], "y": [None]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == "'=x,y"


def test_predicted_classes_are_no_formulas(tmp_path):
    ground = make_ground(tmp_path)
    evil = rows(600, 2).with_columns(y=pl.when(pl.col("y") == 1).then(pl.lit("=EVIL()")).otherwise(pl.lit("no")))
    evil.write_csv(tmp_path / "evil.csv")
    evermodel.adopt(
        str(ground.model),
        data=str(tmp_path / "evil.csv"),
        target="y",
        time="when",
        name="e",
        classes=("no", "=EVIL()"),
        registry=ground.registry,
    )
    new = rows(50, 9).drop("y")
    evermodel.predict_file("e", new, to=tmp_path / "p.csv", registry=ground.registry)
    evermodel.predict_file("e", new, to=tmp_path / "p.parquet", registry=ground.registry)
    assert "'=EVIL()" in set(pl.read_csv(tmp_path / "p.csv")["prediction"])
    assert "=EVIL()" in set(pl.read_parquet(tmp_path / "p.parquet")["prediction"])

"""How text tables are written is stated once, at adoption or in the policy, and followed with nobody looking."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

import evermodel as em
from evermodel.cli.app import app
from evermodel.core.errors import BadSetting
from evermodel.core.records.model_signature import TableDialect

lightgbm = pytest.importorskip("lightgbm")
NAMES = ("größe", "b", "c", "y")
STATED = ["--header", ",".join(NAMES), "--sep", "^", "--decimal", ",", "--encoding", "windows-1252"]


def rows(n: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    size, b = random.normal(size=n).round(3), random.normal(size=n).round(3)
    c = random.choice(["weiß", "grün"], n)
    y = (size - b + (c == "grün") + random.normal(0, 0.3, n)).round(3)
    return pl.DataFrame({"größe": size, "b": b, "c": c, "y": y})


def write(frame: pl.DataFrame, to: Path, *, header: bool = False) -> Path:
    """As the program that delivers the rows writes them."""
    text = frame.with_columns(pl.selectors.float().cast(pl.String).str.replace(".", ",", literal=True))
    to.write_bytes(text.write_csv(separator="^", include_header=header).encode("windows-1252"))
    return to


@pytest.fixture
def place(tmp_path: Path) -> Path:
    frame = rows(800, 1)
    x = frame.with_columns(c=(pl.col("c") == "weiß").cast(pl.Float64)).select("größe", "b", "c").to_numpy()
    data = lightgbm.Dataset(x, frame["y"].to_numpy())
    settings = {"objective": "regression", "verbose": -1, "num_leaves": 15}
    lightgbm.train(settings, data, 40).save_model(tmp_path / "m.txt")
    (tmp_path / "incoming").mkdir()
    return tmp_path


@pytest.fixture
def adopted(place: Path) -> Any:
    """The model, adopted on the command line from a table without a header."""
    write(rows(800, 1), place / "reference.csv")
    command = ["adopt", str(place / "m.txt"), "--data", str(place / "reference.csv"), "--target", "y", *STATED]
    done = CliRunner().invoke(app, [*command, "--registry", str(place / "registry")])
    assert done.exit_code == 0, done.output
    return em.open(place / "registry")["m"]


def maintain(model: Any, days: int = 0) -> str:
    """What the jobs say that are due in some days from now."""
    at = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    result = em.maintain("m", registry=model.location, clock=lambda: at)
    return " ".join(note for job in result.jobs for note in job.notes)


def test_what_was_stated_at_adoption_is_shown_and_followed(adopted: Any, place: Path) -> None:
    signature = adopted.champion.card.signature
    assert signature.row_format.dialect == TableDialect("größe,b,c,y", "^", ",", "windows-1252")
    shown = {row["what"]: row["value"] for row in em.show("m", "v1", registry=adopted.location).rows}
    assert shown["text tables"] == "header größe,b,c,y, separator ^, decimal ,, encoding windows-1252"
    new = rows(600, 2)
    expected = adopted.predict(new)["prediction"].to_list()
    assert adopted.predict(write(new, place / "new.csv"))["prediction"].to_list() == expected
    turned = write(new.select("y", "c", "b", "größe"), place / "turned.csv", header=True)  # it has a header of its own
    assert adopted.predict(turned)["prediction"].to_list() == expected
    new.write_parquet(place / "new.parquet")
    assert adopted.predict(place / "new.parquet")["prediction"].to_list() == expected
    assert adopted.update(place / "new.csv", policy="refresh").decision == "promote"
    assert adopted.champion.card.signature == signature


def test_deliveries_are_read_as_the_reference_rows_were(adopted: Any, place: Path) -> None:
    adopted.policy({"data": str(place / "incoming")})
    write(rows(300, 3), place / "incoming" / "1.csv")
    write(rows(200, 4).select("b", "y", "größe", "c"), place / "incoming" / "2.csv", header=True)
    rows(100, 5).write_parquet(place / "incoming" / "3.parquet")
    said = maintain(adopted)
    for count in (300, 200, 100):
        assert f"took {count} rows" in said, said
    assert "refused" not in said


def test_a_delivery_that_is_written_otherwise_is_refused_and_named(adopted: Any, place: Path) -> None:
    adopted.policy({"data": str(place / "incoming")})
    odd = rows(300, 3).rename(dict(zip(NAMES, ("size", "weight", "colour", "price"), strict=True)))
    write(odd, place / "incoming" / "1.csv", header=True)
    write(rows(300, 3).select("größe", "b", "c"), place / "incoming" / "2.csv")
    said = maintain(adopted)
    assert "took" not in said
    assert "1.csv holds words (size, weight, colour, price) above numbers" in said
    assert "names 4 columns, and the first line of" in said


def test_a_policy_says_it_of_a_model_adopted_from_a_frame(place: Path) -> None:
    model = em.open(place / "registry").adopt(place / "m.txt", data=rows(800, 1), target="y", name="m")
    dialect = {"header": ",".join(NAMES), "separator": "^", "decimal": ",", "encoding": "windows-1252"}
    write(rows(300, 3), place / "incoming" / "1.csv")
    model.policy({"data": str(place / "incoming")})
    assert "refused" in maintain(model)
    assert dataclasses.asdict(model.policy(dialect).policy)["separator"] == "^"
    write(rows(310, 4), place / "incoming" / "2.csv")
    said = maintain(model, days=2)
    assert "took 310 rows" in said and "2.csv" in said, said
    with pytest.raises(BadSetting, match="one sign between the values"):
        model.policy({"separator": "ab"})
    with pytest.raises(BadSetting, match="must be one of"):
        model.policy({"decimal": "x"})
    with pytest.raises(BadSetting, match="name of an encoding"):
        model.policy({"encoding": "klingon"})


def test_a_statement_of_one_command_comes_first(adopted: Any, place: Path) -> None:
    frame = rows(50, 6)
    frame.write_csv(place / "usual.csv")
    command = ["evaluate", "m", str(place / "usual.csv"), "--registry", str(place / "registry"), "--json"]
    assert CliRunner().invoke(app, command).exit_code == 2  # no ^ in it
    stated = ["--sep", ",", "--decimal", ".", "--encoding", "utf-8"]
    done = CliRunner().invoke(app, [*command, *stated])
    assert done.exit_code == 0, done.output
    assert '"rows": 50' in done.output

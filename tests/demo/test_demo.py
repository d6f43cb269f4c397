"""The demonstration: what is shipped, what it writes, and that its three ways start from the same model."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import evermodel as em
from evermodel.core.errors import NotFound
from evermodel.demo.demo import BlockScores, StreamResult, demo
from evermodel.demo.page import render_page
from evermodel.demo.streams import DATA, STREAMS
from evermodel.demo.textbook import RECIPES, OneHot


def test_what_is_shipped_is_small_and_attributed():
    files = [file for file in DATA.iterdir() if file.name != "SOURCES.md"]
    sources = (DATA / "SOURCES.md").read_text()
    assert len(files) == 6
    assert sum(file.stat().st_size for file in files) < 3_200_000
    for file in files:
        assert f"`{file.name}`" in sources or "_existing_model." in file.name
    assert "CC BY 4.0" in sources


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_has_a_label_for_each_block_and_a_model(name):
    stream = STREAMS[name]()
    assert len(stream.labels) == len(stream.blocks) == 7
    assert all(block.height >= 150 and block.columns == stream.blocks[0].columns for block in stream.blocks)
    assert all(block[stream.target].null_count() == 0 for block in stream.blocks)
    assert stream.shipped_model.exists()


@pytest.mark.parametrize("name", STREAMS)
def test_all_ways_start_from_the_same_model(name, tmp_path):
    """Before any update the textbook's model scores what the adopted one scores: scaler and codes were found."""
    stream = STREAMS[name]()
    model = em.open(tmp_path).adopt(
        stream.shipped_model,
        data=stream.blocks[0],
        target=stream.target,
        name=name,
        time=stream.time,
        shuffled=stream.shuffled,
    )
    textbook = RECIPES[name](stream)
    adopted = model.evaluate(stream.blocks[1]).scores[stream.metric]
    assert adopted == pytest.approx(textbook.score(stream.blocks[1]), abs=0.01)


def test_the_bike_stream_from_end_to_end(tmp_path):
    lines = []
    result = demo("bike", to=tmp_path, say=lines.append)
    (stream,) = result.streams
    assert [block.block for block in stream.blocks] == list(STREAMS["bike"]().labels[2:])
    assert stream.mean("evermodel") > stream.mean("never_updated") + 0.05
    assert len(lines) == 1 + len(stream.blocks)
    assert result.lines()[-1].endswith(str(tmp_path / "index.html"))
    assert (tmp_path / "bike" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "bike" / "updated_model.txt").exists()
    page = (tmp_path / "index.html").read_text()
    links = re.findall(r'href="([^"]+)"', page)
    assert links == ["bike/report.html"]
    assert f"{stream.mean('evermodel'):.3f}" in page
    registry = next(Path(file) for file in stream.files if "registry-" in file)
    assert em.open(registry)["bike"].champion.name != "v1"


def test_files_only_writes_what_a_user_would_have(tmp_path):
    result = demo("bike", to=tmp_path, files_only=True)
    assert not result.streams
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["existing_model.txt", *(f"new_{n}.csv" for n in range(1, 7)), "reference.csv"]


def test_all_streams_get_folders_of_their_own(tmp_path):
    demo(to=tmp_path, files_only=True)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["bank", "bike", "gas"]


def test_an_unknown_stream_is_named(tmp_path):
    with pytest.raises(NotFound, match="gas"):
        demo("gsa", to=tmp_path)


def test_a_page_escapes_what_it_shows():
    block = BlockScores("<b>", "promote", 0.5, 0.6, 0.7)
    result = StreamResult("gas", "<script>", "source", "AUC", "recipe", (block, block), ("report.html",), 1.0)
    page = render_page([result])
    assert "<script>" not in page
    assert "&lt;b&gt;" in page
    assert page.count("<circle") == 6


def test_one_hot_keeps_the_columns_order_and_knows_no_new_category():
    import polars as pl

    encoder = OneHot(pl.DataFrame({"a": [1, 2], "kind": ["y", "x"], "z": [True, False]}))
    encoded = encoder.encode(pl.DataFrame({"a": [3], "kind": ["new"], "z": [True]}))
    assert np.array_equal(encoded, [[3.0, 0.0, 0.0, 1.0]])


def test_the_demonstration_of_serving_goes_round(tmp_path, capsys):
    """A real server, real clients on loopback: maintenance makes v2 from what was logged, and labels put it in."""
    from scripts.serve_demo import main

    main(str(tmp_path))
    said = capsys.readouterr().out
    assert "v2 is better than v1, as a canary" in said
    assert "v2 serves now" in said
    last = [line for line in said.splitlines() if "months 24-30" in line]
    assert len(last) == 1 and "v2 answered 470 rows" in last[0]

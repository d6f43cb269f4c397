"""Folders of rows: files of one kind, partitions, Delta tables; pictures by class and their bursts."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from evermodel.core.data.scan import collect, has_order, scan
from evermodel.core.errors import BadData, MissingExtra


def write(at: Path, **columns: list[object]) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame(columns)
    frame.write_csv(at) if at.suffix == ".csv" else frame.write_parquet(at)


def read(at: Path) -> dict[str, list[object]]:
    return collect(scan(at)).to_dict(as_series=False)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_files_of_a_folder_are_one_table_in_the_order_of_their_names(tmp_path, suffix) -> None:
    for part, a in ((10, [3]), (9, [2]), (1, [1, 1])):
        write(tmp_path / f"part-{part}{suffix}", a=a, y=["x"] * len(a))
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".hidden").write_text("no rows")
    assert read(tmp_path) == {"a": [1, 1, 2, 3], "y": ["x", "x", "x", "x"]}
    assert has_order(tmp_path)


def test_partitions_are_columns_of_their_own_type(tmp_path) -> None:
    write(tmp_path / "year=2023" / "city=Bad%20Ems" / "0.parquet", a=[1, 2])
    write(tmp_path / "year=2024" / "city=Ulm" / "0.parquet", a=[3])
    write(tmp_path / "year=2024" / "city=__HIVE_DEFAULT_PARTITION__" / "0.parquet", a=[4])
    found = collect(scan(tmp_path)).sort("a")
    assert found.to_dict(as_series=False) == {
        "a": [1, 2, 3, 4],
        "year": [2023, 2023, 2024, 2024],
        "city": ["Bad Ems", "Bad Ems", "Ulm", None],
    }


def test_whole_numbers_beside_others_are_numbers(tmp_path) -> None:
    write(tmp_path / "1.csv", a=[1, 2])
    write(tmp_path / "2.csv", a=[2.5])
    assert read(tmp_path) == {"a": [1.0, 2.0, 2.5]}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("1.csv", "2.parquet"), "several kinds: '.csv', '.parquet'"),
        (("a=1/1.csv", "2.csv"), "does not lie in partitions|as .* does"),
        (("1.sas7bdat",), "suffix '.sas7bdat', which no source reads"),
    ],
)
def test_what_is_no_one_table_is_refused(tmp_path, files, words) -> None:
    for name in files:
        at = tmp_path / name
        write(at, a=[1]) if at.suffix != ".sas7bdat" else at.write_text("x")
    with pytest.raises(BadData, match=words):
        read(tmp_path)


def test_a_file_with_other_columns_is_named(tmp_path) -> None:
    write(tmp_path / "1.csv", a=[1], b=[1])
    write(tmp_path / "2.csv", a=[1])
    with pytest.raises(BadData, match=r"2.csv lacks the column 'b', unlike .*1.csv"):
        read(tmp_path)
    write(tmp_path / "2.csv", a=[1], b=[1], c=[1])
    with pytest.raises(BadData, match=r"2.csv has a column 'c'"):
        read(tmp_path)


def test_a_delta_table_is_its_newest_version_or_is_refused(tmp_path) -> None:
    (tmp_path / "plain" / "_delta_log").mkdir(parents=True)
    write(tmp_path / "plain" / "0.parquet", a=[1])
    try:
        import deltalake
    except ImportError:
        with pytest.raises(MissingExtra, match=r"evermodel\[delta\]"):
            read(tmp_path / "plain")
        return
    deltalake.write_deltalake(str(tmp_path / "t"), pl.DataFrame({"a": [1, 2, 3]}).to_arrow())
    deltalake.DeltaTable(str(tmp_path / "t")).delete("a = 2")
    assert sorted(read(tmp_path / "t")["a"]) == [1, 3]


def test_the_index_of_a_pandas_frame_is_no_column(tmp_path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    pandas.DataFrame({"a": [1, 2, 3]}).iloc[[2, 0, 1]].to_parquet(tmp_path / "x.parquet")
    assert "__index_level_0__" in pl.read_parquet_schema(tmp_path / "x.parquet")
    assert read(tmp_path / "x.parquet") == {"a": [3, 1, 2]}


def draw(seed: int) -> np.ndarray:
    """A picture of its own: smooth, so that a little noise changes few differences between neighbours."""
    noise = np.random.default_rng(seed).uniform(0, 255, (5, 5, 3))
    image = pytest.importorskip("PIL.Image")
    return np.asarray(image.fromarray(noise.astype(np.uint8)).resize((48, 48), image.Resampling.BICUBIC))


def save(at: Path, pixels: np.ndarray, **how: object) -> None:
    image = pytest.importorskip("PIL.Image")
    at.parent.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    image.fromarray(pixels.astype(np.uint8)).save(packed, "JPEG" if at.suffix == ".jpg" else "PNG", **how)
    at.write_bytes(packed.getvalue())


def test_near_duplicates_and_tracks_are_bursts(tmp_path) -> None:
    names = ["ant", "bee", "cow", "doe", "elk", "fox", "gnu", "hen", "owl", "pig", "ram", "yak"]
    for i, name in enumerate(names):  # no numbers: their look alone tells
        save(tmp_path / "a" / f"{name}.png", draw(i))
    save(tmp_path / "a" / "again.jpg", draw(3), quality=60)
    save(tmp_path / "a" / "brighter.png", np.clip(draw(5) * 0.9 + 20.0, 0, 255))
    for track in range(4):
        for frame in range(3):
            save(tmp_path / "b" / f"{track:05d}_{frame:05d}.png", draw(100 + track * 10 + frame))
    for i in range(6):  # numbered through: no tracks
        save(tmp_path / "c" / f"cat_{i}.png", draw(200 + i))
    found = collect(scan(tmp_path))
    bursts = dict(zip(found["path"], found["near_duplicate_of"], strict=True))
    assert bursts["a/again.jpg"] == bursts["a/doe.png"]
    assert bursts["a/brighter.png"] == bursts["a/fox.png"]
    assert len({b for path, b in bursts.items() if path.startswith("a/")}) == len(names)
    assert [bursts[f"b/{t:05d}_{f:05d}.png"] for t in range(4) for f in range(3)] == [
        f"b/{t:05d}_00000.png" for t in range(4) for _ in range(3)
    ]
    assert len({bursts[f"c/cat_{i}.png"] for i in range(6)}) == 6
    assert not has_order(tmp_path)


def test_pictures_that_nearly_all_look_alike_are_no_one_burst(tmp_path) -> None:
    names = ["ant", "bee", "cow", "doe", "elk", "fox", "gnu", "hen", "owl", "pig"]
    for i, name in enumerate(names):
        pixels = draw(1).astype(float)
        pixels[10:14, 4 * i : 4 * i + 4] = 255 - pixels[10:14, 4 * i : 4 * i + 4]
        save(tmp_path / "a" / f"{name}.png", pixels)
        save(tmp_path / "b" / f"{name}.png", np.full((8, 8, 3), 7 + i))  # flat: nothing to compare
    assert collect(scan(tmp_path))["near_duplicate_of"].n_unique() > 15

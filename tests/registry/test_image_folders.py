"""An image classifier of a Hugging Face folder through its life, by the command line as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.plugins.frameworks import transformers as plugin
from tests.cli.ground import ask
from tests.frameworks.tiny_image_model import make_image_folder, make_pictures, write_class_folders

pytest.importorskip("transformers")
SIGNS = ("stop", "give way", "priority")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained ViT; no test writes to it."""
    return make_image_folder(tmp_path_factory.mktemp("deployed") / "signs", SIGNS, steps=25)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_image_folder(tmp_path_factory.mktemp("deployed") / "resnet", SIGNS, "resnet", steps=25)


def write_structs(frame: pl.DataFrame, to: Path, **more: Any) -> Path:
    """As the package datasets writes pictures."""
    packed = pl.struct(pl.col("picture").alias("bytes"), pl.lit("a.png").alias("path"))
    frame.select(packed.alias("image"), pl.col("sign").alias("label"), **more).write_parquet(to)
    return to


def test_from_adoption_to_rollback_with_folders_of_pictures(folder: Path, tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    old = write_class_folders(make_pictures(SIGNS, 120, 1), tmp_path / "old")
    new = write_class_folders(make_pictures((*SIGNS, "end"), 200, 2, light=0.7), tmp_path / "new")
    adopted = ask(["adopt", str(folder), "--data", str(old), "--target", "label", "--name", "signs"], registry)
    assert adopted.code == 0, adopted.err
    assert "pixels as its own image processor makes them" in adopted.out and "no scaling" not in adopted.out
    assert "classes  stop, give way, priority (as the file says)" in adopted.out
    told = ["--with", "full", "--new-class", "end", "--set", "epochs=6", "--set", "learning_rate=1e-3"]
    updated = ask(["update", "signs", str(new), *told], registry)
    assert updated.code == 0, updated.out + updated.err
    assert "promoted" in updated.out and "bursts" not in updated.err
    answers = evermodel.open(str(registry))["signs"].predict(new)
    assert set(answers["prediction"]) == {*SIGNS, "end"}
    saved = ask(["save", "signs", "--to", str(tmp_path / "out")], registry)
    assert saved.code == 0 and "answers 16 rows as the version does" in saved.out, saved.out + saved.err
    written = tmp_path / "out" / "model"
    assert json.loads((written / "config.json").read_text())["id2label"]["3"] == "end"
    assert (written / "preprocessor_config.json").read_bytes() == (folder / "preprocessor_config.json").read_bytes()
    assert plugin.read_file(written).labels == (*SIGNS, "end")
    watched = ask(["watch", "signs", str(new)], registry)
    assert watched.code in (0, 20) and "200 labelled" in watched.out, watched.out + watched.err
    reported = ask(["report", "signs", "--to", str(tmp_path / "report.html")], registry)
    assert reported.code == 0, reported.err
    assert ask(["rollback", "signs"], registry).code == 0
    again = ask(["watch", "signs", str(old)], registry)
    assert again.code in (0, 20) and "120 rows, 120 labelled" in again.out, again.out + again.err


def test_a_table_of_pictures_is_adopted_and_a_folder_updates_it(resnet: Path, tmp_path: Path) -> None:
    """Rows of a table have an order, those of a folder none: of these the judge's are drawn, class by class."""
    registry, rows = tmp_path / "registry", tmp_path / "rows.parquet"
    write_structs(make_pictures(SIGNS, 150, 1), rows, number=pl.int_range(pl.len()))
    new = write_class_folders(make_pictures(SIGNS, 150, 2, light=0.6), tmp_path / "new")
    adopted = ask(["adopt", str(resnet), "--data", str(rows), "--target", "label", "--name", "signs"], registry)
    assert adopted.code == 0, adopted.err
    assert "columns  image\n" in adopted.out and "taken to stand alone" in adopted.out
    for told in (["--with", "head", "--set", "epochs=1"], []):
        updated = ask(["update", "signs", str(new), *told, "--dry-run"], registry)
        assert updated.code in (0, 10, 11), updated.out + updated.err
        assert "have no order" in updated.out and "outside of the commonest class" not in updated.out
    refused = ask(["update", "signs", str(new), "--with", "lora"], registry)
    assert refused.code == 2 and "no linear layers" in refused.err and "head or full" in refused.err


def test_bytes_are_taken_where_structs_hold_them_and_paths_else(tmp_path: Path) -> None:
    frame = make_pictures(SIGNS, 12, 1)
    (tmp_path / "a.png").write_bytes(frame["picture"][0])
    packed = [{"bytes": None, "path": "a.png"}, *({"bytes": data, "path": None} for data in frame["picture"][1:])]
    schema = {"image": pl.Struct({"bytes": pl.Binary, "path": pl.String})}
    rows = pl.DataFrame({"image": packed}, schema=schema)
    rows.write_parquet(tmp_path / "rows.parquet")
    from evermodel.core.data.scan import collect, scan

    assert collect(scan(tmp_path / "rows.parquet"))["image"].to_list() == frame["picture"].to_list()
    live = rows.with_columns(pl.col("image").struct.with_fields(path=pl.lit(str(tmp_path / "a.png"))))
    assert collect(scan(live))["image"].to_list() == frame["picture"].to_list()


def test_a_dataset_of_pictures_by_their_paths_is_adopted(resnet: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = write_class_folders(make_pictures(SIGNS, 60, 1), tmp_path / "pictures")
    files = sorted(folder.glob("*/*.png"))
    rows = datasets.Dataset.from_dict({"image": list(map(str, files)), "label": [file.parent.name for file in files]})
    rows = rows.cast_column("image", datasets.Image())
    rows = rows.cast_column("label", datasets.ClassLabel(names=list(SIGNS))).shuffle(seed=0)
    rows.to_parquet(tmp_path / "rows.parquet")
    registry = evermodel.open(str(tmp_path / "registry"))
    for name, data in (("live", rows), ("file", tmp_path / "rows.parquet")):
        model = registry.adopt(resnet, data=data, target="label", name=name)
        right = model.predict(data)["prediction"].to_list() == rows["label"]
        assert right, name


def test_groups_that_are_named_stay_on_one_side(folder: Path, tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    rows = make_pictures(SIGNS, 240, 1).with_columns(track=pl.int_range(pl.len()) // 4)
    rows[:120].write_parquet(tmp_path / "old.parquet")
    rows[120:].write_parquet(tmp_path / "new.parquet")
    told = ["--target", "sign", "--entity", "track", "--name", "signs"]
    adopted = ask(["adopt", str(folder), "--data", str(tmp_path / "old.parquet"), *told], registry)
    assert adopted.code == 0, adopted.err
    from evermodel.registry.lookup import open_store
    from evermodel.updating.update_input import read_update_input

    read = read_update_input(open_store(registry), "signs", tmp_path / "new.parquet")
    track = read.new.frame["track"].to_numpy()
    assert not set(track[read.is_judged]) & set(track[~read.is_judged]) and read.is_judged.any()


@pytest.mark.parametrize(
    ("columns", "says"),
    [({"a": [1.0] * 30}, "reads a picture; none of the columns holds one"), ({}, "2 columns hold bytes")],
)
def test_the_column_of_pictures_is_found_or_asked_for(
    folder: Path, tmp_path: Path, columns: dict[str, Any], says: str
) -> None:
    rows = make_pictures(SIGNS, 30, 1)
    rows = (
        rows.with_columns(second=pl.col("picture")) if not columns else pl.DataFrame({**columns, "sign": rows["sign"]})
    )
    rows.write_parquet(tmp_path / "rows.parquet")
    asked = ["adopt", str(folder), "--data", str(tmp_path / "rows.parquet"), "--target", "sign"]
    answer = ask(asked, tmp_path / "registry")
    assert answer.code == 2 and says in answer.err and "Traceback" not in answer.err, answer.err
    if not columns:
        assert ask([*asked, "--inputs", "picture"], tmp_path / "registry").code == 0


def test_pictures_go_through_python_too(folder: Path, tmp_path: Path) -> None:
    registry = evermodel.open(str(tmp_path / "registry"))
    signs = registry.adopt(folder, data=make_pictures(SIGNS, 90, 1), target="sign", name="signs")
    assert signs.predict(make_pictures(SIGNS, 9, 2))["prediction"].len() == 9
    network = signs.champion.load()
    assert type(network).__name__ == "ViTForImageClassification"
    assert np.isfinite(float(next(iter(network.parameters())).sum()))


def test_numbers_of_labels_stand_for_the_names_of_the_folder(folder: Path, tmp_path: Path) -> None:
    """As ``datasets`` writes labels; the folder that is saved keeps the names."""
    registry = tmp_path / "registry"
    for name, signs, seed in (("old", SIGNS, 1), ("new", (*SIGNS, "end"), 2)):
        rows = make_pictures(signs, 200, seed)
        rows = rows.with_columns(
            sign=pl.col("sign").replace_strict({s: i for i, s in enumerate(signs)}, return_dtype=pl.Int64)
        )
        write_structs(rows, tmp_path / f"{name}.parquet")
    asked = ["adopt", str(folder), "--data", str(tmp_path / "old.parquet"), "--target", "label", "--name", "signs"]
    adopted = ask(asked, registry)
    assert adopted.code == 0, adopted.err
    assert "they stand for the model's labels in its own order: 0 stop, 1 give way, 2 priority" in adopted.out
    told = ["--with", "full", "--new-class", "3", "--set", "epochs=6", "--set", "learning_rate=1e-3"]
    updated = ask(["update", "signs", str(tmp_path / "new.parquet"), *told], registry)
    assert updated.code == 0, updated.out + updated.err
    assert set(evermodel.open(str(registry))["signs"].predict(tmp_path / "new.parquet")["prediction"]) == {0, 1, 2, 3}
    assert ask(["save", "signs", "--to", str(tmp_path / "out")], registry).code == 0
    named = json.loads((tmp_path / "out" / "model" / "config.json").read_text())["id2label"]
    assert named == {"0": "stop", "1": "give way", "2": "priority", "3": "3"}


def test_numbers_in_another_order_than_the_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    rows = make_pictures(SIGNS, 200, 1)
    codes = {"stop": 1, "give way": 2, "priority": 0}
    rows.with_columns(pl.col("sign").replace_strict(codes, return_dtype=pl.Int64)).write_parquet(
        tmp_path / "rows.parquet"
    )
    asked = ["adopt", str(folder), "--data", str(tmp_path / "rows.parquet"), "--target", "sign"]
    answer = ask(asked, tmp_path / "registry")
    assert answer.code == 2 and "contradicts the order 0, 1, 2" in answer.err, answer.err

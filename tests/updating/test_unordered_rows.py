"""Pictures in folders by class have no order: the judge's rows are drawn class by class, bursts stay on one side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evermodel as em
from evermodel.core.data.table import Table
from evermodel.core.errors import NoData
from evermodel.core.records.column_roles import Roles
from evermodel.registry.lookup import open_store
from evermodel.updating.splitting import split_newest
from evermodel.updating.update_input import read_update_input


def table(entity: list[int], label: list[int]) -> Table:
    return Table(pl.DataFrame({"y": label, "who": entity, "a": np.arange(len(label))}), Roles("y", entity="who"))


@pytest.mark.parametrize("seed", range(5))
def test_each_class_gives_its_share_in_whole_entities(seed) -> None:
    random = np.random.default_rng(seed)
    entity = np.sort(random.integers(0, 60, 600))
    label = entity // 20  # sorted by class, as folders are
    judged = split_newest(table(entity.tolist(), label.tolist()), shuffled=True, seed=seed)
    assert not set(entity[judged]) & set(entity[~judged])
    for of_class in range(3):
        assert 0.2 < judged[label == of_class].mean() <= 0.3
    again = split_newest(table(entity.tolist(), label.tolist()), shuffled=True, seed=seed)
    assert np.array_equal(judged, again)
    other = split_newest(table(entity.tolist(), label.tolist()), shuffled=True, seed=seed + 100)
    assert not np.array_equal(judged, other)


def test_a_class_of_one_entity_is_trained_on_and_one_of_two_is_shared() -> None:
    judged = split_newest(table([0] * 6 + [1, 1, 2, 2, 2, 2], [0] * 6 + [1] * 6), shuffled=True)
    assert not judged[:6].any()
    assert judged[6:].any()
    assert not judged[6:].all()
    with pytest.raises(NoData, match="one entity"):
        split_newest(table([0] * 6 + [1] * 6, [0] * 6 + [1] * 6), shuffled=True)


def draw_folder(at: Path, seed: int, tracks: int) -> None:
    image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(seed)
    for channel, name in enumerate(("blue", "green", "red")):
        (at / name).mkdir(parents=True)
        for track in range(tracks):
            scene = random.uniform(0, 160, (12, 12, 3))
            scene[..., 2 - channel] += 80
            for frame in range(3):
                pixels = np.clip(scene + random.normal(0, 2, scene.shape), 0, 255).astype(np.uint8)
                image.fromarray(pixels).save(at / name / f"{track:03d}_{frame:03d}.png")


def test_a_folder_of_pictures_is_split_at_random_class_by_class_with_whole_bursts(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    draw_folder(tmp_path / "old", 0, 12)
    draw_folder(tmp_path / "new", 1, 10)
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 3)).eval()
    with torch.no_grad():
        net[2].weight[:] = torch.eye(3).flip(0) * 0.05
        net[2].bias[:] = 0.0
    batch = torch.export.Dim("batch")
    program = torch.export.export(net, (torch.zeros(4, 3, 12, 12),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "m.pt2")
    registry = em.open(tmp_path / "registry")
    model = registry.adopt(tmp_path / "m.pt2", data=tmp_path / "old", target="label", name="colours")
    adopted = open_store(tmp_path / "registry").read_card("colours", "v1")
    assert adopted.shuffled
    told = [note for note in model.adoption.notes if "burst" in note]
    assert told == [
        "the pictures have no order: those that judge an update are drawn at random, class by class; 108 of them make "
        "36 bursts (names of one track, or near-duplicates), and each burst stays on one side"
    ]
    read = read_update_input(open_store(tmp_path / "registry"), "colours", tmp_path / "new")
    frame = read.new.frame.with_columns(judged=read.is_judged)
    assert frame.group_by("label").agg(pl.col("judged").sum()).sort("label")["judged"].to_list() == [9, 9, 9]
    assert frame.group_by("near_duplicate_of").agg(pl.col("judged").n_unique())["judged"].max() == 1
    assert frame["near_duplicate_of"].n_unique() == 30
    from_table = pl.DataFrame({"image": frame["image"], "label": frame["label"].replace_strict(dict(enumerate("bgr")))})
    words = {"b": "blue", "g": "green", "r": "red"}
    from_table = from_table.with_columns(pl.col("label").replace_strict(words))
    without = read_update_input(open_store(tmp_path / "registry"), "colours", from_table)
    assert without.new.frame["near_duplicate_of"].n_unique() == 90  # pictures of a table stand alone
    assert 24 <= without.is_judged.sum() <= 30
    watched = model.watch(tmp_path / "new")  # one delivery, not a folder of files
    assert watched.status.counters["predictions"] == 90
    assert watched.status.counters["labels"] == 90
    assert model.watch(tmp_path / "new").status.counters["predictions"] == 90  # taken in before

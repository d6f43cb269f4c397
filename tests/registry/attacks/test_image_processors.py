"""Image processors that were made to do harm, read in the child process as an adoption reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from tests.frameworks.tiny_image_model import make_image_folder
from tests.registry.attacks.forked_reader import read_all
from tests.registry.attacks.test_model_files import check_ending
from tests.registry.attacks.text_folders import DEEP, Change, config, link, pipe, put, sparse, write_attacks

PROCESSOR = "preprocessor_config.json"


def processor(**fields: Any) -> Change:
    import json

    def spoil(folder: Path) -> None:
        told = json.loads((folder / PROCESSOR).read_text())
        (folder / PROCESSOR).write_text(json.dumps({**told, **fields}))

    return spoil


PROCESSORS: dict[str, Change] = {
    "pictures of a trillion": processor(size={"height": 10**6, "width": 10**6}),
    "pictures without end": processor(size={"shortest_edge": 10**30}),
    "a negative side": processor(size={"height": -4, "width": 24}),
    "a side that is a text": processor(size={"height": "os.system", "width": 24}),
    "a crop of a trillion": processor(do_center_crop=True, crop_size=10**6),
    "a mean that is a table": processor(image_mean={"a": 1}),
    "a deviation that is nothing": processor(image_std=[]),
    "a resampling that is none": processor(resample=77),
    "a processor that is code": processor(image_processor_type="__import__('os').system('touch OWNED')"),
    "a processor of another kind": processor(image_processor_type="PreTrainedModel"),
    "code by its name": processor(auto_map={"AutoImageProcessor": "processing.Evil"}),
    "settings that are nested": put(PROCESSOR, b'{"size":' + DEEP),
    "settings that are a list": put(PROCESSOR, b"[1]"),
    "settings of 8 GB": sparse(PROCESSOR, 8 << 30),
    "settings that are a pipe": pipe(PROCESSOR),
    "settings that are a device": link(PROCESSOR, "/dev/zero"),
    "positions of a trillion": config(image_size=10**6),
    "channels of a trillion": config(num_channels=10**9),
}
MAY_BE_READ = {"text a processor of another kind", "text a resampling that is none"}  # what is wrong has no effect


def test_processors_are_read_in_the_child_under_its_limits(tmp_path, monkeypatch):
    whole = make_image_folder(tmp_path / "whole", steps=0)
    monkeypatch.chdir(tmp_path)
    folders = write_attacks(whole, tmp_path, PROCESSORS)
    found = {ending.name: check_ending(ending) for ending in read_all("transformers", folders)}
    faults = {n: said for n, said in found.items() if said and not (n in MAY_BE_READ and said == ["it was read"])}
    assert len(found) == len(PROCESSORS) and faults == {}
    assert not (tmp_path / "OWNED").exists()

"""Whatever a package says when the disk is full, it is one error of ours."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evermodel.core.errors import OutOfSpace
from evermodel.core.files import disk_space
from tests.small_disk import mountable, mounted

FRAME = pl.DataFrame({"a": np.random.default_rng(0).random(100_000)})


def save_booster(to):
    import lightgbm

    data = lightgbm.Dataset(FRAME.to_numpy(), FRAME["a"].to_numpy())
    lightgbm.train({"verbose": -1, "num_leaves": 255, "num_threads": 1}, data, 20).save_model(to)


def save_tensors(to):
    import torch

    torch.save(torch.zeros(200_000), to)


@pytest.mark.skipif(not mountable(), reason="needs a small disk of its own: run as root where mount is allowed")
@pytest.mark.parametrize("write", [FRAME.write_parquet, FRAME.write_csv, save_booster, save_tensors])
def test_a_full_disk_is_told_for_every_writer(write):
    with mounted() as disk:
        disk.leave(40_960)
        with pytest.raises(OutOfSpace, match="disk is full while writing"), disk_space(disk.at / "file"):
            write(disk.at / "file")


def test_another_failure_stays_what_it_is(tmp_path):
    with pytest.raises(ZeroDivisionError), disk_space(tmp_path / "file"):
        1 / 0  # noqa: B018

"""Archives and HDF5 files that reach outside themselves or claim to be larger than they are: each is refused."""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if importlib.util.find_spec("keras") is None:
    pytest.skip('needs pip install "evermodel[keras]"', allow_module_level=True)

import h5py
from keras_attack_files import good, zipped

from evermodel.core.errors import Unsafe
from evermodel.plugins.frameworks import keras as plugin

ZIPS: dict[str, Callable[[dict[str, bytes]], None]] = {
    "a name that climbs": lambda members: members.update({"../evil.py": b"x"}),
    "an absolute name": lambda members: members.update({"/tmp/evil.py": b"x"}),  # noqa: S108
    "an unexpected member": lambda members: members.update({"assets/vocabulary.txt": b"x"}),
    "Python code": lambda members: members.update({"evil.py": b"x"}),
}


@pytest.mark.parametrize("change", ZIPS.values(), ids=ZIPS.keys())
def test_an_archive_with_other_members_is_refused(tmp_path: Path, change: Any) -> None:
    before = set(tmp_path.parent.iterdir())
    with pytest.raises(Unsafe):
        plugin.read_file(zipped(tmp_path, good(tmp_path / "good.keras"), change))
    assert set(tmp_path.parent.iterdir()) == before


def test_a_symbolic_link_and_a_doubled_member_are_refused(tmp_path: Path) -> None:
    good(tmp_path / "good.keras")
    link = zipfile.ZipInfo("metadata.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.keras", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(Unsafe, match="leads out"):
        plugin.read_file(tmp_path / "link.keras")
    with zipfile.ZipFile(tmp_path / "good.keras", "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")
    with pytest.raises(Unsafe, match="twice"):
        plugin.read_file(tmp_path / "good.keras")


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, member: str) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr(member, b"0" * (64 << 20))
    with pytest.raises(Unsafe, match="unpacks"):
        plugin.read_file(tmp_path / "bomb.keras")


def external_link(file: Any, at: Path) -> None:
    del file["model_weights"]
    with h5py.File(at / "other.h5", "w") as other:
        other["secret"] = np.ones(3)
    file["model_weights"] = h5py.ExternalLink(str(at / "other.h5"), "/")


def soft_link(file: Any, at: Path) -> None:
    file["model_weights/soft"] = h5py.SoftLink("/model_weights")


def external_storage(file: Any, at: Path) -> None:
    (at / "secret.bin").write_bytes(bytes(400))
    file.create_dataset("model_weights/outside", (100,), "f4", external=[(str(at / "secret.bin"), 0, 400)])


def virtual(file: Any, at: Path) -> None:
    with h5py.File(at / "other.h5", "w") as other:
        other["secret"] = np.ones(3, dtype="f4")
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource(at / "other.h5", "secret", (3,))
    file.create_virtual_dataset("model_weights/virtual", layout)


def giant(file: Any, at: Path) -> None:
    file.create_dataset("model_weights/giant", (1 << 40,), "f4", chunks=(1024,))


def bomb(file: Any, at: Path) -> None:
    file.create_dataset("model_weights/bomb", data=np.zeros(1 << 24, "f4"), compression="gzip")


def itself(file: Any, at: Path) -> None:
    file["model_weights/again"] = file["model_weights"]


def objects(file: Any, at: Path) -> None:
    file.create_dataset("model_weights/words", data=["a", "b"], dtype=h5py.string_dtype())


@pytest.mark.parametrize(
    "attack",
    [external_link, soft_link, external_storage, virtual, giant, bomb, itself, objects],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_hdf5_that_is_not_just_its_own_numbers_is_refused(tmp_path: Path, attack: Any, suffix: str) -> None:
    source = good(tmp_path / f"good{suffix}")
    if suffix == ".h5":
        with h5py.File(source, "a") as file:
            attack(file, tmp_path)
    else:

        def change(members: dict[str, bytes]) -> None:
            inside = tmp_path / "inside.h5"
            inside.write_bytes(members["model.weights.h5"])
            with h5py.File(inside, "a") as file:
                file.create_group("model_weights")
                attack(file, tmp_path)
            members["model.weights.h5"] = inside.read_bytes()

        source = zipped(tmp_path, source, change)
    with pytest.raises(Unsafe):
        plugin.read_file(source)

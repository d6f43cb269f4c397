"""A disk of its own, in memory, whose room is ours to give and to take: the kernel itself says that it is full."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOMY = 1 << 30  # bytes; taken only as they are written


@dataclass(frozen=True)
class Disk:
    at: Path

    def leave(self, room: int) -> None:
        """From now on ``room`` bytes can be written, in whole pages of 4,096."""
        told = os.statvfs(self.at)
        _mount("-o", f"remount,size={(told.f_blocks - told.f_bfree) * told.f_bsize + room}", str(self.at))

    def free(self) -> None:
        _mount("-o", f"remount,size={ROOMY}", str(self.at))

    def read_only(self) -> None:
        _mount("-o", "remount,ro", str(self.at))


def mountable() -> bool:
    with mounted() as disk:
        return disk is not None


@contextmanager
def mounted() -> Iterator[Disk | None]:
    """Roomy at first; None where we may not mount: it takes root, and a container that lets it."""
    at = Path(tempfile.mkdtemp())
    asked = ["-t", "tmpfs", "-o", f"size={ROOMY}", "tmpfs", str(at)]
    if os.geteuid() or shutil.which("mount") is None or _mount(*asked, check=False):
        at.rmdir()
        yield None
        return
    try:
        yield Disk(at)
    finally:
        subprocess.run(["umount", "-l", str(at)], check=False, capture_output=True)
        at.rmdir()


def _mount(*words: str, check: bool = True) -> int:
    return subprocess.run(["mount", *words], check=check, capture_output=True).returncode

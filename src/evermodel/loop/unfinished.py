"""Work that takes long keeps what it finished beside the store, so that the same command with ``--resume`` goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from evermodel.core.errors import EvermodelError
from evermodel.core.model import Model
from evermodel.core.store import Store
from evermodel.loop.versions import framework_name, load_folder, save_version

WEEK = 7 * 86_400.0  # after which nobody goes on with what was left
TOLD = "told.json"


class Unfinished:
    """The finished parts of one piece of work: of a model, told apart by what was asked.

    All of it may be lost at any time (a disk that is full, another that begins the same anew): a part that is not there
    is done again. Parts appear whole.
    """

    def __init__(self, store: Store, name: str, work: str, asked: Any, *, resume: bool) -> None:
        key = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:16]
        self._folder = store.scratch(name) / work / key
        if not resume:
            self.clear()
        _forget_old(self._folder.parent)

    def told(self, part: str) -> dict[str, Any] | None:
        """What was kept of a part; None if it is not there."""
        try:
            return dict(json.loads((self._folder / part / TOLD).read_text()))
        except (OSError, ValueError):
            return None

    def model(self, part: str) -> Model | None:
        """The model that was kept with a part; None if there is none that loads."""
        told = self.told(part)
        try:
            return load_folder(self._folder / part, told["framework"]) if told else None
        except (EvermodelError, OSError, ValueError, KeyError):
            return None

    def keep(self, part: str, told: Mapping[str, Any], model: Model | None = None) -> None:
        """From now on a killed process has done this part."""
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            staged = Path(tempfile.mkdtemp(prefix=".writing-", dir=self._folder))
            try:
                if model is not None:
                    save_version(staged, model)
                    told = {**told, "framework": framework_name(model)}
                (staged / TOLD).write_text(json.dumps(told))
                shutil.rmtree(self._folder / part, ignore_errors=True)
                staged.rename(self._folder / part)
            finally:  # on a full disk what was half-written would be in the way of what comes next
                shutil.rmtree(staged, ignore_errors=True)

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _forget_old(works: Path) -> None:
    with suppress(OSError):
        for left in works.iterdir():
            if time.time() - left.stat().st_mtime > WEEK:
                shutil.rmtree(left, ignore_errors=True)

"""Long work keeps the parts it has done, so that the same call with ``resume`` continues where it was interrupted."""

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
from evermodel.core.model.model import Model
from evermodel.core.store import Store
from evermodel.registry.versions import framework_name, load_folder, save_version

WEEK = 7 * 86_400.0  # seconds after which what is left is removed
RECORD = "record.json"


class ResumableWork:
    """The parts of one piece of work on one model that are done; the same request finds them again.

    All of it may be lost at any time (a full disk, another process that begins the same anew): a part that is not there
    is done again. A part appears whole or not at all.
    """

    def __init__(self, store: Store, name: str, work: str, request: Any, *, resume: bool) -> None:
        key = hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()[:16]
        self._folder = store.scratch_folder(name) / work / key
        if not resume:
            self.clear()
        _remove_old(self._folder.parent)

    def read(self, part: str) -> dict[str, Any] | None:
        """The record that was kept of a part; None if it is not there."""
        try:
            return dict(json.loads((self._folder / part / RECORD).read_text()))
        except (OSError, ValueError):
            return None

    def model(self, part: str) -> Model | None:
        """The model that was kept with a part; None if there is none that loads."""
        record = self.read(part)
        try:
            return load_folder(self._folder / part, record["framework"]) if record else None
        except (EvermodelError, OSError, ValueError, KeyError):
            return None

    def keep(self, part: str, record: Mapping[str, Any], model: Model | None = None) -> None:
        """Keeps a part: from now on it is done, even if the process is killed."""
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            staged = Path(tempfile.mkdtemp(prefix=".writing-", dir=self._folder))
            try:
                if model is not None:
                    save_version(staged, model)
                    record = {**record, "framework": framework_name(model)}
                (staged / RECORD).write_text(json.dumps(record))
                shutil.rmtree(self._folder / part, ignore_errors=True)
                staged.rename(self._folder / part)
            finally:  # on a full disk what was half-written would take space from what is written next
                shutil.rmtree(staged, ignore_errors=True)

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _remove_old(works: Path) -> None:
    with suppress(OSError):
        for left in works.iterdir():
            if time.time() - left.stat().st_mtime > WEEK:
                shutil.rmtree(left, ignore_errors=True)

"""The files of a log, in the order in which a monitor takes them in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evermodel.core.data.logged_predictions import is_prediction_log, list_label_files, list_row_files
from evermodel.core.errors import AskedWrongly, NoRows
from evermodel.core.store import Store
from evermodel.registry.predictions.seal_segments import log_folder, seal_orphans


@dataclass(frozen=True)
class LoggedFile:
    """Rows that one version answered; or labels, with ``version`` ""."""

    path: Path
    version: str = ""


def list_logged_files(store: Store, name: str, version: str | None = None) -> list[LoggedFile]:
    """The files of rows, oldest first, then those of labels. What a server holds open comes with the next call.

    Raises AskedWrongly where nothing was ever logged, NoRows where nothing is ready yet.
    """
    folder = log_folder(store, name)
    if not is_prediction_log(folder):
        raise AskedWrongly(
            "There is nothing to watch.",
            f"Give rows, or labels that came later; or let 'evermodel serve {name}' log its predictions.",
        )
    seal_orphans(folder)
    rows = [LoggedFile(path, path.stem.rpartition("-")[2]) for path in list_row_files(folder)]
    rows = [file for file in rows if version in (None, file.version)]
    if not rows:
        raise NoRows(f"No logged predictions of {name} are ready to be watched.", "A running server hands them over.")
    return [*rows, *(LoggedFile(path) for path in list_label_files(folder))]

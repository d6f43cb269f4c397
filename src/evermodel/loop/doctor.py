"""Check everything that a deployed model hangs on, say what is wrong, and mend what can be mended."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from evermodel.core.errors import BadSetting, Damaged, EvermodelError, NotFound
from evermodel.core.finding import Finding
from evermodel.core.store import Store
from evermodel.loop._care import archive
from evermodel.loop._doctor import around, files, names, packages, serving
from evermodel.loop._doctor.patient import Asked, Patient, examine
from evermodel.loop.backup import restore_rows
from evermodel.loop.gc import gc
from evermodel.loop.home import home_folder, open_home
from evermodel.loop.results import Shown

Check = Callable[[Patient], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    files.left_over,  # first: whoever stages a file afterwards removes what dead processes staged
    names.database, names.slack, names.aliases, files.rights, files.whole, files.copies, serving.serving,
    packages.packages, packages.holes, around.freshness, around.disk, around.tokens, around.certificates,
    around.monitoring,
)  # fmt: skip


@dataclass(frozen=True)
class Health(Shown):
    """``findings``: what is wrong, the worst first; ``mended``: what was done about it, in words."""

    home: str
    models: tuple[str, ...]
    healthy: bool
    findings: tuple[Finding, ...]
    mended: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        wrong = [f for f in self.findings if not f.mended and f.severity != "note"]
        head = "healthy" if self.healthy else f"{len(wrong)} findings"
        shown = [f"  {'mended' if f.mended else f.severity:<9}{f.where}: {f.what}" + ("" if f.mended else
                 f"\n           -> {f.repair}") for f in self.findings]  # fmt: skip
        return [f"{self.home}: {len(self.models)} models: {head}", *shown, *(f"  did      {m}" for m in self.mended)]


def doctor(
    name: str | None = None, *, repair: bool = False, source: str | Path | None = None, network: bool = False,
    prometheus: str | None = None, grace: float = 86_400.0, home: str | Path | None = None,
) -> Health:  # fmt: skip
    """Check a home, or one model: files, names, the database, that champions load and answer as they did, and more.

    ``repair`` mends: files from a whole copy (in the store, ``copies`` of store.toml, the backup ``source``), the
    database from ``source``, champions that do not load by the newest version that does, orphans older than ``grace``
    seconds, a database with much room in it. ``network`` also asks for certificates, ``prometheus`` names a server to
    ask. Raises NotFound.

        $ evermodel doctor churn --repair --from /backups/models.tar
    """
    serving.forget()
    at = home_folder(home)
    if not at.is_dir():
        raise NotFound(f"There is no home {at}.", "'evermodel adopt' makes one.")
    with ExitStack() as open_:
        asked = Asked(name, network, prometheus, grace, _backup(source, open_))
        mended: list[str] = []
        try:
            store = open_home(at)
            patient = examine(store, asked)
        except (Damaged, BadSetting) as error:
            finding = Finding("database", error.message, str(at), "critical", error.hint or "see the message")
            store_or_none = _new_database(at, source) if repair and isinstance(error, Damaged) else None
            if store_or_none is None:
                return Health(str(at), (), False, (finding,))
            store, mended = store_or_none, [f"{at}: the database was made anew from {source}"]
            patient = examine(store, asked)
        if name is not None and name not in patient.models():
            raise NotFound.among("model", name, [r["name"] for r in patient.rows["aliases"]])
        found = _findings(patient)
        if not repair:
            return Health(str(at), tuple(patient.models()), not _wrong(found), found)
        anew = _new_database(at, source) if any(f.check == "database" for f in found) else None
        if anew is not None:
            store, patient = anew, examine(anew, asked)
            mended.append(f"{at}: the database was made anew from {source}")
        mended += _mend(store, patient, asked, found)
        after = _findings(examine(store, asked))
        gone = [dataclasses.replace(f, mended=True) for f in found if _same(f) not in {_same(a) for a in after}]
        return Health(str(at), tuple(patient.models()), not _wrong(after), (*after, *gone), tuple(mended))


def _findings(patient: Patient) -> tuple[Finding, ...]:
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += check(patient)
        except (EvermodelError, OSError) as error:
            said = getattr(error, "message", None) or str(error)
            found.append(Finding(check.__name__, f"could not look: {said}", str(patient.store.home), "critical", "-"))
    order = {"critical": 0, "warning": 1, "note": 2}
    return tuple(sorted(found, key=lambda f: order[f.severity]))


def _same(finding: Finding) -> tuple[str, str]:
    return finding.check, finding.where


def _wrong(found: tuple[Finding, ...]) -> bool:
    return any(f.severity != "note" for f in found)


def _mend(store: Store, patient: Patient, asked: Asked, found: tuple[Finding, ...]) -> list[str]:
    done = [f"{where}: {how}" for where, how in files.mend_rights(patient)]
    done += [f"{where}: restored from {how}" for where, how in files.mend_files(patient)]
    done += [f"{where}: now {how}" for where, how in names.mend_champions(examine(store, asked))]
    done += [f"{where}: copied again" for where, _ in files.mend_copies(patient)]
    done += [f"{where}: {how}" for where, how in names.mend_slack(patient)]
    if any(f.check == "left over" for f in found):
        collected = gc(grace=asked.grace, home=store.home)
        done.append(f"left over: removed {collected.blobs + collected.folders + collected.left_over}")
    return done


def _backup(source: str | Path | None, open_: ExitStack) -> Path | None:
    if source is None:
        return None
    scratch = open_.enter_context(tempfile.TemporaryDirectory())
    return open_.enter_context(archive.reading(Path(source).expanduser(), Path(scratch)))


def _new_database(home: Path, source: str | Path | None) -> Store | None:
    """A SQLite file that cannot be read is put aside, and its rows come from the backup; the files are there still."""
    broken = home / "evermodel.db"
    if source is None or not broken.exists():
        return None
    aside = home / "evermodel.db.broken"
    for end in ("", "-wal", "-shm"):
        at = broken.with_name(broken.name + end)
        if at.exists():
            shutil.move(at, aside.with_name(aside.name + end))
    store = open_home(home)
    restore_rows(store, Path(source))
    return store

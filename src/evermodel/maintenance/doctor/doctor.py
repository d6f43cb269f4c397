"""Check everything that a deployed model depends on, report what is wrong, and repair what can be repaired."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from evermodel.core.errors import BadSetting, Damaged, EvermodelError, NotFound
from evermodel.core.records.doctor_finding import Finding
from evermodel.core.store import RecoversDatabase, Store
from evermodel.maintenance.doctor import aliases as names
from evermodel.maintenance.doctor import environment, packages, serving, stored_files
from evermodel.maintenance.doctor.target import DoctorOptions, DoctorTarget, read_target
from evermodel.registry.lookup import find_store, open_store, registry_folder
from evermodel.registry.results import Result
from evermodel.registry.upkeep import archive
from evermodel.registry.upkeep.backup import restore_rows
from evermodel.registry.upkeep.gc import gc

DATABASE_HINT = "evermodel doctor --repair takes the registry's second copy of it; --from BACKUP takes a backup's"
Check = Callable[[DoctorTarget], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    stored_files.find_orphaned_files,  # first: whoever stages a file afterwards removes what dead processes staged
    names.check_database,
    names.check_unused_space,
    names.check_aliases,
    stored_files.check_permissions,
    stored_files.check_hashes,
    stored_files.check_second_copies,
    serving.check_serving,
    packages.check_packages,
    packages.check_vulnerabilities,
    environment.check_freshness,
    environment.check_disk,
    environment.check_tokens,
    environment.check_certificates,
    environment.check_monitoring,
)


@dataclass(frozen=True)
class DoctorResult(Result):
    """``findings``: what is wrong, the worst first; ``mended``: what was done about it, in words."""

    registry: str
    models: tuple[str, ...]
    healthy: bool
    findings: tuple[Finding, ...]
    mended: tuple[str, ...] = ()
    copies_bytes: int = 0  # of second copies

    def lines(self) -> list[str]:
        wrong = [f for f in self.findings if not f.mended and f.severity != "note"]
        head = "healthy" if self.healthy else f"{len(wrong)} findings"
        shown = [
            f"  {'mended' if f.mended else f.severity:<9}{f.where}: {f.what}"
            + ("" if f.mended else f"\n           -> {f.repair}")
            for f in self.findings
        ]
        copies = f"; second copies take {self.copies_bytes / 1e6:,.1f} MB" if self.copies_bytes else ""
        return [
            f"{self.registry}: {len(self.models)} models: {head}{copies}",
            *shown,
            *(f"  did      {m}" for m in self.mended),
        ]


def doctor(
    name: str | None = None,
    *,
    repair: bool = False,
    source: str | Path | None = None,
    network: bool = False,
    prometheus: str | None = None,
    grace: float = 86_400.0,
    registry: str | Path | None = None,
) -> DoctorResult:
    """Check a registry, or one model: files, names, the database, that champions load and answer as they did, and more.

    ``repair`` mends: files from a whole copy (in the store, ``copies`` of store.toml, the backup ``source``), the
    database from ``source``, champions that do not load by the newest version that does, orphans older than ``grace``
    seconds, a database with much room in it. ``network`` also asks for certificates, ``prometheus`` names a server to
    ask. Raises NotFound.

        $ evermodel doctor churn --repair --from /backups/models.tar
    """
    serving.forget()
    at = registry_folder(registry)
    if not at.is_dir():
        raise NotFound(f"There is no registry {at}.", "'evermodel adopt' makes one.")
    with ExitStack() as open_:
        options = DoctorOptions(name, network, prometheus, grace, _backup(source, open_))
        mended: list[str] = []
        try:
            store = open_store(at)
            target = read_target(store, options)
        except (Damaged, BadSetting) as error:
            hint = DATABASE_HINT if isinstance(error, Damaged) else error.hint or "see the message"
            first = Finding("database", error.message, str(at), "critical", hint)
            recovered = _recover_database(at, source) if repair and isinstance(error, Damaged) else None
            if recovered is None:
                return DoctorResult(str(at), (), False, (first,))
            store, said = recovered
            mended, target = [said], read_target(store, options)
        if name is not None and name not in target.models():
            raise NotFound.among("model", name, [r["name"] for r in target.rows["aliases"]])
        found = _findings(target)
        if not repair:
            return DoctorResult(
                str(at), tuple(target.models()), not _wrong(found), found, copies_bytes=_measure_copies(store)
            )
        recovered = _recover_database(at, source) if any(f.check == "database" for f in found) else None
        if recovered is not None:
            store, said = recovered
            target = read_target(store, options)
            mended.append(said)
        mended += _mend(store, target, options, found)
        after = _findings(read_target(store, options))
        gone = [dataclasses.replace(f, mended=True) for f in found if _same(f) not in {_same(a) for a in after}]
        size = _measure_copies(store)
        return DoctorResult(str(at), tuple(target.models()), not _wrong(after), (*after, *gone), tuple(mended), size)


def _measure_copies(store: Store) -> int:
    """Bytes of the second copies that can be reached."""
    total = 0
    for copy in store.upkeep.copies():
        with suppress(EvermodelError, OSError, ValueError):  # the check of second copies has said it
            total += copy.size()
    return total


def _findings(target: DoctorTarget) -> tuple[Finding, ...]:
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += check(target)
        except (EvermodelError, OSError) as error:
            said = getattr(error, "message", None) or str(error)
            found.append(
                Finding(
                    check.__name__.removeprefix("check_"),
                    f"could not be checked: {said}",
                    str(target.store.registry),
                    "critical",
                    "-",
                )
            )
    order = {"critical": 0, "warning": 1, "note": 2}
    return tuple(sorted(found, key=lambda f: order[f.severity]))


def _same(finding: Finding) -> tuple[str, str]:
    return finding.check, finding.where


def _wrong(found: tuple[Finding, ...]) -> bool:
    return any(f.severity != "note" for f in found)


def _mend(store: Store, target: DoctorTarget, options: DoctorOptions, found: tuple[Finding, ...]) -> list[str]:
    done = [f"{where}: {how}" for where, how in stored_files.repair_permissions(target)]
    done += [f"{where}: restored from {how}" for where, how in stored_files.repair_files(target)]
    done += [f"{where}: now {how}" for where, how in names.repair_champions(read_target(store, options))]
    done += [f"{where}: copied again" for where, _ in stored_files.repair_second_copies(target)]
    done += [f"{where}: {how}" for where, how in names.compact_database(target)]
    if any(f.check == "left over" for f in found):
        collected = gc(grace=options.grace, registry=store.registry)
        done.append(f"left over: removed {collected.blobs + collected.folders + collected.left_over}")
    store.upkeep.refresh_copies()
    return done


def _backup(source: str | Path | None, open_: ExitStack) -> Path | None:
    if source is None:
        return None
    scratch = open_.enter_context(tempfile.TemporaryDirectory())
    return open_.enter_context(archive.reading(Path(source).expanduser(), Path(scratch)))


def _recover_database(registry: Path, source: str | Path | None) -> tuple[Store, str] | None:
    """A database that cannot be read is put aside. Its rows come from the backup, else from the copy that the store
    keeps; the files are there still. None where there is neither."""
    module = find_store(str(registry))
    if not isinstance(module, RecoversDatabase):
        return None
    try:
        origin = module.recover_database(str(registry), empty=source is not None)
    except NotFound:
        return None
    store = open_store(registry)
    if source is not None:
        restore_rows(store, Path(source))
        origin = f"{source}; the former is evermodel.db.broken"
    return store, f"{registry}: the database was mended from {origin}"

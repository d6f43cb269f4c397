"""Compares the locked packages, and the oldest that pyproject.toml allows, with stored advisories; needs no network.

    python scripts/audit_dependencies.py [LOCK [PROJECT [ADVISORIES]]]

Exit code 1 where a known weakness is installed, or may be. scripts/advisories.toml is kept by hand and is not complete.
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Advisory:
    """A weakness of a package in the versions that ``affected`` holds."""

    package: str
    affected: SpecifierSet
    id: str
    what: str


def read_advisories(at: Path) -> list[Advisory]:
    """The stored advisories. Raises ValueError or KeyError where one is not complete."""
    found = tomllib.loads(at.read_text())["advisory"]
    return [Advisory(canonicalize_name(a["package"]), SpecifierSet(a["affected"]), a["id"], a["what"]) for a in found]


def read_locked(lock: Path) -> list[tuple[str, Version]]:
    """Package and version of every line that pins one."""
    pins = [Requirement(line) for line in lock.read_text().splitlines() if line and line[0].isalnum()]
    return [(canonicalize_name(pin.name), Version(one.version)) for pin in pins for one in pin.specifier]


def read_oldest(project: Path) -> list[tuple[str, Version]]:
    """Package and lowest version of every requirement that names one, extras included."""
    told = tomllib.loads(project.read_text())["project"]
    texts = [*told["dependencies"], *(t for extra in told["optional-dependencies"].values() for t in extra)]
    wanted = [Requirement(text) for text in texts]
    return [
        (canonicalize_name(one.name), Version(spec.version))
        for one in wanted
        for spec in one.specifier
        if spec.operator in (">=", "==")
    ]


def audit(lock: Path, project: Path, advisories: Path) -> list[str]:
    """A sentence for each known weakness that is installed, or that the lowest allowed version has."""
    known = read_advisories(advisories)
    named = [("is locked", read_locked(lock)), ("is the lowest that pyproject.toml allows", read_oldest(project))]
    return [
        f"{name} {version} {how}: {one.id}, {one.what}."
        for how, versions in named
        for name, version in versions
        for one in known
        if one.package == name and one.affected.contains(version, prereleases=True)
    ]


def main(words: list[str]) -> int:
    usual = [ROOT / "requirements.lock", ROOT / "pyproject.toml", ROOT / "scripts" / "advisories.toml"]
    files = [Path(word) for word in words] + usual[len(words) :]
    found = audit(*files[:3])
    for line in found:
        print(line, file=sys.stderr)
    print(f"{len(read_locked(files[0]))} packages, {len(read_advisories(files[2]))} advisories, {len(found)} found")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

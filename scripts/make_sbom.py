"""Writes a software bill of materials in CycloneDX 1.6 from requirements.lock: all that an installation has.

    python scripts/make_sbom.py [TO]      build/sbom.json unless told

The lock file knows names and versions; licences are added for the packages that are installed here. The same lock gives
the same file, but for those.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;]+)")


def read_pins(lock: Path) -> list[tuple[str, str]]:
    """Package and version of every line that pins one; a package can have another version on another system."""
    found = (PIN.match(line) for line in lock.read_text().splitlines())
    return sorted({(re.sub(r"[-_.]+", "-", pin[1]).lower(), pin[2]) for pin in found if pin})


def find_license(name: str) -> list[dict[str, object]]:
    try:
        told = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return []
    text = told.get("License-Expression")
    return [{"expression": text}] if text else []


def make_sbom(lock: Path, project: Path) -> dict[str, object]:
    """The document, as CycloneDX wants it."""
    ours = tomllib.loads(project.read_text())["project"]
    pins = read_pins(lock)
    digest = uuid.uuid5(uuid.NAMESPACE_URL, lock.read_text())
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{digest}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": ours["name"],
                "name": ours["name"],
                "version": ours["version"],
                "licenses": [{"license": {"id": ours["license"]}}],
            }
        },
        "components": [
            {
                "type": "library",
                "bom-ref": f"pkg:pypi/{name}@{version}",
                "name": name,
                "version": version,
                "purl": f"pkg:pypi/{name}@{version}",
                **({"licenses": found} if (found := find_license(name)) else {}),
            }
            for name, version in pins
        ],
        "dependencies": [{"ref": ours["name"], "dependsOn": [f"pkg:pypi/{n}@{v}" for n, v in pins]}],
    }


def main() -> int:
    to = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "sbom.json"
    to.parent.mkdir(parents=True, exist_ok=True)
    sbom = make_sbom(ROOT / "requirements.lock", ROOT / "pyproject.toml")
    to.write_text(json.dumps(sbom, indent=1) + "\n")
    components = sbom["components"]
    print(f"{to}: {len(components) if isinstance(components, list) else 0} packages")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

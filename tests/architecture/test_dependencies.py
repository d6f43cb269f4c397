"""What is installed beside us is listed, and compared with the weaknesses that are known; both without a network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.audit_dependencies import audit
from scripts.make_sbom import make_sbom, read_pins

ROOT = Path(__file__).parents[2]
LOCK, PROJECT, ADVISORIES = ROOT / "requirements.lock", ROOT / "pyproject.toml", ROOT / "scripts" / "advisories.toml"


def test_no_known_weakness_is_installed_or_allowed():
    assert audit(LOCK, PROJECT, ADVISORIES) == []


WEAK = {  # pattern and what stands in its place -> what must be said
    "a model reader that is locked": (
        LOCK,
        r"(?m)^keras==.*",
        "keras==3.10.0",
        "keras 3.10.0 is locked: CVE-2025-9905",
    ),
    "another spelling": (LOCK, r"(?m)^pillow==.*", "Pillow==12.0.0", "pillow 12.0.0 is locked: CVE-2026-25990"),
    "an extra": (
        PROJECT,
        r"torch>=[0-9.]+",
        "torch>=2.5",
        "torch 2.5 is the lowest that pyproject.toml allows: CVE-2025-32434",
    ),
    "a range of versions": (PROJECT, r"starlette>=[0-9.]+", "starlette>=0.40", "starlette 0.40 is the lowest"),
}


@pytest.mark.parametrize("kind", WEAK)
def test_a_known_weakness_is_found(tmp_path, kind):
    file, pattern, planted, says = WEAK[kind]
    for known in (LOCK, PROJECT):
        shutil.copy(known, tmp_path)
    (tmp_path / file.name).write_text(re.sub(pattern, planted, file.read_text()))
    script = ROOT / "scripts" / "audit_dependencies.py"
    words = [sys.executable, str(script), str(tmp_path / LOCK.name), str(tmp_path / PROJECT.name)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 1 and says in done.stderr


def test_the_bill_of_materials_is_that_of_the_lock_file():
    """scripts/make_sbom.py sbom.json writes it again. Licences depend on what is installed, and are not compared."""
    kept, made = json.loads((ROOT / "sbom.json").read_text()), make_sbom(LOCK, PROJECT)
    for document in (kept, made):
        for component in document["components"]:
            component.pop("licenses", None)
    assert kept == made


def test_every_pin_is_listed_once():
    listed = [one["purl"] for one in json.loads((ROOT / "sbom.json").read_text())["components"]]
    assert len(set(listed)) == len(listed) == len(read_pins(LOCK)) > 200

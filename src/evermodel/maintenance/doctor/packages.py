"""Package versions beside the card's, and formats and packages with known holes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from evermodel.core.records.doctor_finding import Finding
from evermodel.maintenance.doctor.target import DoctorTarget
from evermodel.registry.versions import package_versions

# package, first version without the hole, what it is. Sources: the packages' own advisories.
HOLES = (
    ("keras", (3, 11, 3), "CVE-2025-9905: safe_mode is not obeyed for .h5 files; loading one may run its code"),
    ("torch", (2, 6, 0), "CVE-2025-32434: torch.load with weights_only=True may run a file's code"),
)
OF = {
    "sklearn": ("scikit-learn",),
    "keras": ("keras", "tensorflow-cpu"),
    "torch": ("torch",),
    "lightgbm": ("lightgbm",),
    "xgboost": ("xgboost-cpu",),
    "catboost": ("catboost",),
}
PICKLES = (".pkl", ".pickle", ".joblib")


def check_packages(target: DoctorTarget) -> Iterator[Finding]:
    """What the champion was made with, and what would serve it here."""
    here = package_versions()
    for name in target.models():
        version = target.aliases(name).get("champion", "")
        card = target.cards(name).get(version)
        if card is None:
            continue
        for package in (*OF.get(card.framework, ()), "numpy"):
            was, now = card.packages.get(package), here.get(package)
            if was == now or was is None:
                continue
            other = now is None or parts(was)[0] != parts(now)[0]
            what = f"made with {package} {was}; here is {now or 'none'}"
            repair = f"pip install {package}=={was}, or update {name} once so that it is made with {now}"
            yield Finding("packages", what, f"{name} {version}", "warning" if other else "note", repair)
        source = card.source
        if source.endswith(PICKLES):
            what = f"came from {source}, a pickle that was trusted when it was adopted; what is kept is none"
            yield Finding("formats", what, f"{name} {version}", "note", "keep the original away from other loaders")


def check_vulnerabilities(target: DoctorTarget) -> Iterator[Finding]:
    """Installed packages with a known hole in reading model files."""
    here = package_versions()
    for package, mended, what in HOLES:
        if package in here and parts(here[package]) < mended:
            least = ".".join(map(str, mended))
            repair = f'pip install --upgrade "{package}>={least}"'
            yield Finding("formats", what, f"{package} {here[package]}", "warning", repair)


def parts(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version)[:3]) or (0,)

"""How fast Evermodel starts, and how big it is: import, ``--help``, the bare package in a fresh environment.

    python bench/startup.py [--no-install]

Medians of nine runs, each in a fresh process. The bare package is installed without extras into a new virtual
environment; its size is that of site-packages less pip's own. There no deep-learning framework may be found, and
adopting an .h5 must say what to type.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMPORT, HELP, SIZE = 0.150, 0.400, 400.0  # bars: seconds, seconds, MB
RUNS = 9
HEAVY = ("keras", "tensorflow", "torch", "jax", "sklearn", "lightgbm", "xgboost", "pandas")
ROWS = "a,b,y\n" + "".join(f"{i},{i % 7},{i % 2}\n" for i in range(60))


def timed(words: list[str]) -> float:
    """Median seconds of a whole process, from its start to its end."""
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def import_seconds(python: str) -> float:
    """Median seconds of the import statement itself, each time in a fresh process."""
    code = "import time; t = time.perf_counter(); import evermodel; print(time.perf_counter() - t)"
    found = [subprocess.run([python, "-c", code], check=True, capture_output=True, text=True) for _ in range(RUNS)]
    return statistics.median(float(f.stdout) for f in found)


def loaded(python: str, code: str) -> list[str]:
    """Top-level modules loaded by ``code`` beyond those an empty Python has, Python's own left out."""
    ask = f"import sys; old = set(sys.modules); {code}; new = set(sys.modules) - old"
    ask += "; print(*sorted({m.split('.')[0] for m in new} - set(sys.stdlib_module_names)))"
    done = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True)
    return done.stdout.strip().splitlines()[-1].split()


def size(folder: Path) -> float:
    """MB of the files below, pip's and setuptools' own left out."""
    own = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
    parts = [p for p in folder.iterdir() if not p.name.startswith(own)]
    files = [f for part in parts for f in (part.rglob("*") if part.is_dir() else [part]) if f.is_file()]
    return sum(f.stat().st_size for f in files) / 1e6


def installed(folder: Path) -> tuple[Path, Path]:
    """A virtual environment with the bare package: its Python and its site-packages."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    source = folder / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, source)
    python = folder / "venv" / "bin" / "python"
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(source)], check=True, env=surroundings)
    return python, next((folder / "venv" / "lib").glob("python*/site-packages"))


def bare(lines: list[tuple[str, str, bool]]) -> None:
    """Adds what is found of the bare package."""
    os.environ.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory() as folder:
        python, packages = installed(Path(folder))
        there = size(packages)
        lines.append((f"installed without extras (bar {SIZE:.0f} MB)", f"{there:.0f} MB", there <= SIZE))
        console = str(python.with_name("evermodel"))
        took = timed([console, "--help"])
        lines.append((f"evermodel --help as installed (bar {HELP} s)", f"{took:.3f} s", took <= HELP))
        heavy = [m for m in HEAVY if (packages / m).exists()]
        lines.append(("frameworks installed with it", ", ".join(heavy) or "none", not heavy))
        model, rows = Path(folder) / "x.h5", Path(folder) / "x.csv"
        model.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(2000))
        rows.write_text(ROWS)
        words = [console, "adopt", str(model), "--data", str(rows), "--target", "y", "--registry", f"{folder}/registry"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        said = 'pip install "evermodel[keras]"' in done.stderr and done.returncode == 2
        lines.append(("adopt x.h5 says what to type", done.stderr.strip().splitlines()[-1][:80], said))
        words = [console, "list", "--registry", f"{folder}/registry"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        lines.append(("evermodel list works", f"exit {done.returncode}", done.returncode == 0))


def main() -> int:
    python = sys.executable
    lines: list[tuple[str, str, bool]] = []
    took = import_seconds(python)
    lines.append((f"import evermodel (bar {IMPORT:.3f} s)", f"{took:.3f} s", took <= IMPORT))
    console = Path(python).with_name("evermodel")
    words = [str(console)] if console.is_file() else [python, "-c", "from evermodel.cli import main; main()"]
    took = timed([*words, "--help"])
    lines.append((f"evermodel --help (bar {HELP} s)", f"{took:.3f} s", took <= HELP))
    shown = "from evermodel.cli.app import app; app(['--help'], standalone_mode=False)"
    for what, code in (("import evermodel", "import evermodel"), ("--help", shown)):
        found = loaded(python, code)
        lines.append((f"loaded by {what}", " ".join(found), not set(found) & {*HEAVY, "numpy", "polars"}))
    if "--no-install" not in sys.argv:
        bare(lines)
    for what, value, good in lines:
        print(f"{'ok' if good else 'FAIL':6}{what:48}{value}")
    passed = all(good for *_, good in lines)
    print("PASS" if passed else "FAIL")
    return not passed


if __name__ == "__main__":
    raise SystemExit(main())

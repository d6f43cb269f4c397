"""Reads a stranger's model file in a child process under limits first: a crash, a hang or a bomb becomes one sentence.

The child imports the framework, limits itself (memory, processor time, file sizes, no new privileges, no network where
the kernel allows that), reads the file and predicts a few rows of zeros. Meanwhile this process imports the framework
too, so that little time is added. Only after the child ended well is the file read here, behind the readers' own
checks. ``EVERMODEL_SANDBOX=off`` leaves the child out, for files that one made oneself.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from subprocess import PIPE
from typing import Any

import numpy as np

from evermodel.core import errors
from evermodel.core.code_trust import VARIABLE
from evermodel.core.errors import BadModel, EvermodelError
from evermodel.core.model.capabilities import UserCodeReading
from evermodel.core.model.framework import FRAMEWORKS, Framework
from evermodel.core.model.user_code import UserCode, read_code, write_code

logger = logging.getLogger(__name__)
SWITCH = "EVERMODEL_SANDBOX"
MEMORY = 1_000_000_000  # bytes above what the framework itself takes, and those of the file several times over
TIMES_THE_FILE = 8
SECONDS = 30  # of processor time for reading and predicting, and of waiting for it
BYTES_A_SECOND = 2_000_000  # that are read in each second beyond: weights of four bits become numbers so slowly
IMPORT_SECONDS = 180  # for the framework's import on a busy machine
WRITTEN = 256_000_000  # bytes of any file that is unpacked on the way
ROWS = 8  # of zeros: a network may take a gigabyte for these, and four for the 32 rows of a usual batch
READY = "ready"
NO_MEMORY = re.compile(
    r"alloc|OOM|MemoryError|ResourceExhausted|out of memory", re.IGNORECASE
)  # how frameworks say that there was none
PACKAGES = {
    "sklearn": ("sklearn", "evermodel.plugins.frameworks._sklearn.skops_alone"),
    "keras": ("keras",),
    "torch": ("torch", "torch.export"),
    "transformers": ("torch", "transformers", "tokenizers"),
    "language_models": ("torch", "transformers", "tokenizers"),
}
CHILD = "import sys; from evermodel.registry.adoption.sandbox import run_child; run_child(*sys.argv[1:])"
CLONE_NEWUSER, CLONE_NEWNET, NO_NEW_PRIVILEGES = 0x10000000, 0x40000000, 38


def is_switched_off() -> bool:
    """Whether the user has switched the child process off."""
    return os.environ.get(SWITCH, "").lower() in ("off", "0", "no")


def try_reading(framework: Framework, path: Path, factory: str | None, code: UserCode | None = None) -> None:
    """Reads ``path`` in a child process under limits. Raises what reading it raises, BadModel for a crash or a bomb.

    ``code`` is what the user trusts: the child is given copies of the very bytes.

    Cost: about that of the framework's import, most of it beside this process's own import.
    """
    name = framework.__name__.rpartition(".")[2]
    with tempfile.TemporaryDirectory(prefix="evermodel-") as kept:
        write_code(code, Path(kept))
        words = [sys.executable, "-W", "ignore", "-c", CHILD, name, str(path.absolute()), factory or "", kept]
        trusted = os.pathsep.join(() if code is None else code.digests().values())
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), VARIABLE: trusted}
        with subprocess.Popen(  # noqa: S603 - our own code; the path is an argument
            words, stdout=PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment, text=True
        ) as child:
            _import_packages(name)
            answer = _await_answer(child, path.name, _size_of(path))
    if answer is None:
        return
    kind = getattr(errors, answer["error"], BadModel)
    raise kind(answer["message"], answer["hint"])


def digest_of(path: Path) -> str:
    """A file's SHA-256, of a folder its files' sizes and times: what is read here must be what the child read."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    parts = sorted((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in path.rglob("*") if p.is_file())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _import_packages(name: str) -> None:
    for package in PACKAGES.get(name, (name,)):
        with contextlib.suppress(ImportError):  # reading says which package is missing, and what to type
            importlib.import_module(package)


def _await_answer(child: subprocess.Popen[str], shown: str, size: int = 0) -> dict[str, str] | None:
    """None where the file was read; else the error. Raises BadModel where the child died or took too long."""
    late, seconds = list[str](), _seconds_for(size)

    def end(why: str) -> None:
        late.append(why)
        child.kill()

    stdout = child.stdout
    if stdout is None:
        raise BadModel(f"{shown} could not be read apart.")
    timer = threading.Timer(IMPORT_SECONDS, end, ("its framework took too long to import",))
    timer.start()
    try:
        ready = stdout.readline()
        timer.cancel()
        if ready.strip() == READY:
            timer = threading.Timer(seconds * 1.5, end, (f"reading it takes more than {seconds:g} s",))
            timer.start()
        lines = stdout.read().strip().splitlines()
        code = child.wait()
    finally:
        timer.cancel()
    if code == 0 and lines:
        answer: dict[str, str] | None = json.loads(lines[-1])
        return answer
    why = late[0] if late else _describe_end(code, seconds)
    raise BadModel(
        f"{shown} cannot be read: {why}.",
        "It is damaged, or was made to do harm. Where you made it yourself and it is only large: EVERMODEL_SANDBOX=off",
    )


def _describe_end(code: int, seconds: float) -> str:
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"reading it takes more than {seconds:g} s, or more memory than there is"
    if code < 0:
        return f"reading it ends the process ({signal.Signals(-code).name})"
    return "reading it ends the process"


# -- in the child --------------------------------------------------------------------------------------------------
def run_child(name: str, file: str, factory: str, kept: str) -> None:
    """Imports the framework, limits this process, reads the file, predicts, and prints the answer as JSON."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what packages print is no answer
    _cut_off_network()
    _import_packages(name)
    framework, path = FRAMEWORKS.load_module(name), Path(file)
    print(READY, file=out, flush=True)
    answer = read_under_limits(framework, path, factory or None, read_code(Path(kept)))
    print(json.dumps(answer), file=out, flush=True)
    out.close()
    os._exit(0)  # nothing of the file's gets to run at the end


def read_under_limits(
    framework: Framework, path: Path, factory: str | None, code: UserCode | None = None
) -> dict[str, str] | None:
    """Limits this process for good, reads the file and predicts; the error as a dict, None where it can be read."""
    size = _size_of(path)
    _limit_process(MEMORY + TIMES_THE_FILE * size, size)
    answer: dict[str, str] | None = None
    try:
        if code is not None and isinstance(framework, UserCodeReading):
            obj = framework.read_with_code(path, code, factory=factory)
        else:
            obj = framework.read_file(path, trust=False, factory=factory)
        _predict_zeros(framework, obj)
    except EvermodelError as error:
        answer = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    except ModuleNotFoundError:
        pass  # reading it here says what to install
    except MemoryError:
        answer = _describe_bomb(path.name)
    except Exception as error:  # any failure of a stranger's file: it is not read a second time without limits
        logger.debug("Reading %s failed.", path.name, exc_info=True)
        said = " ".join(str(error).split())[:200]
        message = f"{path.name} cannot be read ({type(error).__name__}: {said})."
        answer = {"error": "BadModel", "message": message, "hint": "Is it whole, and within 1 GB beside its framework?"}
    return answer


def _predict_zeros(framework: Framework, obj: Any) -> None:
    """A few rows of zeros through the model: a loop, or a layer that swells, shows here and not in service."""
    signature = framework.read_signature(obj)
    if signature.layout == "frame" or signature.shape is None or signature.columns:
        return
    try:
        framework.predict(obj, np.zeros((ROWS, *signature.shape), np.float32))
    except MemoryError:
        raise
    except Exception as error:  # mostly: not its kind of rows, which is said when real rows come
        if NO_MEMORY.search(f"{error} {error.__cause__}"):
            raise MemoryError from error
        logger.debug("Rows of zeros are not predicted.", exc_info=True)


def _describe_bomb(shown: str) -> dict[str, str]:
    return {
        "error": "BadModel",
        "message": f"{shown} cannot be read: it takes more than {MEMORY / 1e9:.0f} GB beside what its framework takes.",
        "hint": "Where you made it yourself and it is only large: EVERMODEL_SANDBOX=off",
    }


def _limit_process(memory: int, size: int = 0) -> None:
    try:
        import resource
    except ImportError:  # not on this system
        return
    used = _used_bytes()
    last = int(sum(os.times()[:2]) + _seconds_for(size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (last, last + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN, WRITTEN))
    if used:
        resource.setrlimit(resource.RLIMIT_DATA, (used + memory, used + memory))


def _size_of(path: Path) -> int:
    """Bytes on the disk of a file, or of all files of a folder."""
    return sum(map(_stored_bytes, path.rglob("*"))) if path.is_dir() else _stored_bytes(path)


def _seconds_for(size: int) -> float:
    """How long reading so many bytes may take."""
    return SECONDS + size // BYTES_A_SECOND


def _stored_bytes(at: Path) -> int:
    """A file's bytes on the disk: one of holes alone, which claims gigabytes, must not raise the limit of memory."""
    status = at.stat()
    return min(status.st_size, 512 * getattr(status, "st_blocks", status.st_size))


def _used_bytes() -> int:
    """The private memory of this process; 0 where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData")), 0)


def _cut_off_network() -> None:
    """No new privileges; a network of its own, which is empty, where the kernel lets a user have one."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)

"""Starts a real PostgreSQL on loopback in a folder of its own, and stops it again.

Used by tests/store, bench/doctor.py, and whoever wants to try a store on PostgreSQL. The programs are Debian's: in the
PATH, in /usr/lib/postgresql, or unpacked by ``sh scripts/parts``. As root, which it refuses, it runs as ``nobody``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.servers import PARTS, free_port, running


def program(name: str) -> str | None:
    """Where ``initdb`` or ``postgres`` is, or None."""
    for root in (Path("/usr/lib/postgresql"), PARTS / "lib" / "postgresql"):
        for at in sorted(root.glob(f"*/bin/{name}"), reverse=True):
            return str(at)
    return shutil.which(name)


@dataclass(frozen=True)
class Postgres:
    """A server that runs; ``url`` is its first database."""

    port: int
    password: str

    @property
    def url(self) -> str:
        return self.address("postgres")

    def address(self, database: str) -> str:
        return f"postgresql+psycopg://evermodel:{self.password}@127.0.0.1:{self.port}/{database}"

    def fresh(self) -> str:
        """The URL of a new, empty database."""
        import psycopg

        name = f"db{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self.address(name)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL with a password, from when it answers until the end of the ``with``."""
    if program("initdb") is None or program("postgres") is None:
        raise FileNotFoundError("PostgreSQL is not here. 'sh scripts/parts' gets it.")
    folder = Path(tempfile.mkdtemp(prefix="evermodel-postgres-"))
    try:
        words = [*_as_another(folder), *_with_libraries()]
        secret = folder / "password"
        secret.write_text(uuid.uuid4().hex)
        if os.getuid() == 0:
            shutil.chown(secret, "nobody")
        data, port = folder / "data", free_port()
        made = [
            *words,
            str(program("initdb")),
            "-D",
            str(data),
            "-U",
            "evermodel",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            f"--pwfile={secret}",
        ]
        subprocess.run(made, check=True, capture_output=True, cwd=folder)
        command = [
            *words,
            str(program("postgres")),
            "-D",
            str(data),
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "-k",
            str(folder),
            "-c",
            "fsync=off",
            "-c",
            "max_connections=60",
        ]
        server = Postgres(port, secret.read_text())
        with running(command, folder, "", lambda: _answers(server)) as started:
            try:
                yield server
            finally:
                started.process.send_signal(signal.SIGQUIT)  # nothing is kept: nothing to wait for
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_another(folder: Path) -> list[str]:
    """The words before a command that must not run as root."""
    if os.getuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]


def _with_libraries() -> list[str]:
    """Unpacked programs find their libraries beside them."""
    if not str(program("postgres")).startswith(str(PARTS)):
        return []
    return ["env", "LD_LIBRARY_PATH=" + ":".join(map(str, (PARTS / "lib").glob("*-linux-gnu")))]


def _answers(server: Postgres) -> bool:
    import psycopg

    try:
        psycopg.connect(server.url.replace("+psycopg", ""), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True

"""Settings that were made to do harm: policies, notifiers, signatures, transforms, search spaces, secrets, TLS, trust.

Each is answered with one clear sentence: no code, no write outside, no waiting, no memory beyond the file's limit.
"""

from __future__ import annotations

import os
import signal
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evermodel.core.code_trust import check_trusted
from evermodel.core.errors import BadSetting, EvermodelError, Unsafe
from evermodel.core.model.search_space import read_space
from evermodel.core.model.user_code import read_user_code
from evermodel.core.notice import Notice
from evermodel.core.records.maintenance_policy import Policy, change_policy, read_policies
from evermodel.core.secrets import read_secret
from evermodel.integrations.access import read_token
from evermodel.maintenance.notifications import read_notifiers
from evermodel.plugins.notifiers.log import log
from evermodel.registry.adoption.signatures.signature_file import read_signature_file
from evermodel.server.server_settings import ServerSettings

MOST_MEMORY = 200_000_000
MOST_SECONDS = 20
Read = Callable[[Path], object]


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """What waits for a pipe, or counts without end, fails the test instead of stopping it."""

    def end(number: int, frame: object) -> None:
        raise AssertionError(f"it took more than {MOST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(MOST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def check_refused(read: Callable[[], object]) -> EvermodelError:
    """The error of what must be refused: exit code 2 and one sentence that can be printed, for little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(EvermodelError) as error:
            read()
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    message = error.value.message
    assert error.value.exit_code == 2
    assert "\n" not in message and 10 < len(message) < 600 and message.endswith((".", ")")), message
    return error.value


def make_pipe(at: Path) -> None:
    os.mkfifo(at)


def make_huge(at: Path) -> None:
    """Eight gigabytes that take no room on the disk."""
    with at.open("wb") as file:
        file.truncate(8 << 30)


def make_noise(at: Path) -> None:
    at.write_bytes(bytes(range(256)) * 10)


def make_loop(at: Path) -> None:
    other = at.with_name("other" + at.suffix)
    at.symlink_to(other)
    other.symlink_to(at)


def link_device(at: Path) -> None:
    at.symlink_to("/dev/zero")


FILES: dict[str, Callable[[Path], None]] = {
    "a pipe": make_pipe,
    "8 GB": make_huge,
    "noise": make_noise,
    "a loop of links": make_loop,
    "a link to a device": link_device,
    "a folder": Path.mkdir,
}
READERS: dict[str, tuple[str, Read]] = {
    "policy": (".toml", read_policies),
    "signature": (".toml", read_signature_file),
    "space in TOML": (".toml", lambda at: read_space(at, {})),
    "space in JSON": (".json", lambda at: read_space(at, {})),
    "secret": (".txt", lambda at: read_secret(f"file:{at}", "url")),
    "token": (".txt", read_token),
    "certificate": (".pem", lambda at: ServerSettings(None, tls_certificate=at, tls_key=at).check()),
}


@pytest.mark.parametrize(
    ("reader", "kind"),
    [(r, k) for r in READERS for k in FILES if (r, k) != ("token", "a pipe")],  # --token-file <(command)
)
def test_a_file_that_is_none(tmp_path, reader, kind):
    suffix, read = READERS[reader]
    at = tmp_path / f"given{suffix}"
    FILES[kind](at)
    check_refused(lambda: read(at))


DEEP = "[" * 100_000
POLICIES = {
    "nested": f"[models.m]\ndata = {DEEP}",
    "nested keys": f"[models.m]\n{'.'.join('a' * 5000)} = 1",
    "a number of many digits": f"[models.m]\nrows = {'9' * 5000}",
    "a hexadecimal number of many digits": f"[models.m]\nrows = 0x{'f' * 5000}",
    "an infinite number": "[models.m]\nrows = inf",
    "an infinite real number": "[models.m]\nbudget = inf",
    "no number": "[models.m]\nrows = nan",
    "a span of many digits": f'[models.m]\nage = "{"9" * 5000} days"',
    "a span beyond the calendar": '[models.m]\ntimeout = "99999999999999999999w"',
    "months beyond the calendar": '[models.m]\nupdate = "99999 months"',
    "a size of many digits": f'[models.m]\nmax_size = "{"9" * 400}GB"',
    "a day that never comes": '[models.m]\nupdate = "0 0 31 2 *"',
    "a time zone that is a path": '[models.m]\ntime_zone = "../../../etc/passwd"',
    "a time zone that is a folder": '[models.m]\ntime_zone = "America"',
    "a table as a value": "[models.m]\ndata = {a = 1}",
    "a list of tables": "[models.m]\nnotify = [{a = 1}]",
    "models that are a list": "models = [1]",
    "a key that drives the terminal": '[models.m]\n"\\u001b]0;OWNED\\u0007" = 1',
}


@pytest.mark.parametrize("kind", POLICIES)
def test_a_policy(tmp_path, kind):
    at = tmp_path / "policy.toml"
    at.write_text(POLICIES[kind])
    error = check_refused(lambda: change_policy(Policy(), read_policies(at)["m"]))
    assert len(error.message) < 400


NOTIFIERS = {
    "an open quotation mark": 'webhook url="env:X',
    "a plugin that is a path": "../../evil url=env:X",
    "a module of Python": "os.system url=x",
    "no setting": "webhook url",
    "a setting twice removed": "webhook __class__=x",
    "a password that is written out": "email to=a sender=b user=me password=hunter2 security=none",
    "an infinite port": "email to=a sender=b port=inf",
}


@pytest.mark.parametrize("kind", NOTIFIERS)
def test_a_notifier(kind):
    def send() -> None:
        from evermodel.core.notice import NOTIFIERS as PLUGINS

        for channel in read_notifiers(change_policy(Policy(), {"notify": [NOTIFIERS[kind]]})):
            PLUGINS.load(channel.notifier)(NOTICE, **dict(channel.settings))

    error = check_refused(send)
    assert "hunter2" not in str(error)


NOTICE = Notice("drift:x", "m", "critical", "$(touch OWNED) `touch OWNED` drifts")
SCRIPTS = (".bashrc", ".profile", "run.sh", "x.py", "crontab", "authorized_keys", ".env", "log.sh", "x.log.py")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_notice_is_never_appended_to_a_script(tmp_path, name):
    """Names of columns stand in notices: a shell that reads its own file would run what a stranger called a column."""
    at = tmp_path / name
    at.write_text("before")
    check_refused(lambda: log(NOTICE, file=str(at)))
    link = tmp_path / "notices.jsonl"
    link.symlink_to(at)
    check_refused(lambda: log(NOTICE, file=str(link)))
    assert at.read_text() == "before"
    at.unlink()
    check_refused(lambda: log(NOTICE, file=str(at)))
    assert not at.exists()


def test_a_notice_is_appended_to_a_log(tmp_path):
    for name in ("notices.jsonl", "log", "x.LOG"):
        log(NOTICE, file=str(tmp_path / name))
        log(NOTICE, file=str(tmp_path / name))
        assert (tmp_path / name).read_text().count("\n") == 2
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_log_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "log.txt")
    with pytest.raises(EvermodelError, match="cannot be written"):
        log(NOTICE, file=str(tmp_path / "log.txt"))


SIGNATURES = {
    "nested": f"[inputs.a]\ncolumns = {DEEP}",
    "a class of many digits": f'[outputs.a]\ntarget = "t"\nclasses = [0x{"f" * 5000}]',
    "a class that is a table": '[outputs.a]\ntarget = "t"\nclasses = [{a = 1}]',
    "a name that drives the terminal": '[inputs."\\u001b[2J"]\ncolumns = 1',
    "a part of Python": '[__class__.a]\ncolumns = ["x"]',
    "columns that are one text": '[inputs.a]\ncolumns = "abc"',
    "two that are judged": '[outputs.a]\ntarget="t"\nprimary=true\n[outputs.b]\ntarget="t"\nprimary=true',
    "truth that is a text": '[outputs.a]\ntarget = "t"\nprimary = "yes"',
}


@pytest.mark.parametrize("kind", SIGNATURES)
def test_a_signature(tmp_path, kind):
    at = tmp_path / "signature.toml"
    at.write_text(SIGNATURES[kind])
    check_refused(lambda: read_signature_file(at))


def test_an_encrypted_key_is_refused_and_nobody_is_asked(tmp_path):
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    hidden = serialization.BestAvailableEncryption(b"secret")
    pem, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(pem, kind, hidden)
    (tmp_path / "key.pem").write_bytes(key)
    both = tmp_path / "key.pem"
    error = check_refused(ServerSettings(None, tls_certificate=both, tls_key=both).check)
    assert "PRIVATE KEY" not in str(error)


def test_trust_that_a_stranger_s_folder_gives_is_none(tmp_path, monkeypatch):
    """A list of trusted files in the folder that one stands in, and a variable that points there."""
    digest = "a" * 64
    (tmp_path / "evermodel" / "trusted").mkdir(parents=True)
    (tmp_path / "evermodel" / "trusted" / digest).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("XDG_STATE_HOME", ".")
    monkeypatch.delenv("EVERMODEL_TRUST", raising=False)
    with pytest.raises(Unsafe):
        check_trusted({"evil.py": digest})


TRUSTED: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a pipe": ("code.py", make_pipe),
    "8 GB": ("code.py", make_huge),
    "a device": ("code.py", link_device),
    "the name of a module of Python": ("os.py", Path.touch),
    "our own name": ("evermodel.py", Path.touch),
    "a name that is no name": ("a-b.py", Path.touch),
}


@pytest.mark.parametrize("kind", TRUSTED)
def test_a_file_to_trust(tmp_path, kind):
    name, make = TRUSTED[kind]
    make(tmp_path / name)
    check_refused(lambda: read_user_code([tmp_path / name]))


def test_a_setting_is_said_to_be_too_large(tmp_path):
    """The limit itself is tested: a file just below it is read."""
    at = tmp_path / "policy.toml"
    at.write_text('[models.m]\ndata = "x"\n' + "#" * 900_000)
    assert read_policies(at) == {"m": {"data": "x"}}
    at.write_text('[models.m]\ndata = "x"\n' + "#" * 1_100_000)
    with pytest.raises(BadSetting, match="allowed"):
        read_policies(at)

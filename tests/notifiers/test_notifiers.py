"""Notices arrive at real HTTP and SMTP servers, once each; secrets stay secret."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from evermodel.core.errors import BadSetting, NotDelivered
from evermodel.core.notice import NOTIFIERS, Notice
from evermodel.monitoring.notice_delivery import Channel, send_once
from evermodel.registry.lookup import open_store
from evermodel.testing import notifiers as contract
from scripts.servers import free_port

NOTICE = contract.EXAMPLE


@contextmanager
def http(status: int = 200, **headers: str) -> Iterator[SimpleNamespace]:
    """A web server that keeps what is POSTed."""
    came = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append(SimpleNamespace(headers=self.headers, body=body, path=self.path))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}/topsecret", came=came)
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def smtp(**settings) -> Iterator[SimpleNamespace]:
    """An SMTP server that keeps its messages."""
    from aiosmtpd.controller import Controller

    came = []

    class Keep:
        async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd calls it so
            came.append(envelope)
            return "250 kept"

    controller = Controller(Keep(), hostname="127.0.0.1", port=free_port(), **settings)
    controller.start()
    try:
        yield SimpleNamespace(port=controller.port, came=came)
    finally:
        controller.stop()


@pytest.fixture
def ways(tmp_path, monkeypatch):
    """notifier -> (send, received, refused)."""
    monkeypatch.setenv("KEY", "topsecret")
    dead = f"http://127.0.0.1:{free_port()}/topsecret"
    monkeypatch.setenv("DEAD", dead)
    with http() as hook, http() as chat, smtp() as post:
        monkeypatch.setenv("CHAT", chat.url)
        mail = {"to": "a@example.org", "sender": "m@example.org", "host": "127.0.0.1", "security": "none"}
        found = {
            "log": (
                {"file": str(tmp_path / "log")},
                lambda: _lines(tmp_path / "log"),
                {"file": str(tmp_path / "no" / "x")},
            ),
            "webhook": (
                {"url": hook.url, "key": "env:KEY"},
                lambda: [c.body.decode() for c in hook.came],
                {"url": dead, "key": "env:KEY"},
            ),
            "slack": ({"url": "env:CHAT"}, lambda: [c.body.decode() for c in chat.came], {"url": "env:DEAD"}),
            "email": (mail | {"port": post.port}, lambda: [_body(e) for e in post.came], mail | {"port": free_port()}),
        }
        yield {
            n: (partial(NOTIFIERS.load(n), **good), received, partial(NOTIFIERS.load(n), **bad))
            for n, (good, received, bad) in found.items()
        }


def _lines(at):
    return at.read_text().splitlines() if at.exists() else []


def _body(envelope):
    import email
    import email.policy

    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    return f"{message['Subject']}\n{message.get_content()}"


@pytest.mark.parametrize("name", ["email", "log", "slack", "webhook"])
def test_each_notifier_keeps_its_promises(ways, name):
    assert set(ways) == set(NOTIFIERS.names())
    assert contract.check_notifier(*ways[name], "topsecret") == len(contract.CHECKS)


def refuses(notice):
    raise NotDelivered("nobody answered")


def chatty(notice):
    raise NotDelivered("http://host/topsecret did not answer")


def chatty_cause(notice):
    try:
        raise OSError("http://host/topsecret did not answer")
    except OSError as error:
        raise NotDelivered("nobody answered") from error


def sends(came, part):
    return lambda notice: came.append(part(notice))


@pytest.mark.parametrize(
    ("check", "part", "fail"),
    [
        (contract.check_everything_arrives, lambda notice: notice.what, refuses),
        (contract.check_undelivered_raises, Notice.text, lambda notice: None),
        (contract.check_secrets_stay_hidden, Notice.text, chatty),
        (contract.check_secrets_stay_hidden, Notice.text, chatty_cause),
    ],
)
def test_each_check_catches_the_notifier_that_breaks_it_and_no_other_check_does(check, part, fail):
    came: list[str] = []
    broken = contract.Notifier(sends(came, part), lambda: came, fail, "topsecret")
    with pytest.raises(AssertionError):
        check(broken)
    with pytest.raises(AssertionError, match=re.escape(check.__doc__)):
        contract.check_notifier(broken.send, broken.received, broken.fail, broken.secret)
    for other in set(contract.CHECKS) - {check}:
        other(broken)


def test_a_webhook_is_signed(ways, monkeypatch):
    monkeypatch.setenv("KEY", "topsecret")
    with http() as hook:
        NOTIFIERS.load("webhook")(NOTICE, url=hook.url, key="env:KEY")
        (came,) = hook.came
    told, moment = came.headers["X-Evermodel-Signature"], came.headers["X-Evermodel-Timestamp"]
    mac = hmac.new(b"topsecret", moment.encode() + b"." + came.body, hashlib.sha256).hexdigest()
    assert told == f"sha256={mac}"
    assert json.loads(came.body)["key"] == NOTICE.key and b"Infinity" not in came.body and b"topsecret" not in came.body


@pytest.mark.parametrize(("status", "headers"), [(500, {}), (404, {}), (302, {"Location": "http://127.0.0.1:1/"})])
def test_a_refusal_or_a_redirect_is_no_delivery(status, headers):
    with http(status, **headers) as hook, pytest.raises(NotDelivered, match=str(status)):
        NOTIFIERS.load("webhook")(NOTICE, url=hook.url)


def test_slack_gets_no_links_and_calls_nobody(ways):
    send, received, _ = ways["slack"]
    send(NOTICE)
    text = json.loads(received()[-1])["text"]
    assert "&lt;here&gt;" in text and "<" not in text


def test_no_header_can_be_slipped_into_a_mail(ways):
    send, received, _ = ways["email"]
    send(NOTICE)
    assert received()[-1].count("\nBcc:") == 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here; apt-get install openssl")
def test_a_password_goes_over_starttls_only(tmp_path, monkeypatch):
    import ssl

    from aiosmtpd.smtp import AuthResult

    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        tmp_path / "key",
        "-out",
        tmp_path / "cert",
    ]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    seen = []

    def login(server, session, envelope, mechanism, data):
        seen.append((data.login, data.password))
        return AuthResult(success=True)

    monkeypatch.setenv("MAIL", "topsecret")
    send = NOTIFIERS.load("email")
    mail = {"to": "a@example.org", "sender": "m@example.org", "host": "localhost", "user": "me", "password": "env:MAIL"}
    with smtp(tls_context=context, require_starttls=True, authenticator=login, auth_required=True) as post:
        with pytest.raises(NotDelivered):
            send(NOTICE, **mail, port=post.port)  # a certificate nobody vouches for
        assert not post.came and not seen
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))
        send(NOTICE, **mail, port=post.port)
        assert len(post.came) == 1 and seen == [(b"me", b"topsecret")]
    with pytest.raises(BadSetting, match="unencrypted"):
        send(NOTICE, **mail, security="none")


@pytest.mark.parametrize("named", ["topsecret", "env:NOT_SET_ANYWHERE", "file:/nowhere/at/all", "env:", ""])
def test_a_secret_is_named_not_written_out(named):
    with pytest.raises(BadSetting) as error:
        NOTIFIERS.load("slack")(NOTICE, url=named)
    assert "topsecret" not in str(error.value)


def test_each_matter_is_told_once_a_level(tmp_path):
    store = open_store(tmp_path)
    with http() as hook:
        ways = [Channel("webhook", {"url": hook.url})]
        at = lambda level: send_once(store, Notice("k", "m", level, "what"), ways)  # noqa: E731
        assert at("ok") is None
        assert [bool(at(level)) for level in ("warning", "warning", "critical", "critical", "ok", "ok")] == [
            True,
            False,
            True,
            False,
            True,
            False,
        ]
        assert [json.loads(c.body)["level"] for c in hook.came] == ["warning", "critical", "ok"]
        with ThreadPoolExecutor(6) as pool:
            told = list(
                pool.map(lambda _: send_once(open_store(tmp_path), Notice("j", "m", "critical", "x"), ways), range(6))
            )
        assert sum(t is not None for t in told) == 1 and len(hook.came) == 4


def test_what_nobody_took_is_told_again(tmp_path):
    store, notice = open_store(tmp_path), Notice("k", "m", "critical", "what")
    dead = Channel("webhook", {"url": f"http://127.0.0.1:{free_port()}/"})
    failed = send_once(store, notice, [dead])
    assert failed.sent_by == () and "webhook" in failed.failed
    with http() as hook:
        assert send_once(store, notice, [dead, Channel("webhook", {"url": hook.url})]).sent_by == ("webhook",)
        assert len(hook.came) == 1
    assert [e.kind for e in store.read_events("m")] == ["not notified", "notified"]


@pytest.mark.parametrize(
    "channel", [Channel("pigeon"), Channel("webhook"), Channel("webhook", {"url": "http://a", "x": 1}), Channel("")]
)
def test_a_wrong_way_is_refused_before_anything_is_sent(tmp_path, channel):
    from evermodel.core.errors import AskedWrongly

    with pytest.raises(AskedWrongly):
        send_once(open_store(tmp_path), NOTICE, [channel])
    assert open_store(tmp_path).read_events() == []


def test_alarms_of_a_real_monitor_are_told_once_and_when_over(tmp_path):
    import evermodel
    from tests.cli.ground import ask, make_ground
    from tests.updating.conftest import rows

    registry = make_ground(tmp_path).registry
    evermodel.watch("m", rows(1000, 10), window="500rows", registry=registry)
    with http() as hook:
        typed = ["notify", "m", "--with", "webhook", "--set", f"url={hook.url}"]
        assert ask(typed, registry).code == 0 and hook.came == []
        evermodel.watch("m", rows(1500, 21, angle=1.5), registry=registry)
        answer = ask([*typed, "--json"], registry)
        assert answer.code == 0 and json.loads(answer.out)["sent"]
        told = [json.loads(c.body) for c in hook.came]
        assert told and all(t["next_command"].startswith("evermodel") and t["level"] != "ok" for t in told)
        assert json.loads(ask([*typed, "--json"], registry).out)["sent"] == [] and len(hook.came) == len(told)
        assert ask([*typed, "--test"], registry).code == 0 and len(hook.came) == len(told) + 1
    assert ask([*typed, "--test"], registry).code == 1
    for wrong in (["pigeon"], ["webhook"], ["webhook", "--test"], ["webhook", "--set", "to=me"]):
        assert ask(["notify", "m", "--with", *wrong], registry).code == 2
    assert "notified" in ask(["history", "m"], registry).out

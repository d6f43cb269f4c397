"""Sends notices by e-mail."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Annotated, Literal

from evermodel.core.errors import BadSetting, NotDelivered
from evermodel.core.notice import Notice
from evermodel.core.secrets import read_secret
from evermodel.core.settings import In

__all__ = ["email"]


def email(
    notice: Notice,
    /,
    *,
    to: str,
    sender: str,
    host: str = "localhost",
    port: Annotated[int, In(1, 65535)] = 587,
    security: Literal["starttls", "tls", "none"] = "starttls",
    user: str = "",
    password: str = "",
    timeout: float = 20.0,
) -> None:
    """A plain text message to ``to`` (A,B) through an SMTP server. ``security``: starttls, tls, or none (loopback).

    ``password`` is env:NAME or file:PATH, and is never sent unencrypted. Raises NotDelivered, BadSetting.
    """
    if user and security == "none":
        raise BadSetting(
            "A password is never sent unencrypted.", "security must be starttls or tls where user is given."
        )
    message = EmailMessage()
    try:
        message["From"], message["To"], message["Subject"] = sender, to, notice.title()
    except ValueError as error:
        raise BadSetting(f"to and sender must be addresses on one line ({error}).") from None
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="evermodel")
    message.set_content(notice.text() + "\n")
    hidden = read_secret(password, "password") if user else ""
    try:
        safe = ssl.create_default_context()
        if security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=timeout, context=safe)
        else:
            server = smtplib.SMTP(host, port, timeout=timeout)
        with server:
            if security == "starttls":
                server.starttls(context=safe)
            if user:
                server.login(user, hidden)
            server.send_message(message)
    except (smtplib.SMTPException, OSError) as error:
        answer = getattr(error, "smtp_error", None)
        reason = answer.decode(errors="replace") if isinstance(answer, bytes) else type(error).__name__
        raise NotDelivered(
            f"{host}:{port} did not take a message ({reason}).", "Check that the server is up and lets this user send."
        ) from None

"""Every error Evermodel raises on purpose, one class a cause.

    EvermodelError                 what was asked is right, and something else failed; exit code 1
    ├── Moved                      a name was moved by somebody else meanwhile (compare-and-swap)
    │   └── LeaseLost              a job was taken over by another worker; this one's effects are refused
    ├── Damaged                    a file or row of the registry is not what was stored
    ├── OutOfSpace                 the disk is full; nothing was changed
    ├── NotDelivered               another program did not take what we sent it; nothing here has changed
    └── AskedWrongly               the request, or a file that was given, must be another one; exit code 2
        ├── BadData                the rows cannot be read, or are not what they claim to be
        │   ├── NoData             there are no (usable) rows
        │   │   └── NoRows         the source is readable and has no row (yet)
        │   └── ContractBroken     the rows do not fit what the model expects
        ├── BadModel               the model file cannot be read, or is not a model
        │   └── Unsafe             reading it would run code that a stranger wrote
        ├── NotSigned              signatures are demanded, and a trusted key did not sign this version
        ├── Ambiguous              several readings fit what was given; the hint names the option that decides
        ├── BadSetting             a setting is unknown or out of its bounds
        ├── NotFound               no such model, version, file or plugin
        ├── BrokenPlugin           another package's plugin cannot be imported, or lacks what its kind needs
        └── MissingExtra           an optional package is needed; the message says what to type

A message is one sentence saying the rule and what was got; ``hint`` is one sentence saying what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

from evermodel.core.masking import mask_secrets

LONGEST = 1_000  # letters of a message


class EvermodelError(Exception):
    """Something went wrong, we know what, and nothing was lost."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = _shorten(mask_secrets(message)), _shorten(mask_secrets(hint))
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\nHint: {self.hint}" if self.hint else self.message


def _shorten(text: str) -> str:
    """What was got may be a megabyte of a stranger's file. Its middle is left out: what is said of it often follows."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 + 3 :]}"


class Moved(EvermodelError):
    """A name was moved by somebody else between reading it and moving it."""


class LeaseLost(Moved):
    """A job was taken over by another worker, or ended; what this one wanted to do is refused."""


class Damaged(EvermodelError):
    """A stored file no longer has the hash it was stored under, or is gone; or a row is not what we write.

    Of the registry alone: a damaged model file, backup or table that somebody gives is BadModel or BadData.
    """


class OutOfSpace(EvermodelError):
    """The disk is full; nothing that was stored before has changed."""


class NotDelivered(EvermodelError):
    """Another program did not take what we sent it; nothing here has changed."""


class AskedWrongly(EvermodelError):
    """The request cannot be carried out as it stands; nothing was changed."""

    exit_code: ClassVar[int] = 2


class BadData(AskedWrongly):
    """The rows cannot be read, or are not what they claim to be."""


class NoData(BadData):
    """There are no rows, or none that can be used."""


class NoRows(NoData):
    """The source can be read and has no row, or none yet: a query or a file that is filled later."""


class ContractBroken(BadData):
    """The rows do not fit what the model expects, and no exact migration exists."""


class BadModel(AskedWrongly):
    """The model file cannot be read, or is not a model we can keep."""


class Unsafe(BadModel):
    """Reading the file would run code that came with it."""


class NotSigned(AskedWrongly):
    """A version is not signed by a key that is trusted, and signatures are demanded."""


class Ambiguous(AskedWrongly):
    """Several readings fit what was given, and they answer differently: the user has to say which is meant."""


class BadSetting(AskedWrongly):
    """A setting is unknown, of another type, or out of its bounds."""


class NotFound(AskedWrongly):
    """No such model, version, file, column or plugin."""

    @classmethod
    def among(cls, what: str, name: str, known: Iterable[str], hint: str = "") -> NotFound:
        """Names what there is, and the nearest, so that the next try can be right."""
        there_is = [one if one.isprintable() else repr(one) for one in sorted(known)]  # a name may hold a line's end
        near = difflib.get_close_matches(name, there_is, n=1, cutoff=0.5)
        shown = ", ".join(there_is[:20]) + (", …" if len(there_is) > 20 else "")
        listing = f"There is: {shown}." if there_is else "There is none yet."
        guess = f"Did you mean {near[0]!r}? " if near else ""
        return cls(f"There is no {what} {name!r}.", (guess + listing + (" " + hint if hint else "")).strip())


class BrokenPlugin(AskedWrongly):
    """A plugin of another package cannot be imported, or does not have what its kind needs."""


class MissingExtra(AskedWrongly):
    """An optional package is needed for this; the hint says what to type."""

    @classmethod
    def for_package(cls, package: str, extra: str, what: str) -> MissingExtra:
        return cls(
            f"{what} needs the package {package!r}, which is not installed.", f'pip install "evermodel[{extra}]"'
        )

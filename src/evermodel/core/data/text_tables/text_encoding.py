"""Checks that a file is text in UTF-8 before a parser sees it."""

from __future__ import annotations

import codecs
from pathlib import Path

from evermodel.core.errors import BadData

CHUNK = 1 << 22


CONVERT = "Convert it, if it is Latin-1 or Windows-1252: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW."


def check_text(path: Path, hint: str = CONVERT) -> None:
    """Raises BadData saying at which byte a file stops being UTF-8 text; ``hint`` says what to do. A second a GB."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    at = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            _check_start(path, chunk, at)
            waiting = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                raise _not_utf8(path, at - waiting + error.start, error.object[error.start], hint) from None
            at += len(chunk)
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise BadData(f"{path} ends in the middle of a character.", "Was the copy interrupted?") from None


def _check_start(path: Path, chunk: bytes, at: int) -> None:
    if at == 0 and chunk[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise BadData(f"{path} is UTF-16, not UTF-8.", "Convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW.")
    zero = chunk.find(b"\x00")
    if zero >= 0:
        raise BadData(f"{path} is not text: byte {at + zero:,} is zero.", "Is it another kind of file?")


def _not_utf8(path: Path, at: int, byte: int, hint: str) -> BadData:
    return BadData(f"{path} is not UTF-8: byte {at:,} is 0x{byte:02x}.", hint)

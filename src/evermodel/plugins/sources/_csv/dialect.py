"""How a text table is written: its encoding, separator, quotes, line ends, and the lines before its header."""

from __future__ import annotations

import csv as reader
import io
from dataclasses import dataclass
from pathlib import Path

from evermodel.core.data.text_tables.stated_values import read_encoding, read_separator

SEPARATORS = (",", ";", "\t", "|")
BLANKS = " "  # one or more blanks between the values
START = 65_536  # bytes by which a dialect is told
FEW_LINES = 20
COMMENT = "#"
UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Dialect:
    """``skipped``: lines before the header, ``sep=;`` or comments; then ``comment`` begins those below too."""

    separator: str
    encoding: str = "utf-8"
    quote: str = '"'
    skipped: int = 0
    comment: str = ""
    lone_returns: bool = False  # lines end in a carriage return alone

    @property
    def is_plain(self) -> bool:
        """Whether the table can be read as it stands."""
        usual = self.encoding == "utf-8" and self.quote == '"' and not self.skipped and not self.lone_returns
        return usual and self.separator != BLANKS


def find_dialect(source: Path, separator: str = "auto", encoding: str = "auto") -> Dialect:
    """The dialect of a file, by its first lines; ``separator`` and ``encoding`` where they are stated.

    Raises BadSetting where what is stated is no separator or no encoding.
    """
    separator = separator if separator == "auto" else read_separator(separator)
    encoding = encoding if encoding == "auto" else read_encoding(encoding)
    with source.open("rb") as file:
        start = file.read(START)
    if encoding == "auto":
        encoding = "utf-16" if start[:2] in UTF16 else "utf-8"
    text = start.decode("utf-8-sig" if encoding == "utf-8" else encoding, "ignore")
    lone = "\n" not in text and "\r" in text.rstrip("\r")
    lines = text.replace("\r", "\n").split("\n") if lone else text.split("\n")
    lines = [line.rstrip("\r") for line in lines]
    skipped, said = _find_header(lines)
    comment = COMMENT if skipped and not said else ""
    rest = lines[skipped:]
    quote = "'" if _is_quoted(rest[0] if rest else "") else '"'
    found = said or find_separator("\n".join(rest), quote) if separator == "auto" else separator
    if separator == "auto" and not said and found not in (rest[0] if rest else "") and _is_by_blanks(rest):
        found = BLANKS
    return Dialect(found, encoding, quote, skipped, comment, lone)


def _find_header(lines: list[str]) -> tuple[int, str]:
    """How many lines stand before the header, and the separator that one of them states ("sep=;"), else ""."""
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].strip('"')) == 5:
        return 1, lines[0][4]
    at = 0
    while at < len(lines) and lines[at].startswith(COMMENT):
        at += 1
    if at == 1:  # "#id,a,b" is a header where the next line has as many values
        counts = [sum(line.count(s) for s in SEPARATORS) for line in lines[:2]]
        if len(counts) == 2 and counts[0] == counts[1] > 0:
            return 0, ""
    return (at, "") if at < len(lines) else (0, "")


def _is_quoted(header: str) -> bool:
    """Whether all names of a header stand between single quotes."""
    for separator in SEPARATORS:
        names = [name.strip() for name in header.split(separator)]
        if len(names) > 1 and all(len(n) > 1 and n[0] == n[-1] == "'" for n in names):
            return True
    return False


def find_separator(text: str, quote: str = '"') -> str:
    """The separator that cuts the first lines into the most fields, as many in each."""
    best, most = ",", 1
    for between in SEPARATORS:
        try:
            cut = reader.reader(io.StringIO(text, newline=""), delimiter=between, quotechar=quote)
            rows = [len(r) for r in cut if r]
        except reader.Error:
            continue
        full = rows[: max(1, min(len(rows) - 1, FEW_LINES))]  # the last may be cut off
        if full and full[0] > most and max(full) == min(full):
            best, most = between, full[0]
    if most > 1:
        return best
    line = text.split("\n", 1)[0]
    return max(SEPARATORS, key=lambda s: line.count(s))


def _is_by_blanks(lines: list[str]) -> bool:
    """Whether blanks separate the values: each line has as many as the header, and one column holds numbers."""
    rows = [line.split() for line in lines[:FEW_LINES] if line.strip()]
    if len(lines) <= FEW_LINES and len(rows) > 1 and lines[-1].strip():
        rows = rows[:-1] if len(rows) > 2 else rows
    if len(rows) < 2 or len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
        return False
    return any(all(_is_number(row[i]) for row in rows[1:]) for i in range(len(rows[0])))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_headerless(names: list[str]) -> bool:
    """Whether the first line holds values: nothing but numbers, which do not count the columns."""
    if not all(_is_number(n) for n in names if n) or not any(names):
        return False
    return names not in ([str(i) for i in range(len(names))], [str(i + 1) for i in range(len(names))])

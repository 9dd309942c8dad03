"""The members of a JSON object in a file, lists row by row: memory does not grow with the file.

A window moves along the file. What lies in it is cut where a row seems to end, at a comma between `}` and `{`, and the
piece is parsed as a list of its own. A JSON parser knows at each character what may follow, so a piece that parses ends
where a row ends, whatever strings and nested lists the rows hold; one that does not parse is read value by value.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, NoReturn

import orjson

_WINDOW = 1 << 16  # characters; larger ones are slower, for rows fall out of the processor's cache before they are used
_LONGEST = 1 << 28  # characters of one value
_CUT_SHORT = 16  # characters before the end of a window in which a value that goes on behind it can look wrong

_BLANKS = re.compile(r"[ \t\n\r]*")
_BORDER = re.compile(r"\}[ \t\n\r]*,[ \t\n\r]*(?=\{)")
_DECODER = json.JSONDecoder()


class Member(NamedTuple):
    """A member of the object that is no list."""

    key: str
    value: Any


class Rows(NamedTuple):
    """Some rows of a list, in order; a list that is empty comes once, without a row.

    Attributes:
        key: The list's name.
        offset: Where in the file the list begins, for `read_rows`.
        first: Index of the first of these rows in the list.
        rows: The rows.
    """

    key: str
    offset: int
    first: int
    rows: list[Any]


def read_members(file: BinaryIO) -> Iterator[Member | Rows]:
    """Read the object in the file; nothing comes of a list or a single value.

    Raises:
        ValueError: The file is not JSON, or a value is endless.
        RecursionError: A value is nested too deeply.
        OSError: The file cannot be read.
    """
    window = _Window(file, len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else 0)
    if window.peek() == "[":
        return
    if window.peek() != "{":
        window.value()
        window.end()
        return
    window.take("{")
    more = window.peek() != "}"
    while more:
        key = window.key()
        if window.peek() == "[":
            offset = window.offset
            for first, rows in window.rows():
                yield Rows(key, offset, first, rows)
        else:
            yield Member(key, window.value())
        more = window.peek() != "}"
        if more:
            window.take(",")
    window.take("}")
    window.end()


def read_rows(file: BinaryIO, offset: int) -> Iterator[tuple[int, list[Any]]]:
    """Read one list once more: index of the first row and some rows, in turn. Raises as `read_members`."""
    return _Window(file, offset).rows()


class _Window:
    """A stretch of a file, from the next character on."""

    def __init__(self, file: BinaryIO, offset: int) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._start = offset  # of the text in the file, bytes
        self._end = offset
        file.seek(offset)

    @property
    def offset(self) -> int:
        """Where in the file the next character is."""
        return self._start + self._bytes_to(self._at)

    def peek(self) -> str:
        """The next character that is not blank; none at the end of the file."""
        while True:
            self._at = self._after_blanks(self._at)
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, expected: str) -> None:
        """Go past the next character that is not blank, which must be this one."""
        if self.peek() != expected:
            self._refuse(f"Expecting {expected!r}", self._at)
        self._at += 1

    def end(self) -> None:
        """Make sure that nothing follows."""
        if self.peek():
            self._refuse("Extra data", self._at)

    def key(self) -> str:
        """A member's name; goes past the colon, too."""
        if self.peek() != '"':
            self._refuse("Expecting property name enclosed in double quotes", self._at)
        key = str(self.value())
        self.take(":")
        return key

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        while (found := self._decode()) is None:
            pass
        value, self._at = found
        return value

    def rows(self) -> Iterator[tuple[int, list[Any]]]:
        """The values of the list that begins here, some at a time, and the index of the first of them."""
        self.take("[")
        if self.peek() == "]":
            self._at += 1
            yield 0, []
            return
        first, ended = 0, False
        while not ended:
            rows = self._many_rows()
            if not rows:
                rows, ended = self._rows_one_by_one()
            yield first, rows
            first += len(rows)

    def _many_rows(self) -> list[Any]:
        """Rows up to the last border in the window; none if there is no border, or what lies before it is no rows."""
        if len(self._text) - self._at < _WINDOW:
            self._more()
        border = self._last_border()
        if border is None:
            return []
        try:
            rows: list[Any] = orjson.loads(f"[{self._text[self._at : border.start() + 1]}]")
        except orjson.JSONDecodeError:  # also where only the standard library reads on, as with NaN
            return []
        self._at = border.end()
        return rows

    def _last_border(self) -> re.Match[str] | None:
        searched = 1 << 11
        while True:
            start = max(self._at, len(self._text) - searched)
            border = None
            for border in _BORDER.finditer(self._text, start):  # noqa: B007 (the last one is wanted)
                pass
            if border or start == self._at:
                return border
            searched *= 8

    def _rows_one_by_one(self) -> tuple[list[Any], bool]:
        """The rows in the window, at least one, and whether the list ends with them."""
        rows: list[Any] = []
        while True:
            self.peek()
            found = self._decode()
            if found is None:
                if rows:
                    return rows, False
                continue
            value, self._at = found
            rows.append(value)
            if self.peek() == "]":
                self._at += 1
                return rows, True
            self.take(",")

    def _decode(self) -> tuple[Any, int] | None:
        """The next value and where it ends; None if it may end behind the window, which is larger then."""
        text = self._text
        try:
            value, end = _DECODER.raw_decode(text, self._at)
        except json.JSONDecodeError as exc:
            cut_short = exc.pos >= len(text) - _CUT_SHORT or exc.msg.startswith("Unterminated string")
            if not cut_short or not self._more():
                self._refuse(exc.msg, exc.pos)
            return None
        if end > len(text) - _CUT_SHORT and self._more():  # a number may go on
            return None
        return value, end

    def _after_blanks(self, at: int) -> int:
        blanks = _BLANKS.match(self._text, at)
        assert blanks  # also when there are none
        return blanks.end()

    def _more(self) -> bool:
        """Move the window on, at least doubling what is in it; whether there was more."""
        left = self._text[self._at :]
        if len(left) > _LONGEST:
            self._refuse(f"Nothing ends within {_LONGEST >> 20} MiB", self._at)
        piece, data = "", b"more"
        while data and not piece:
            data = self._file.read(max(_WINDOW, len(left)))
            try:
                piece = self._decoder.decode(data, final=not data)
            except UnicodeDecodeError as exc:
                raise ValueError(f"{exc.reason} in UTF-8, {self._end + exc.start} bytes or so into it") from exc
            self._end += len(data)
        if piece:
            self._start, self._text, self._at = self.offset, left + piece, 0
        return bool(piece)

    def _bytes_to(self, at: int) -> int:
        return at if self._text.isascii() else len(self._text[:at].encode())

    def _refuse(self, rule: str, at: int) -> NoReturn:
        offset = self._start + self._bytes_to(at)
        line, start, seen = 1, 0, 0
        self._file.seek(0)
        while data := self._file.read(min(_WINDOW, offset - seen)):
            line += data.count(b"\n")
            start = max(start, seen + data.rfind(b"\n") + 1) if b"\n" in data else start
            seen += len(data)
        raise ValueError(f"{rule}: line {line} column {offset - start + 1}")

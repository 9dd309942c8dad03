"""What cleaning did: one action an object or image, one row of `cleaning.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields


@dataclass(frozen=True)
class Action:
    """Something that was mended or left out.

    Attributes:
        image: Name of the image.
        record: Which object of it, `object 0` being its first; empty for the image itself.
        rule: What was done; the same words wherever it was done.
        detail: How much, or why; may be empty.
    """

    image: str
    record: str
    rule: str
    detail: str


def actions_to_csv(actions: Iterable[Action]) -> bytes:
    """The actions as CSV: RFC 4180, UTF-8, a header, in the order given.

    Bytes of a file name that are no UTF-8 are escaped as Python does.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow([field.name for field in fields(Action)])
    rows.writerows(astuple(action) for action in actions)
    return text.getvalue().encode("utf-8", errors="backslashreplace")

"""Names that can be written down: in a manifest, a label list, a page, a terminal."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

from segsweep.dataset.records import RawDataset
from segsweep.errors import Problem

# Control characters, halves of surrogate pairs, line and paragraph separators.
_UNWRITABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def is_line(text: str) -> bool:
    """Whether a text is one line that can be written down anywhere."""
    return not any(unicodedata.category(character) in _UNWRITABLE for character in text)


def check_names(dataset: RawDataset, source: str) -> RawDataset:
    """The dataset with a problem more for each name that cannot be told.

    A file's name may hold anything but bytes that are no UTF-8; a class's name is one line of text.

    Args:
        dataset: As read.
        source: Where it was read from, for messages.
    """
    problems = [
        Problem(
            record.name.encode("utf-8", "backslashreplace").decode(), "the file's name must be UTF-8", fix="rename it"
        )
        for record in dataset.images
        if not _is_utf8(record.name)
    ]
    problems += [
        Problem(source, "the name of a class must be one line of text", "classes", ascii(name))
        for name in dataset.classes
        if not is_line(name)
    ]
    return replace(dataset, problems=(*dataset.problems, *problems)) if problems else dataset


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True

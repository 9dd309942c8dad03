"""Safe file names: what any file system, shell and label list can hold, stable from one run to the next."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection
from pathlib import PurePosixPath

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
# What tiles and augmented copies add to the stem of their image. A stem that ends like this could be mistaken for one.
_ADDED = re.compile(r"-(r\d+c\d+|copy\d+)$", re.IGNORECASE)
# Characters. A tar holds names of 100: a hash (11), a tile and a copy (`-r123c123-copy12`) and the extension must fit.
_LONGEST = 65


def unique_stems(names: Collection[str]) -> dict[str, str]:
    """A safe stem for each name: its own if that is safe and the only one, else one with a hash of the whole name.

    Args:
        names: Relative POSIX paths of images; unique.

    Returns:
        Name -> stem; stems differ also where upper and lower case are one. A name's stem depends on no order.
    """
    plain = {name: _UNSAFE.sub("_", PurePosixPath(name).stem).strip("._-")[:_LONGEST] for name in names}
    uses = Counter(stem.lower() for stem in plain.values())
    stems = {}
    for name, stem in plain.items():
        is_plain = stem == PurePosixPath(name).stem and not _ADDED.search(stem)
        kept = is_plain and uses[stem.lower()] == 1
        stems[name] = stem if kept else f"{stem or 'image'}-{_hash(name)}"
    return stems


def _hash(name: str) -> str:
    # A file's name may hold bytes that are no UTF-8; Python carries them as lone surrogates.
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:10]

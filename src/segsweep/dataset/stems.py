"""Safe file names: what any file system, shell and label list can hold, stable from one run to the next."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection
from pathlib import PurePosixPath

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 80  # characters; with hash and extension a name must stay below the 100 of a tar


def unique_stems(names: Collection[str]) -> dict[str, str]:
    """A safe stem for each name: its own if that is safe and the only one, else with a hash of the whole name.

    Args:
        names: Relative POSIX paths of images; unique.

    Returns:
        Name -> stem; stems differ also where upper and lower case are one. A name's stem depends on no order.
    """
    plain = {name: _UNSAFE.sub("_", PurePosixPath(name).stem).strip("._-")[:_LONGEST] for name in names}
    uses = Counter(stem.lower() for stem in plain.values())
    stems = {}
    for name, stem in plain.items():
        kept = stem == PurePosixPath(name).stem and uses[stem.lower()] == 1
        stems[name] = stem if kept else f"{stem or 'image'}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"
    return stems

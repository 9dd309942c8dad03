"""Small JSON files beside images: read whole, and no larger than they may honestly be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from segsweep.dataset.records import Findings
from segsweep.storage.plain import read_plain


def read_json(file: Path, most_bytes: int, where: str, findings: Findings) -> Any:
    """What a JSON file holds; None where it cannot be read, which is told, and where it holds null.

    Args:
        file: The file.
        most_bytes: How large it may be.
        where: Its name, for messages.
        findings: Takes faults.
    """
    try:
        return json.loads(read_plain(file, most_bytes).decode("utf-8-sig"))
    except (ValueError, RecursionError) as exc:
        findings.fault(where, f"must be JSON: {exc}")
    except OSError as exc:
        findings.fault(where, f"cannot be read: {exc.strerror}")
    return None

"""Ultralytics on the judging side: offline, silent, and loading checkpoints without running code from them.

Ultralytics reads its environment once, at its first import in a process; call this before that.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from segsweep.errors import MissingExtraError, Problem
from segsweep.storage.files import disk_errors, written_whole

_FONT = "Arial.ttf"


def prepare_ultralytics(cache_dir: Path) -> None:
    """Set the environment that Ultralytics will read, and put the font where it would else download it to.

    Args:
        cache_dir: The node's cache; Ultralytics' settings live in `<cache_dir>/ultralytics`.

    Raises:
        MissingExtraError: Ultralytics is not installed.
        StorageError: The folder cannot be written.
    """
    if importlib.util.find_spec("ultralytics") is None or importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError(
            Problem("ultralytics", "is needed to evaluate and export", fix="pip install 'segsweep[train]'")
        )
    folder = cache_dir / "ultralytics"
    os.environ.setdefault("YOLO_CONFIG_DIR", str(folder))
    os.environ["YOLO_OFFLINE"] = "1"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_VERBOSE"] = "false"
    # A run's folder may come from somebody else: build known classes only, run no pickle of theirs.
    os.environ["ULTRALYTICS_SAFE_LOAD"] = "true"
    font = folder / _FONT
    with disk_errors(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        if not font.exists():
            import matplotlib  # noqa: PLC0415  (slow; only for its font, once a node)

            source = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
            with written_whole(font) as file:
                file.write(source.read_bytes())

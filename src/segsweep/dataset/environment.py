"""A node's environment for Ultralytics: offline, silent, no telemetry, no settings race, no code from checkpoints.

Ultralytics reads its environment once, when it is first imported: `prepare_ultralytics` comes before that in every
process, and whoever needs Ultralytics imports it afterwards.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
from pathlib import Path

from segsweep.errors import MissingExtraError, Problem
from segsweep.storage.files import disk_errors

_FONTS = ("Arial.ttf", "Arial.Unicode.ttf")
_INTEGRATIONS = ("sync", "clearml", "comet", "dvc", "hub", "mlflow", "neptune", "raytune", "tensorboard", "wandb")


def prepare_ultralytics(cache_dir: Path) -> None:
    """Point Ultralytics at a configuration folder of this node and fill the folder once, under a lock.

    Args:
        cache_dir: The node's cache; the folder is `<cache_dir>/ultralytics`.

    Raises:
        MissingExtraError: Ultralytics is not installed.
        StorageError: The folder cannot be written.
    """
    if importlib.util.find_spec("ultralytics") is None or importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError(Problem("ultralytics", "is not installed", fix="pip install 'segsweep[train]'"))
    folder = cache_dir / "ultralytics"
    os.environ["YOLO_CONFIG_DIR"] = str(folder)
    os.environ["YOLO_OFFLINE"] = "1"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_VERBOSE"] = "false"
    # Weights and runs may come from somebody else: build known classes only, run no pickle of theirs.
    os.environ["ULTRALYTICS_SAFE_LOAD"] = "true"
    ready = folder / "ready"
    if ready.exists():
        return
    with disk_errors(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not ready.exists():
                _write_settings()
                _stage_fonts()
                ready.touch()


def _write_settings() -> None:
    """Telemetry and every logging integration off; Ultralytics writes the file without an atomic rename."""
    from ultralytics import SETTINGS  # noqa: PLC0415 - must be imported after the environment is set

    SETTINGS.update({name: False for name in _INTEGRATIONS if name in SETTINGS})


def _stage_fonts() -> None:
    """Ultralytics downloads Arial at every dataset check that does not find it; matplotlib ships a stand-in."""
    import matplotlib  # noqa: PLC0415 - slow, and needed once a node
    from ultralytics.utils import USER_CONFIG_DIR  # noqa: PLC0415 - as above

    font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    for name in _FONTS:
        shutil.copyfile(font, USER_CONFIG_DIR / name)

"""A node's process environment for Ultralytics: offline-safe, no telemetry, no settings race.

Ultralytics reads its environment when it is imported, so `prepare_environment` comes before the first import of it in
a process. Whoever needs Ultralytics imports it after this call.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

_FONT = "Arial.ttf"


def prepare_environment(cache_dir: Path) -> None:
    """Point Ultralytics at a configuration folder of this node and write it once, under a lock.

    Args:
        cache_dir: The node's cache; the folder is `<cache_dir>/ultralytics`.
    """
    config_dir = cache_dir / "ultralytics"
    config_dir.mkdir(parents=True, exist_ok=True)
    os.environ["YOLO_CONFIG_DIR"] = str(config_dir)
    os.environ["YOLO_OFFLINE"] = "1"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    marker = config_dir / "ready"
    if marker.exists():
        return
    with (config_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if marker.exists():
            return
        _write_settings()
        _stage_font(config_dir)
        marker.touch()


def _write_settings() -> None:
    """Telemetry and every logging integration off; Ultralytics writes the file without an atomic rename."""
    from ultralytics import SETTINGS  # noqa: PLC0415 - must be imported after the environment is set

    off = ("sync", "clearml", "comet", "dvc", "hub", "mlflow", "neptune", "raytune", "tensorboard", "wandb")
    SETTINGS.update({name: False for name in off if name in SETTINGS})


def _stage_font(config_dir: Path) -> None:
    """Ultralytics downloads Arial at every dataset check that does not find it; matplotlib ships a stand-in."""
    import matplotlib  # noqa: PLC0415 - slow, and needed once a node

    font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    for name in (_FONT, "Arial.Unicode.ttf"):
        shutil.copyfile(font, config_dir / name)

"""Which packages decide the numbers, and which versions of them are installed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import segsweep

_PACKAGES = ("ray", "hyperopt", "ultralytics", "ultralytics-opencv-headless", "torch", "albumentations", "numpy")


def installed_versions() -> Mapping[str, str]:
    """Package -> version, of those that are installed here."""
    found = {"segsweep": segsweep.__version__}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found

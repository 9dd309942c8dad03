"""Importing what is large."""

from __future__ import annotations

import gc
import importlib
from types import ModuleType


def import_once(name: str) -> ModuleType:
    """Import a module whose imports make hundreds of thousands of objects that live as long as the process.

    The garbage collector would walk over them again and again while they are made, an eighth of the import, and at
    every full collection later: it waits until they are there, and leaves them alone from then on.

    Args:
        name: Its full name.

    Raises:
        ImportError: As `importlib.import_module`.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        module = importlib.import_module(name)
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()
    return module

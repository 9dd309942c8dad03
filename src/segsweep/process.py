"""What a process that works for long asks of its interpreter and of the C library."""

from __future__ import annotations

import ctypes
import gc
import importlib
import sys
from types import ModuleType
from typing import Any

# mallopt(3): how much free memory at the heap's end is kept, from which size on memory is mapped apart, and how many
# heaps there are: those of threads are small ones that cannot hold what is large.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGEST = 2**31 - 1


def keep_freed_memory(kept_bytes: int = _LARGEST, block_bytes: int = _LARGEST) -> bool:
    """Keep freed memory for the next allocation of this process; where the C library cannot, nothing changes.

    glibc maps every large block anew, and the kernel clears its pages each time: a twentieth of a training step on the
    CPU, half of the time in which a photograph is decoded. It holds for the threads that are started afterwards.

    Args:
        kept_bytes: How much to keep at most; without a limit, as much as was ever needed.
        block_bytes: Up to which size blocks are kept.

    Returns:
        Whether the C library could.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl has none
        return False
    settings = ((_M_MMAP_THRESHOLD, block_bytes), (_M_TRIM_THRESHOLD, kept_bytes), (_M_ARENA_MAX, 1))
    return all(mallopt(name, value) for name, value in settings)


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


def release_memory() -> None:
    """Give back what nothing refers to any more, on the GPU, too: a trainer is a cycle of references."""
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()

"""How a worker's process gets its memory.

A training step on the CPU frees hundreds of tensors and asks for the same ones in the next. glibc maps each large one
anew, and the kernel clears its pages every time: a twentieth of the step.
"""

from __future__ import annotations

import ctypes
import sys

# mallopt(3): from which size on memory is mapped apart, how much free memory at the heap's end is kept, and how many
# heaps there are: those of threads, where training runs, are small ones that cannot hold what is large.
_M_MMAP_THRESHOLD = -3
_M_TRIM_THRESHOLD = -1
_M_ARENA_MAX = -8
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Keep freed memory for the next allocation of this process; where the C library cannot, nothing changes.

    It holds for the threads that are started afterwards.

    The process then holds as much as its largest trial needed, until it ends.

    Returns:
        Whether the C library could.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl has none
        return False
    settings = ((_M_MMAP_THRESHOLD, _LARGEST), (_M_TRIM_THRESHOLD, _LARGEST), (_M_ARENA_MAX, 1))
    return all(mallopt(name, value) for name, value in settings)

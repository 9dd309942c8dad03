"""Freed memory is kept: asking for it again costs no page fault."""

from __future__ import annotations

import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys, threading
import numpy as np
if sys.argv[1] == "kept":
    from segsweep.training.allocator import keep_freed_memory
    assert keep_freed_memory()
def step():
    held = [np.ones(2**20) for _ in range(8)]  # 8 MiB each
def train():
    step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
thread = threading.Thread(target=train)
thread.start()
thread.join()
"""


def _faults(how: str) -> int:
    done = subprocess.run((sys.executable, "-c", _FAULTS, how), check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
@pytest.mark.timeout(30)
def test_memory_that_was_freed_is_not_faulted_in_again() -> None:
    usual = _faults("usual")
    assert _faults("kept") < usual / 10

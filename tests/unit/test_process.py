"""A process keeps freed memory, and the collector leaves large imports alone."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from segsweep.process import import_once

_FAULTS = """
import resource, sys, threading
import numpy as np
if sys.argv[1] == "kept":
    from segsweep.process import keep_freed_memory
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


def test_what_is_there_after_an_import_is_not_walked_over_again() -> None:
    before = gc.get_freeze_count()
    try:
        module = import_once("segsweep.process")
        assert module.import_once is import_once
        assert gc.get_freeze_count() > before
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_a_failed_import_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError):
        import_once("segsweep.no_such_module")
    assert gc.isenabled()

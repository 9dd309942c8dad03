from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n and so on").decode()

_UNPACK = f"""
import os, signal, sys
from segsweep.dataset.formats.embedded import unpack
print(unpack("{PNG}"), flush=True)
if os.fork() == 0:
    print(unpack("{PNG}"), flush=True)
    sys.exit(0)
os.wait()
assert all(os.path.exists(path) for path in os.listdir("."))
if "killed" in sys.argv:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run(temporary: Path, *args: str) -> list[Path]:
    """Unpack the same image in a process and in a child of it; the files it named."""
    done = subprocess.run(
        [sys.executable, "-c", _UNPACK, *args],
        env={"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return [Path(line) for line in done.stdout.splitlines()]


@pytest.mark.slow(reason="starts Python processes")
@pytest.mark.timeout(30)
def test_the_files_live_as_long_as_the_process_and_those_of_a_killed_one_until_the_next(tmp_path: Path):
    first, second = run(tmp_path)
    assert first != second
    assert first.parent == second.parent
    assert list(tmp_path.iterdir()) == []
    left = run(tmp_path, "killed")
    assert all(path.is_file() for path in left)
    run(tmp_path)
    assert list(tmp_path.iterdir()) == []

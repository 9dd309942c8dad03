"""The cage sees what it must, or nothing here could fail."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from fuzz import cage
from segsweep.errors import DatasetError


def test_a_traceback_is_a_fault(tmp_path: Path):
    def fail() -> None:
        raise KeyError("x")

    (fault,) = cage.run(fail, tmp_path).faults
    assert "KeyError: 'x'" in fault


def test_a_refusal_is_none(tmp_path: Path):
    def refuse() -> None:
        raise DatasetError("no")

    result = cage.run(refuse, tmp_path)
    assert (result.faults, str(result.refusal)) == ((), "no")


def test_a_hang_is_a_fault(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (fault,) = cage.run((tmp_path / "pipe").read_bytes, tmp_path, limit_s=0.1).faults
    assert fault.startswith("hangs")


def test_taking_too_much_memory_is_a_fault(tmp_path: Path):
    (fault,) = cage.run(lambda: bytes(2 * cage.LIMIT_BYTES), tmp_path).faults
    assert "MemoryError" in fault


def write(path: Path) -> None:
    path.write_text("x")


WRITES = {
    "a file": write,
    "a folder": Path.mkdir,
    "a link": lambda path: path.symlink_to("x"),
    "a name": lambda path: write(path.parent / "inside/x") or (path.parent / "inside/x").rename(path),
    "a file through a link": lambda path: (path.parent / "inside/link").write_text("x"),
    "a file through a linked folder": lambda path: (path.parent / "inside/folder/new").write_text("x"),
    "less": lambda path: (path.parent / "old").unlink(),
    "a mode": lambda path: (path.parent / "old").chmod(0o600),
}


@pytest.mark.parametrize("what", WRITES)
def test_writing_outside_is_a_fault(what: str, tmp_path: Path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "old").write_text("x")
    (inside / "link").symlink_to(tmp_path / "new")
    (inside / "folder").symlink_to(tmp_path)
    (fault,) = cage.run(lambda: WRITES[what](tmp_path / "new"), inside).faults
    assert fault.startswith("writes outside its folder")


def test_starting_a_program_is_a_fault(tmp_path: Path):
    faults = cage.run(lambda: subprocess.run(["true"], check=True), tmp_path).faults
    assert any(fault.startswith("reaches out: subprocess.Popen") for fault in faults)


def test_what_stays_inside_and_in_time_is_none(tmp_path: Path):
    def work() -> str:
        (tmp_path / "a/b").mkdir(parents=True)
        (tmp_path / "a/b/c").write_text("x")
        time.sleep(0.01)
        return (tmp_path / "a/b/c").read_text()

    result = cage.run(work, tmp_path)
    assert (result.value, result.faults, result.refusal) == ("x", (), None)
    assert str(tmp_path / "a/b/c") in result.reads

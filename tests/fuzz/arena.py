"""Where cases run: each in a folder of its own, beside folders that nobody may touch; how batches are named."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Batch:
    """Cases of one kind that one test runs.

    Attributes:
        kind: What is mutated; the name in the summary.
        number: Tells this batch's choices from those of the kind's other batches.
        cases: How many.
    """

    kind: str
    number: int
    cases: int

    def __str__(self) -> str:
        return f"{self.kind}-{self.number}"

    def rng(self, case: int) -> random.Random:
        """Choices of one case: the same in every run."""
        return random.Random(f"{self.kind}:{self.number}:{case}")


def batches(kind: str, tests: int, cases: int = 50) -> list[Batch]:
    """Batches of one kind."""
    return [Batch(kind, number, cases) for number in range(tests)]


@dataclass(frozen=True)
class Arena:
    """Where the cases of a test run.

    Attributes:
        root: Holds `case`, the folder of the case at work, and `outside`, whose files look like those of a dataset.
    """

    root: Path

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    def new_case(self) -> Path:
        """An empty folder; that of the case before is removed."""
        folder = self.root / "case"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def run(self, batch: Batch, case: Callable[[random.Random], tuple[str, list[str]]]) -> None:
        """Run the cases of a batch, then fail with the faults of all of them.

        Args:
            batch: Which.
            case: Runs one; returns what was done to its input, and its faults.
        """
        before = snapshot(self.outside)
        found = []
        for number in range(batch.cases):
            said, faults = case(batch.rng(number))
            found += [f"{batch.kind}:{batch.number}:{number} ({said}): {fault}" for fault in faults]
        if snapshot(self.outside) != before or {path.name for path in self.root.iterdir()} - {"outside", "case"}:
            found.append(f"{batch}: something was written outside the case's folder")
        if found:
            pytest.fail(f"{len(found)} faults\n" + "\n".join(found[:5]), pytrace=False)


def make_arena(root: Path) -> Arena:
    """An arena in an empty folder."""
    arena = Arena(root)
    arena.outside.mkdir()
    for name in ("secret", "secret.jpg", "secret.txt", "secret.json"):
        (arena.outside / name).write_bytes(b"SECRET of somebody else\n")
    return arena


def snapshot(folder: Path) -> dict[str, str]:
    """What is in a folder: each path with its mode and content."""
    return {str(path): f"{path.lstat().st_mode:o} {_content(path)}" for path in sorted(folder.rglob("*"))}


def _content(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    if not path.is_file():
        return ""
    stat = path.stat()
    if stat.st_size < 1 << 24:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{stat.st_size} {stat.st_mtime_ns}"  # a sparse file of a terabyte is not read

"""The command itself, a few dozen times: an exit code of ours, words on stderr, no traceback, an end in time."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz import seeds
from fuzz.any_format import KINDS, SEEDS, mutated
from fuzz.arena import Arena, Batch, batches, snapshot
from fuzz.tally import TALLY

LIMIT_S = 60
CODES = {0, 2, 3}  # done, bad input or configuration, dataset or storage


@pytest.mark.timeout(600, method="thread")
@pytest.mark.parametrize("batch", batches("command line", 3, 12), ids=str)
def test_the_command_line(batch: Batch, arena: Arena):
    def case(rng: random.Random) -> tuple[str, list[str]]:
        kind = rng.choice(sorted(KINDS))
        made = mutated(kind, rng, str(arena.outside))
        folder = arena.new_case()
        raw = seeds.write(made.files, folder / "raw")
        before = snapshot(raw)
        verb = rng.choice(("prepare", "prepare", "inspect", "convert"))
        faults, code = run(arguments(verb, raw, folder, SEEDS[KINDS[kind].seed].classes), folder)
        if snapshot(raw) != before:
            faults.append("changes the raw dataset")
        outcome = "fault" if faults else "refused" if code else "unharmed"
        TALLY.add(batch.kind, made.said, outcome, 0.0)  # most of its time is Python's start
        return f"{verb} {kind}: {made.said}", faults

    arena.run(batch, case)


def arguments(verb: str, raw: Path, folder: Path, classes: tuple[str, ...]) -> list[str]:
    named = ["--classes", ",".join(classes)] if classes else []
    if verb == "prepare":
        return [verb, str(raw), "--to", str(folder / "bundles"), "--imgsz", "32", "--workers", "1", *named]
    if verb == "inspect":
        return [verb, str(raw), "--html", str(folder / "page.html")]
    return [verb, str(raw), "--to", str(folder / "target"), "--format", "coco", *named]


def run(args: list[str], folder: Path) -> tuple[list[str], int]:
    """Faults and exit code of one command, whose current folder is the case's."""
    (folder / "tmp").mkdir()
    env = {"PATH": "/usr/bin:/bin", "TMPDIR": str(folder / "tmp"), "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "segsweep", *args]
    try:
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, timeout=LIMIT_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return [f"hangs: more than {LIMIT_S} s"], 1
    told = done.stderr.decode("utf-8", "replace")
    faults = [f"ends in a traceback: {told[-600:]}"] if "Traceback" in told else []
    if done.returncode not in CODES:
        faults.append(f"ends with exit code {done.returncode}: {told[-300:]}")
    if done.returncode and not told.strip():
        faults.append("is refused without a word")
    strangers = {path.name for path in folder.iterdir()} - {"raw", "tmp", "bundles", "target", "page.html"}
    return [*faults, *(f"writes {name}" for name in sorted(strangers))], done.returncode

"""`inspect` and `convert` on mutated datasets: facts that can be printed, a page, a whole target or none."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from fuzz import cage, seeds
from fuzz.any_format import KINDS, SEEDS, mutated
from fuzz.arena import Arena, Batch, batches, snapshot
from fuzz.tally import TALLY
from fuzz.trial import forget_unpacked_images, vagueness
from segsweep.dataset.convert import Conversion, Source, convert
from segsweep.dataset.formats.names import FORMAT_NAMES
from segsweep.dataset.inspect import Inspection, InspectOptions, inspect
from segsweep.dataset.inspection.text import to_text
from segsweep.errors import SegsweepError


def judge(result: cage.Result, folder: Path, before: dict[str, str], culprits: tuple[str, ...]) -> list[str]:
    """What is wrong with how a command ended, whatever it was."""
    faults = list(result.faults)
    if snapshot(folder / "raw") != before:
        faults.append("changes the raw dataset")
    if isinstance(result.refusal, SegsweepError):
        faults += vagueness(
            result.refusal, (*culprits, str(folder.parent / "outside"), "/proc/", "/dev/"), str(folder / "raw")
        )
    elif result.value is not None:
        try:
            json.dumps(result.value.to_json(), allow_nan=False)
            (to_text(result.value) if isinstance(result.value, Inspection) else result.value.to_text()).encode()
        except ValueError as exc:
            faults.append(f"has facts that cannot be told: {exc}")
    return faults


def outcome(result: cage.Result, faults: list[str], is_repaired: bool) -> str:
    if faults:
        return "fault"
    return "refused" if result.refusal is not None else "repaired" if is_repaired else "unharmed"


@pytest.mark.parametrize("batch", batches("inspect", 10), ids=str)
def test_inspect(batch: Batch, arena: Arena):
    def case(rng: random.Random) -> tuple[str, list[str]]:
        kind = rng.choice(sorted(KINDS))
        made = mutated(kind, rng, str(arena.outside))
        folder = arena.new_case()
        raw = seeds.write(made.files, folder / "raw")
        before = snapshot(raw)
        forget_unpacked_images()
        page = folder / "page.html"
        format_name = rng.choice((SEEDS[KINDS[kind].seed].format_name, None))

        def action() -> Inspection:
            return inspect(raw, format_name, page, InspectOptions(workers=1))

        result = cage.run(action, folder)
        faults = judge(result, folder, before, made.culprits)
        if result.value is not None and not page.read_text(encoding="utf-8").rstrip().endswith("</html>"):
            faults.append("draws half a page")
        is_told = result.value is not None and bool(result.value.to_json().get("faults"))
        TALLY.add(batch.kind, made.said, outcome(result, faults, is_told), result.seconds)
        return f"{kind}: {made.said}", faults

    arena.run(batch, case)


@pytest.mark.parametrize("batch", batches("convert", 8), ids=str)
def test_convert(batch: Batch, arena: Arena):
    def case(rng: random.Random) -> tuple[str, list[str]]:
        kind = rng.choice(sorted(KINDS))
        made = mutated(kind, rng, str(arena.outside))
        _, format_name, classes = SEEDS[KINDS[kind].seed]
        folder = arena.new_case()
        raw = seeds.write(made.files, folder / "raw")
        before = snapshot(raw)
        forget_unpacked_images()
        target, target_format = folder / "target", rng.choice(FORMAT_NAMES)

        def action() -> Conversion:
            return convert(Source(raw, format_name, classes), target, target_format)

        result = cage.run(action, folder)
        faults = judge(result, folder, before, made.culprits)
        if target.exists() != (result.value is not None):
            faults.append("leaves half a target")
        strangers = {path.name for path in folder.iterdir()} - {"raw", "target", "tmp"}
        if strangers:
            faults.append(f"leaves {strangers}")
        is_told = result.value is not None and bool(result.value.notes)
        TALLY.add(batch.kind, made.said, outcome(result, faults, is_told), result.seconds)
        return f"{kind} to {target_format}: {made.said}", faults

    arena.run(batch, case)


EVIL = "<script>alert('x')</script>"


def test_names_from_a_dataset_are_no_part_of_the_page(arena: Arena):
    folder = arena.new_case()
    files = {name.replace("train0", "<img src=x onerror=a>"): data for name, data in seeds.yolo().items()}
    files["data.yaml"] = files["data.yaml"].replace(b"cat", f'"{EVIL}"'.encode())
    inspect(seeds.write(files, folder / "raw"), "yolo", folder / "page.html", InspectOptions(workers=1))
    page = (folder / "page.html").read_text()
    assert "alert(" in page
    assert EVIL not in page
    assert "<img src=x" not in page

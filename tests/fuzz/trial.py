"""One fuzz case of a raw dataset: written, prepared, staged, judged."""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from fuzz import cage
from fuzz.arena import Arena, snapshot
from fuzz.seeds import Files, write
from fuzz.tally import TALLY
from segsweep.dataset.bundles.cache import let_go
from segsweep.dataset.bundles.staging import NodeCopy, stage
from segsweep.dataset.formats import embedded
from segsweep.dataset.preparing.bundle import Bundle, PrepareOptions, prepare
from segsweep.errors import SegsweepError

IMGSZ = 32
# What is told of the dataset as a whole, when a record that was refused or left out was the last of its kind.
_CONSEQUENCES = ("classes", "split")
# Rules that seeds meet before anything is mutated.
_OF_SEEDS = ("crowd",)


@dataclass(frozen=True)
class Subject:
    """What is fuzzed.

    Attributes:
        kind: For the summary.
        culprits: Names of files; a refusal must tell one of them.
        format_name: The dataset's; None where it is to be detected.
        classes: To ask for.
        may_leave: Whether the format's documents may name images elsewhere, as a data.yaml does.
    """

    kind: str
    culprits: tuple[str, ...]
    format_name: str | None = None
    classes: tuple[str, ...] = ()
    may_leave: bool = False


def try_files(files: Files, arena: Arena, subject: Subject, said: str) -> list[str]:
    """Prepare and stage one dataset; its faults."""
    folder = arena.new_case()
    return try_raw(write(files, folder / "raw"), folder, subject, said)


def try_raw(raw: Path, folder: Path, subject: Subject, said: str) -> list[str]:
    """Prepare and stage the dataset at `raw`; its faults.

    Args:
        raw: The dataset.
        folder: The case's own, which holds `raw`.
        subject: What is fuzzed.
        said: What was done to it.
    """
    before = snapshot(raw) if raw.is_dir() else {}
    options = PrepareOptions(imgsz=IMGSZ, format=subject.format_name, name="case", workers=1, classes=subject.classes)

    forget_unpacked_images()

    def action() -> tuple[Bundle, NodeCopy]:
        bundle = prepare(raw, str(folder / "bundles"), options)
        return bundle, stage(bundle.uri, folder / "cache")

    result = cage.run(action, folder)
    faults = list(result.faults)
    if not subject.may_leave:
        outside = str(folder.parent / "outside")
        faults += [f"reads {path}" for path in result.reads if os.path.normpath(path).startswith(outside)]
    if raw.is_dir() and snapshot(raw) != before:
        faults.append("changes the raw dataset")
    if result.refusal is not None:
        elsewhere = (str(folder.parent / "outside"), "/proc/", "/dev/") if subject.may_leave else ()
        faults += vagueness(result.refusal, (*subject.culprits, *elsewhere), str(raw))
        faults += [f"leaves {path}" for path in (folder / "bundles").rglob("manifest.json")]
    elif result.value is not None:
        faults += inconsistencies(result.value[1])
        let_go(result.value[1].root)
    TALLY.add(subject.kind, said, _outcome(result, faults), result.seconds)
    return faults


def forget_unpacked_images() -> None:
    """Images inside JSON files are unpacked once a process; here every case has a `$TMPDIR` of its own."""
    embedded._folder.cache_clear()


def vagueness(error: SegsweepError, culprits: tuple[str, ...], place: str) -> list[str]:
    """Whether the refusal says what is wrong, and of which file and record.

    Args:
        error: The refusal.
        culprits: Names of files, one of which it must tell.
        place: The path of the whole, which tells nothing.
    """
    if not error.problems or not all(problem.where and problem.rule for problem in error.problems):
        return [f"is refused without saying where: {str(error)[:300]}"]
    if all(problem.where in _CONSEQUENCES for problem in error.problems):
        return []
    text = str(error).replace(place, "")
    # A class is a record, and its name says which; where it stands in the files, only a search tells.
    if not any(name in text for name in (*culprits, ": classes = ")):
        return [f"is refused without a word of {' or '.join(culprits)}: {str(error)[:300]}"]
    return []


def inconsistencies(copy: NodeCopy) -> list[str]:
    """Whether a node's copy is what training takes: every image can be read, every label row parsed."""
    faults = []
    for file in copy.manifest.files:
        path = copy.root / file.path
        if path.suffix == ".jpg":
            if not _is_image(path.read_bytes(), copy.manifest.imgsz):
                faults.append(f"accepts {file.source}, of which training cannot read {file.path}")
        else:
            rows = path.read_text(encoding="ascii").splitlines()
            bad = [row for row in rows if not _is_row(row, len(copy.manifest.classes))]
            if bad or len(set(rows)) < len(rows):
                faults.append(f"accepts {file.source}, of which training drops {file.path}: {(bad or rows)[:2]}"[:300])
    return faults


def _is_image(data: bytes, imgsz: int) -> bool:
    """What Ultralytics asks of an image (data/utils.py, verify_image), which looks with PIL and reads with OpenCV.

    A JPEG that does not end with its mark it would write anew, in the node's copy.
    """
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None or not data.endswith(b"\xff\xd9"):
        return False
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.verify()
            size, orientation = image.size, image.getexif().get(0x0112, 1)
    except (OSError, SyntaxError):
        return False
    height, width = picture.shape[:2]
    return size == (width, height) and orientation == 1 and 10 <= min(size) <= max(size) <= imgsz


def _is_row(row: str, classes: int) -> bool:
    """What Ultralytics asks of a row (data/utils.py, verify_image_label), without its tolerance."""
    category, *coordinates = row.split(" ")
    values = [float(value) for value in coordinates]
    inside = all(math.isfinite(value) and 0 <= value <= 1 for value in values)
    return category in map(str, range(classes)) and inside and len(values) >= 6 and len(values) % 2 == 0


def _outcome(result: cage.Result, faults: list[str]) -> str:
    if faults:
        return "fault"
    if result.refusal is not None:
        return "refused"
    repairs = [note for note in result.value[0].manifest.notes if not note.rule.startswith(_OF_SEEDS)]
    return "repaired" if repairs else "unharmed"

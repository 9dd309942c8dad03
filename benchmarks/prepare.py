"""Claims: `prepare` is as fast as a script that only converts and resizes, uses two cores, and stays within its memory.

Both sides read the same COCO dataset of photograph-like JPEGs and write images of 640 pixels with YOLO labels; ours
also cleans, verifies, hashes, finds near-duplicates, measures the fidelity of every object, packs shards and writes
them to the bundle's place. The script is what one writes in an afternoon: `json.load`, `cv2.imread`, `cv2.resize` with
`INTER_AREA`, as OpenCV's manual advises for shrinking, `cv2.imwrite`. Each side is a process of its own, from its start
to its end, pinned to one core. With `INTER_LINEAR` the script is faster and its pictures alias; that is printed, not
claimed.

Memory is measured on YOLO datasets of pictures of 640x480 that become 320x240, with two workers. Its peak is the sum of
the proportional set sizes of all processes of `prepare`, looked at ten times a second.

    python benchmarks/prepare.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import cv2

from _bench import Bench, begin, show, timed, verdict, verdict_at_least
from _pictures import write_coco, write_yolo
from segsweep.dataset.formats.registry import read_dataset
from segsweep.dataset.pictures.picture import encode_jpeg, read_picture
from segsweep.dataset.pictures.resize import least_size, render, views
from segsweep.dataset.preparing.conversion import Recipe, convert

IMGSZ = 640
RATE_GOAL, REDUCED_GOAL, CORES_GOAL, MEMORY_GOAL = 1.0, 1.5, 1.7, 1.1
CORE = min(os.sched_getaffinity(0))
PINNED = f"import os, sys; os.sched_setaffinity(0, {{{CORE}}}); "
PREPARE = "from segsweep.cli import main; sys.exit(main())"
SCRIPT = """
import json
from pathlib import Path
import cv2
cv2.setNumThreads(1)
source, target, imgsz, way = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), getattr(cv2, sys.argv[4])
data = json.load(open(source / "annotations.json"))
(target / "images").mkdir(parents=True)
(target / "labels").mkdir()
rows = {}
for one in data["annotations"]:
    rows.setdefault(one["image_id"], []).append(one)
for image in data["images"]:
    picture = cv2.imread(str(source / "images" / image["file_name"]))
    height, width = picture.shape[:2]
    scale = imgsz / max(width, height)
    picture = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=way)
    stem = Path(image["file_name"]).stem
    cv2.imwrite(str(target / "images" / (stem + ".jpg")), picture)
    with open(target / "labels" / (stem + ".txt"), "w") as file:
        for one in rows.get(image["id"], []):
            points = [value for ring in one["segmentation"] for value in ring]
            sides = (width, height)
            text = " ".join(f"{value / sides[i % 2]:.6f}" for i, value in enumerate(points))
            file.write(f"{one['category_id']} {text}\\n")
"""


def main(argv: Sequence[str] | None = None) -> None:
    bench = begin(__doc__, argv, rounds=5)
    images = 40 if bench.quick else 600
    cases = {"same size": (640, 480), "shrunk by 1.6": (1024, 768), "shrunk by 2.5": (1600, 1200)}
    sources = {name: write_coco(bench.work, images, *size) for name, size in cases.items()}
    ratios = {name: against_script(bench, source, name, images) for name, source in sources.items()}
    cores = two_cores(bench, write_coco(bench.work, 40 if bench.quick else 2000, 1024, 768))
    share_of_codecs(sources["shrunk by 1.6"])
    counts = (100, 400) if bench.quick else (1000, 20_000)
    small, large = (peak_mb(bench, write_yolo(bench.work, count, 640, 480)) for count in counts)
    print(f"peak memory: {counts[0]} images {small:.0f} MB, {counts[1]} images {large:.0f} MB")
    verdict_at_least("prepare-same-size", ratios["same size"], RATE_GOAL)
    verdict_at_least("prepare-shrunk", ratios["shrunk by 1.6"], RATE_GOAL)
    verdict_at_least("prepare-shrunk-by-two", ratios["shrunk by 2.5"], REDUCED_GOAL)
    verdict_at_least("prepare-two-cores", cores, CORES_GOAL)
    verdict("prepare-memory", large / small, MEMORY_GOAL)


def against_script(bench: Bench, source: Path, name: str, images: int) -> float:
    """Images a second of `prepare` over those of the script, on one core."""
    ours: list[float] = []
    script: list[float] = []
    linear: list[float] = []
    for _ in range(bench.rounds):
        for seconds, way in ((script, "INTER_AREA"), (linear, "INTER_LINEAR")):
            target = fresh(bench.work / "script")
            command = (sys.executable, "-c", PINNED + SCRIPT, str(source), str(target), str(IMGSZ), way)
            seconds.append(timed(command, bench.environment(), bench.work).wall_s)
        ours.append(prepared(bench, source, PINNED, "1"))
    medians = {
        "script": show(f"{name}: script, INTER_AREA", script),
        "linear": show(f"{name}: script, INTER_LINEAR", linear),
        "ours": show(f"{name}: prepare", ours),
    }
    rates = {side: images / seconds for side, seconds in medians.items()}
    print(
        f"{name}, {images} images, one core: prepare {rates['ours']:.0f} images/s, script {rates['script']:.0f} "
        f"(with INTER_LINEAR {rates['linear']:.0f})"
    )
    return rates["ours"] / rates["script"]


def two_cores(bench: Bench, source: Path) -> float:
    """Images a second of two workers on two cores over one on one; the second that a start takes counts for both."""
    one: list[float] = []
    two: list[float] = []
    for _ in range(bench.rounds):
        one.append(prepared(bench, source, PINNED, "1"))
        two.append(prepared(bench, source, "import sys; ", "2"))
    return show("one core", one) / show("two cores", two)


def prepared(bench: Bench, source: Path, preamble: str, workers: str) -> float:
    """Seconds of one whole `prepare`."""
    target = fresh(bench.work / "prepared")
    arguments = (str(source), "--to", str(target), "--imgsz", str(IMGSZ), "--workers", workers)
    command = (sys.executable, "-c", preamble + PREPARE, "prepare", *arguments)
    return timed(command, bench.environment(), bench.work).wall_s


def share_of_codecs(source: Path) -> None:
    """Print what part of a conversion is JPEG decoding and encoding, which nothing here can make faster."""
    cv2.setNumThreads(1)
    records = read_dataset(source, None).images[:100]
    recipe = Recipe(imgsz=IMGSZ)
    spent = {"decode": 0.0, "encode": 0.0, "whole": 0.0}
    for record in records:
        began = time.process_time()
        convert(record, recipe)
        spent["whole"] += time.process_time() - began
        width, height = record.size or (0, 0)
        (view,) = views(width, height, recipe.resize, recipe.imgsz, recipe.overlap)
        began = time.process_time()
        picture = read_picture(record.path, record.size, least=least_size([view]))
        spent["decode"] += time.process_time() - began
        picture = render(picture, view)
        began = time.process_time()
        encode_jpeg(picture)
        spent["encode"] += time.process_time() - began
    each = {what: 1000 * seconds / len(records) for what, seconds in spent.items()}
    print(
        f"of {each['whole']:.1f} ms an image, decoding takes {100 * each['decode'] / each['whole']:.0f} % and encoding "
        f"{100 * each['encode'] / each['whole']:.0f} %"
    )


def peak_mb(bench: Bench, source: Path) -> float:
    """The peak of memory of one `prepare` with two workers, of all its processes together."""
    target = fresh(bench.work / "prepared")
    arguments = (str(source), "--to", str(target), "--imgsz", "320", "--workers", "2")
    command = (sys.executable, "-c", "import sys; " + PREPARE, "prepare", *arguments)
    environment = bench.environment()
    peak = 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            peak = max(peak, tree_bytes(process.pid))
            time.sleep(0.1)
        if process.returncode:
            assert process.stderr is not None
            raise SystemExit(process.stderr.read().decode())
    return peak / 1e6


def tree_bytes(root: int) -> int:
    """Memory of a process and its descendants; what they share is counted once. See proc(5)."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    family = {root}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    total = 0
    for member in family:
        with suppress(OSError):
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += 1024 * int(line.split()[1])
    return total


def fresh(folder: Path) -> Path:
    """A folder that is not there."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


if __name__ == "__main__":
    main()

"""Claims: COCO JSON becomes polygons, and label files, at least twice as fast as with the tools people use for it.

One file of 100,000 annotations, made once: 20 to 40 points a polygon, one in twelve of several parts, one in seventy a
run-length mask, in no order. Against `pycocotools` (load, then each image's polygons as fractions, masks through
`cv2.findContours`), ours reads the same file to the same; it also verifies every row, finds duplicates and looks for
the images. Against Ultralytics' `convert_coco`, ours reads and writes label files, too. Every side runs alternately in
a fresh process with one thread; the clock starts after its imports. Nothing is deleted until all is measured, see
`staging.py`.

    python benchmarks/formats.py
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from _bench import Bench, begin, show, verdict
from segsweep.core.geometry import Part, fill
from segsweep.dataset.formats.rle import encode_counts, encode_mask

GOAL = 0.5
WIDTH, HEIGHT = 640, 480
CLASSES = 80
COMMON = """
import re, sys, time
from pathlib import Path
import cv2, numpy as np
cv2.setNumThreads(1)
folder, target = Path(sys.argv[1]), Path(sys.argv[3])
def done(began, parts):
    # Not getrusage: its peak is that of the process that started this one.
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    print("measured", time.perf_counter() - began, time.process_time() - cpu, peak, parts)
"""
OURS = """
from segsweep.dataset.formats.coco import CocoFormat
began, cpu = time.perf_counter(), time.process_time()
dataset = CocoFormat().read(folder)
found = [record.instances for record in dataset.images]
assert not dataset.problems
done(began, sum(len(one.parts) for instances in found for one in instances))
"""
OURS_ON_DISK = """
from segsweep.dataset.formats.coco import CocoFormat
from segsweep.dataset.spool import Spool
began, cpu = time.perf_counter(), time.process_time()
parts = 0
with Spool(target / "spool") as spool:
    dataset = CocoFormat().read(folder, spool.keep)
assert not dataset.problems
for record in dataset.images:
    parts += sum(len(one.parts) for one in record.instances)
done(began, parts)
"""
PYCOCOTOOLS = """
from pycocotools.coco import COCO
began, cpu = time.perf_counter(), time.process_time()
coco = COCO(folder / "annotations/instances_train.json")
found = []
for image_id in coco.getImgIds():
    image = coco.imgs[image_id]
    size = np.array([image["width"], image["height"]])
    instances = []
    for row in coco.loadAnns(coco.getAnnIds(imgIds=[image_id])):
        if isinstance(row["segmentation"], list):
            rings = [np.array(polygon).reshape(-1, 2) / size for polygon in row["segmentation"]]
        else:
            contours = cv2.findContours(coco.annToMask(row), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
            rings = [contour.reshape(-1, 2) / size for contour in contours]
        instances.append((row["category_id"], rings))
    found.append(instances)
done(began, sum(len(rings) for instances in found for _, rings in instances))
"""
OURS_LABELS = """
from segsweep.dataset.formats.coco import CocoFormat
from segsweep.dataset.labels import format_labels
began, cpu = time.perf_counter(), time.process_time()
dataset = CocoFormat().read(folder)
for record in dataset.images:
    Path(target, record.path.stem + ".txt").write_text(format_labels(record.instances, *record.size))
assert not dataset.problems
done(began, sum(1 for _ in target.iterdir()))
"""
ULTRALYTICS = """
from segsweep.dataset.environment import prepare_ultralytics
prepare_ultralytics(Path(sys.argv[2]))
from faster_coco_eval.core.mask import decode
from ultralytics.data.converter import convert_coco
began, cpu = time.perf_counter(), time.process_time()
convert_coco(folder / "annotations", target / "out", use_segments=True, cls91to80=False)
done(began, sum(1 for _ in Path(target, "out/labels/train").iterdir()))
"""
SIDES = {
    "ours, polygons": OURS,
    "pycocotools, polygons": PYCOCOTOOLS,
    "ours, polygons kept on disk": OURS_ON_DISK,
    "ours, label files": OURS_LABELS,
    "convert_coco, label files": ULTRALYTICS,
}


class Measured(NamedTuple):
    """What a process took.

    Attributes:
        wall_s: Seconds of work.
        cpu_s: CPU seconds of work.
        peak_mb: Resident memory at its highest, MiB; imports included.
        made: Parts or files.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    made: int


def main(argv: Sequence[str] | None = None) -> None:
    bench = begin(__doc__, argv, rounds=5)
    count = 2_000 if bench.quick else 100_000
    folder = bench.work / f"formats-{count}"
    if not folder.exists():
        write_coco(folder, count)
    size = (folder / "annotations/instances_train.json").stat().st_size
    print(f"{count} annotations of {count // 7} images, {size / 1e6:.0f} MB of JSON")
    measured: dict[str, list[Measured]] = {name: [] for name in SIDES}
    targets = bench.work / "formats-targets"
    shutil.rmtree(targets, ignore_errors=True)
    for number in range(bench.rounds):
        for name, script in SIDES.items():
            measured[name].append(run(bench, script, folder, targets / f"{number} {name}"))
    shutil.rmtree(targets)
    medians = {name: show(name, [one.wall_s for one in found]) for name, found in measured.items()}
    cpu = {name: float(np.median([one.cpu_s for one in found])) for name, found in measured.items()}
    for name, found in measured.items():
        print(f"{name}: {cpu[name]:.2f} CPU s, peak {max(one.peak_mb for one in found):.0f} MiB, made {found[0].made}")
    for name in ("pycocotools, polygons", "convert_coco, label files"):
        ours = f"ours, {name.partition(', ')[2]}"
        print(f"CPU seconds of {ours} over {name}: {cpu[ours] / cpu[name]:.2f}")
    on_disk = medians["ours, polygons kept on disk"] / medians["pycocotools, polygons"]
    print(f"kept on disk, as prepare does, over pycocotools: {on_disk:.2f}")
    verdict("convert_coco", medians["ours, label files"] / medians["convert_coco, label files"], GOAL)
    verdict("pycocotools", medians["ours, polygons"] / medians["pycocotools, polygons"], GOAL)


def run(bench: Bench, script: str, folder: Path, target: Path) -> Measured:
    """Run one side in a fresh process, its files into an empty folder."""
    target.mkdir(parents=True)
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = (sys.executable, "-c", COMMON + script, str(folder), str(bench.cache), str(target))
    done = subprocess.run(command, env=bench.environment(**threads), check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{script}\nfailed:\n{done.stderr[-4000:]}")
    line = next(line for line in done.stdout.splitlines() if line.startswith("measured "))
    wall_s, cpu_s, peak_mb, made = line.split()[1:]
    return Measured(float(wall_s), float(cpu_s), float(peak_mb), int(made))


def write_coco(folder: Path, count: int) -> None:
    """Write a COCO file with the proportions of the real one; its images are empty files, for nobody opens them."""
    generator = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    images = [
        {"id": i, "file_name": f"{i:012d}.jpg", "width": WIDTH, "height": HEIGHT} for i in range(1, count // 7 + 1)
    ]
    for image in images:
        (folder / "images" / str(image["file_name"])).touch()
    annotations = [make_annotation(generator, i, len(images)) for i in range(1, count + 1)]
    categories = [{"id": i, "name": f"class {i}"} for i in range(1, CLASSES + 1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    partial = folder / "annotations/partial"
    partial.write_text(json.dumps(document))
    partial.replace(folder / "annotations/instances_train.json")


def make_annotation(generator: np.random.Generator, annotation_id: int, images: int) -> dict[str, Any]:
    """An object of 5 to 150 pixels radius; sizes spread evenly over their logarithms, as COCO's roughly do."""
    radius = float(np.exp(generator.uniform(np.log(5), np.log(150))))
    centre = generator.uniform((0, 0), (WIDTH, HEIGHT))
    pieces = 1 if generator.random() < 0.92 else int(generator.integers(2, 4))
    rings = []
    for piece in range(pieces):
        points = int(generator.integers(20, 41))
        angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
        distance = radius / pieces * (1 + 0.25 * np.sin(3 * angles) + generator.uniform(-0.05, 0.05, points))
        middle = centre + np.array([2.5 * radius / pieces * piece, 0])
        ring = middle + distance[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        rings.append(ring.clip((0, 0), (WIDTH, HEIGHT)).round(2))
    outline = np.concatenate(rings)
    low, high = outline.min(axis=0), outline.max(axis=0)
    kind = generator.random()
    segmentation: Any = [ring.ravel().tolist() for ring in rings]
    if kind < 0.015:
        counts = encode_mask(fill([Part(ring) for ring in rings], HEIGHT, WIDTH))
        segmentation = {"size": [HEIGHT, WIDTH], "counts": counts if kind < 0.01 else encode_counts(counts)}
    return {
        "id": annotation_id,
        "image_id": int(generator.integers(1, images + 1)),
        "category_id": int(generator.integers(1, CLASSES + 1)),
        "segmentation": segmentation,
        "area": radius**2 * 3,
        "bbox": [*low.tolist(), *(high - low).round(2).tolist()],
        "iscrowd": int(kind < 0.01),
    }


if __name__ == "__main__":
    main()

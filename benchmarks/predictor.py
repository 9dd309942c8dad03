"""Claims: predicting with an exported model costs little beyond the network, and starts fast.

All sides read the same ONNX file of the COCO weights of yolov8n-seg, with 2 threads, and take turns in fresh processes:
in one process the waiting threads of two sessions take each other's cores.

- everything but the forward pass, over the same of Ultralytics' `predict` (`retina_masks`, so that both give masks at
  the image's resolution): wall time of the call less what it tells of the network;
- end to end over the bare session call on a canvas that is ready, at 640 and at 160 pixels;
- post-processing of 100 planted objects at 1920x1080, time and growth of resident memory at its peak, each side in a
  fresh process, over Ultralytics' NMS, `scale_boxes` and `process_mask_native`;
- `segsweep predict` of one image in an installation of the extra `edge`, start of the process to its end, over
  `YOLO(file).predict(image, save=True)`.

Needs the folder of real data (`$SEGSWEEP_DATA`, else `../shared/data`).

    python benchmarks/predictor.py
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from _bench import Bench, begin, show, timed, verdict
from segsweep.dataset.environment import prepare_ultralytics
from segsweep.inference.decode import Thresholds
from segsweep.inference.export import export_onnx
from segsweep.inference.letterbox import Letterbox
from segsweep.inference.predictor import Predictor, postprocess

SIDES = ("ours", "theirs")
THREADS = 2
OVERHEAD_GOAL, AT_640_GOAL, AT_160_GOAL = 0.35, 1.05, 1.15
TIME_GOAL, MEMORY_GOAL, START_GOAL = 0.5, 0.3, 0.3
OBJECTS, CLASSES, PROTOTYPES, CANVAS = 100, 80, 32, 640
SHAPE = (1080, 1920)
REPO = Path(__file__).parents[1]
THEIR_START = """
import sys
from ultralytics import YOLO
YOLO(sys.argv[1], task="segment").predict(sys.argv[2], imgsz=640, conf=0.45, save=True, project=sys.argv[3], name="r")
"""


def main(argv: Sequence[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["--side"]:
        print(json.dumps(_planted_side(argv[1], int(argv[2]))))
        return
    if argv[:1] == ["--whole"]:
        prepare_ultralytics(Path(os.environ["SEGSWEEP_CACHE"]))
        print(json.dumps(_whole_side(argv[1], Path(argv[2]), int(argv[3]), [Path(text) for text in argv[4:]])))
        return
    bench = begin(__doc__, argv, rounds=3)
    data = Path(os.environ.get("SEGSWEEP_DATA") or REPO.parent / "shared" / "data")
    prepare_ultralytics(bench.cache)
    models = {
        imgsz: export_onnx(data / "weights" / "yolov8n-seg.pt", bench.work / f"{imgsz}.onnx", imgsz).path
        for imgsz in (640, 160)
    }
    images = sorted((data / "feralcat" / "test" / "images").glob("*.jpg"))[: 2 if bench.quick else 16]
    print(
        f"settings: yolov8n-seg, fp32, {THREADS} threads, {len(images)} photographs of feralcat, {bench.rounds} rounds"
    )
    ratios = end_to_end(bench, models, images)
    ratios |= planted(bench)
    ratios["start"] = start(bench, models[640], images[0]), START_GOAL
    for name, (ratio, goal) in ratios.items():
        verdict(name, ratio, goal)


def end_to_end(bench: Bench, models: dict[int, Path], images: Sequence[Path]) -> dict[str, tuple[float, float]]:
    """Ours beside the bare session, and Ultralytics, in fresh processes that take turns; ratios of the medians."""
    ratios: dict[str, tuple[float, float]] = {}
    for imgsz, goal in ((640, AT_640_GOAL), (160, AT_160_GOAL)):
        ms: dict[str, list[float]] = {}
        for _ in range(bench.rounds):
            for side in SIDES:
                command = (sys.executable, __file__, "--whole", side, str(models[imgsz]), str(imgsz), *map(str, images))
                done = subprocess.run(command, env=bench.environment(), check=True, capture_output=True, text=True)
                for name, values in json.loads(done.stdout.splitlines()[-1]).items():
                    ms.setdefault(f"{side} {name}", []).extend(values)
        ours, theirs = (_median(f"{side} but the forward pass, {imgsz} px", ms[f"{side} rest"]) for side in SIDES)
        ratios[f"rest-{imgsz}"] = ours / theirs, OVERHEAD_GOAL
        whole = _median(f"ours end to end, {imgsz} px", ms["ours whole"])
        ratios[f"end-to-end-{imgsz}"] = whole / _median(f"bare session, {imgsz} px", ms["ours bare"]), goal
    return ratios


def _whole_side(side: str, model: Path, imgsz: int, images: Sequence[Path]) -> dict[str, list[float]]:
    """One fresh process, whose threads have the cores for themselves: ms of every image, seen once before, twice."""
    pictures = [np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), np.uint8) for path in images]
    once = _our_image(model, imgsz) if side == "ours" else _their_image(model, imgsz)
    rows = [once(picture) for _ in range(3) for picture in pictures][len(pictures) :]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _our_image(model: Path, imgsz: int) -> Callable[[Any], dict[str, float]]:
    predictor = Predictor(model, THREADS)
    canvas = np.random.default_rng(0).random((1, 3, imgsz, imgsz), np.float32)

    def once(picture: Any) -> dict[str, float]:
        _, bare_ms = _timed_ms(predictor.session, canvas)
        found, ms = _timed_ms(predictor, picture)
        return {"whole": ms, "bare": bare_ms, "rest": ms - found.times.forward_ms}

    return once


def _their_image(model: Path, imgsz: int) -> Callable[[Any], dict[str, float]]:
    import torch  # noqa: PLC0415  (ours must not pay for it)
    from ultralytics import YOLO  # noqa: PLC0415

    yolo = YOLO(model, task="segment")
    # Not before: choosing the CPU sets torch's threads to one less than there are cores.
    yolo.add_callback("on_predict_start", lambda _: torch.set_num_threads(THREADS))

    def once(picture: Any) -> dict[str, float]:
        [result], ms = _timed_ms(yolo.predict, picture, imgsz=imgsz, retina_masks=True, verbose=False)
        return {"whole": ms, "rest": ms - result.speed["inference"]}

    return once


def planted(bench: Bench) -> dict[str, tuple[float, float]]:
    """Post-processing of planted objects, each side in fresh processes that take turns."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    memory: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(bench.rounds):
        for side in SIDES:
            command = (sys.executable, __file__, "--side", side, "3" if bench.quick else "20")
            done = subprocess.run(command, env=bench.environment(), check=True, capture_output=True, text=True)
            told = json.loads(done.stdout.splitlines()[-1])
            assert told["objects"] == OBJECTS, told
            times[side].append(told["ms"])
            memory[side].append(told["mb"])
    what = f"post-processing of {OBJECTS} objects at {SHAPE[1]}x{SHAPE[0]}"
    ms = {side: show(f"{what}, {side}", values, "ms") for side, values in times.items()}
    mb = {side: show(f"peak memory of it, {side}", values, "MB") for side, values in memory.items()}
    return {
        "postprocess-time": (ms["ours"] / ms["theirs"], TIME_GOAL),
        "postprocess-memory": (mb["ours"] / mb["theirs"], MEMORY_GOAL),
    }


def start(bench: Bench, model: Path, image: Path) -> float:
    """`segsweep predict` in an edge installation over Ultralytics, both from start to exit."""
    python = _edge(bench)
    ours = (str(python), "-I", "-m", "segsweep", "predict", str(model), str(image), "--out", str(bench.work / "out"))
    theirs = (sys.executable, "-c", THEIR_START, str(model), str(image), str(bench.work / "theirs"))
    seconds: dict[str, list[float]] = {"segsweep predict": [], "Ultralytics": []}
    for _ in range(bench.rounds):
        seconds["segsweep predict"].append(timed(ours, bench.environment(), bench.work).wall_s)
        seconds["Ultralytics"].append(timed(theirs, bench.environment(), bench.work).wall_s)
    first, second = (show(f"start to first result, {name}", values) for name, values in seconds.items())
    return first / second


def _edge(bench: Bench) -> Path:
    """The Python of an installation of the extra `edge`, made once a work folder."""
    python = bench.work / "edge" / "bin" / "python"
    if not python.exists():
        subprocess.run((sys.executable, "-m", "venv", str(bench.work / "edge")), check=True)
    install = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    source = bench.work / "source"  # a copy: building leaves its traces beside the sources
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(REPO / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "constraints.txt"):
        shutil.copy(REPO / name, source / name)
    subprocess.run((*install, "--constraint", str(source / "constraints.txt"), f"{source}[edge]"), check=True)
    return python


def _planted_side(side: str, repeats: int) -> dict[str, float]:
    """One fresh process: median ms, and MB of resident memory that the first call added at its peak."""
    raw, prototypes = _planted_outputs()
    once = _ours(raw, prototypes) if side == "ours" else _theirs(raw, prototypes)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far; see proc(5)
    before = _status_mb("VmRSS")
    count = once()
    peak_mb = _status_mb("VmHWM") - before
    samples = [_timed_ms(once)[1] for _ in range(repeats)]
    return {"ms": statistics.median(samples), "mb": peak_mb, "objects": count}


def _planted_outputs() -> tuple[Any, Any]:
    """Raw outputs with a grid of 10 x 10 objects that touch no other, and masks of random coefficients."""
    rng = np.random.default_rng(0)
    raw = np.zeros((1, 4 + CLASSES + PROTOTYPES, 8400), np.float32)
    column, row = np.meshgrid(np.arange(10), np.arange(10))
    raw[0, 0, :OBJECTS] = column.ravel() * 64 + 32
    raw[0, 1, :OBJECTS] = row.ravel() * 36 + 140 + 18
    raw[0, 2, :OBJECTS], raw[0, 3, :OBJECTS] = 60, 34
    raw[0, 4 + np.arange(OBJECTS) % CLASSES, np.arange(OBJECTS)] = 0.9
    raw[0, -PROTOTYPES:, :OBJECTS] = rng.standard_normal((PROTOTYPES, OBJECTS))
    return raw, rng.standard_normal((1, PROTOTYPES, CANVAS // 4, CANVAS // 4)).astype(np.float32)


def _ours(raw: Any, prototypes: Any) -> Callable[[], int]:
    letterbox = Letterbox.fit(SHAPE, (CANVAS, CANVAS))
    cv2.setNumThreads(THREADS)
    return lambda: len(postprocess(raw, prototypes, letterbox, Thresholds())[3])


def _theirs(raw: Any, prototypes: Any) -> Callable[[], int]:
    import torch  # noqa: PLC0415  (ours must not pay for it)
    from ultralytics.utils import nms, ops  # noqa: PLC0415

    torch.set_num_threads(THREADS)
    outputs, planes = torch.from_numpy(raw), torch.from_numpy(prototypes)

    def once() -> int:
        (rows,) = nms.non_max_suppression(outputs.clone(), 0.25, 0.7, nc=CLASSES, max_time_img=60.0)
        rows[:, :4] = ops.scale_boxes((CANVAS, CANVAS), rows[:, :4], SHAPE)
        return len(ops.process_mask_native(planes[0], rows[:, 6:], rows[:, :4], SHAPE))

    return once


def _status_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1e3


def _timed_ms(call: Callable[..., Any], *args: Any, **options: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    result = call(*args, **options)
    return result, 1e3 * (time.perf_counter() - began)


def _median(what: str, samples_ms: Sequence[float]) -> float:
    low, median, high = np.percentile(samples_ms, (10, 50, 90))
    print(f"{what}: median {median:.2f} ms of {len(samples_ms)}, tenths {low:.2f} to {high:.2f}")
    return float(median)


if __name__ == "__main__":
    main()

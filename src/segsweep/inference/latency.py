"""How long one image takes, measured so that the figure means something.

Each sample is one image, batch 1, from the decoded picture in memory to masks at its own resolution: letterbox,
network, NMS and masks. Reading and decoding the file are not part of it. Samples are taken in fresh processes with
pinned threads, the first ones discarded; several models take turns over several rounds, so that a slow minute of the
machine hits all of them, and a model's samples are pooled.

`python -m segsweep.inference.latency` is one such process; it prints one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from segsweep.errors import Problem, ReportError, SegsweepError
from segsweep.inference.machine import cpu_times, load_average, others_cpus
from segsweep.inference.predictor import Predictor, StageTimes
from segsweep.inference.timings import Latency, LatencyPlan, Round, pool

_MAX_IMAGES = 16
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


Runner = Callable[[Path, Sequence[Path], LatencyPlan], Round]


def measure_round(model: Path, images: Sequence[Path], plan: LatencyPlan) -> Round:
    """Time a model in a fresh process.

    Args:
        model: The ONNX file.
        images: Image files, at least one; the first 16 take turns.
        plan: How much to measure.

    Raises:
        ReportError: The process failed; the message holds what it said.
    """
    arguments = [f"--{name}={value}" for name, value in asdict(plan).items() if name != "rounds"]
    command = [sys.executable, "-m", "segsweep.inference.latency", f"--model={model}", *arguments]
    environment = {**os.environ, **{name: str(plan.threads) for name in _THREAD_VARIABLES}}
    done = subprocess.run(
        [*command, "--images", *(str(path) for path in images[:_MAX_IMAGES])],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise ReportError(Problem(str(model), "could not be timed", value=said[0]))
    return Round.from_json(json.loads(done.stdout))


def measure_interleaved(
    models: Mapping[str, Path],
    images: Sequence[Path],
    plan: LatencyPlan,
    progress: Callable[[str], None],
    runner: Runner = measure_round,
) -> dict[str, Latency]:
    """Time several models, taking turns.

    Args:
        models: ONNX files by name.
        images: Image files, at least one.
        plan: How much to measure.
        progress: Told before each process, and when others disturb.
        runner: Measures one model once.

    Returns:
        Latency by name.

    Raises:
        ReportError: A process failed, or there is no image.
    """
    if not images:
        raise ReportError("there is no image to time the models on")
    rounds: dict[str, list[Round]] = {name: [] for name in models}
    for turn in range(1, plan.rounds + 1):
        for name, model in models.items():
            progress(f"timing {name}, round {turn} of {plan.rounds}")
            rounds[name].append(runner(model, images, plan))
    measured = {name: pool(done, plan) for name, done in rounds.items()}
    disturbed = [
        f"{name} by {latency.others_cpus:.1f} CPUs" for name, latency in measured.items() if not latency.is_quiet
    ]
    if disturbed:
        progress(f"other processes were busy while timing {', '.join(disturbed)}: time again on a quiet machine")
    return measured


def take_samples(
    predict: Callable[[NDArray[np.uint8]], StageTimes],
    images: Sequence[NDArray[np.uint8]],
    plan: LatencyPlan,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[tuple[float, float, float], ...]:
    """Run the images in turn and keep the stage times in ms after the warm-up.

    Args:
        predict: Segments one image.
        images: Decoded images.
        plan: How many, and how long at most.
        clock: Seconds.
    """
    turns = itertools.cycle(images)
    for _ in range(plan.warmup):
        predict(next(turns))
    deadline = clock() + plan.max_seconds
    taken: list[tuple[float, float, float]] = []
    while len(taken) < plan.samples and (len(taken) < 5 or clock() < deadline):
        times = predict(next(turns))
        taken.append((times.prepare_ms, times.forward_ms, times.postprocess_ms))
    return tuple(taken)


def main(argv: Sequence[str] | None = None) -> int:
    """One fresh process: time one model and write the round to standard output as JSON."""
    parser = argparse.ArgumentParser(prog="python -m segsweep.inference.latency", description="time one ONNX model")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--images", type=Path, nargs="+", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--max_seconds", type=float, default=20.0)
    options = parser.parse_args(argv)
    plan = LatencyPlan(options.threads, 1, options.samples, options.warmup, options.max_seconds)
    try:
        measured = _measure_here(options.model, options.images, plan)
    except SegsweepError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    sys.stdout.write(json.dumps(asdict(measured)) + "\n")
    return 0


def _measure_here(model: Path, paths: Sequence[Path], plan: LatencyPlan) -> Round:
    read = [cv2.imread(str(path), cv2.IMREAD_COLOR) for path in paths]
    unreadable = [path for path, image in zip(paths, read, strict=True) if image is None]
    if unreadable:
        raise ReportError([Problem(str(path), "must be an image that OpenCV reads") for path in unreadable])
    images = [np.asarray(image, np.uint8) for image in read]
    predictor = Predictor(model, plan.threads)
    load_before, cpu_before = load_average(), cpu_times()
    own_before, started = time.process_time(), time.perf_counter()
    samples = take_samples(lambda image: predictor(image).times, images, plan)
    own_s, wall_s = time.process_time() - own_before, time.perf_counter() - started
    return Round(
        samples_ms=samples,
        canvas=predictor.session.canvas_shape,
        runtime_version=predictor.session.runtime_version,
        provider=predictor.session.provider,
        load_before=load_before,
        load_after=load_average(),
        others_cpus=others_cpus(cpu_before, cpu_times(), own_s, wall_s),
    )


if __name__ == "__main__":
    sys.exit(main())

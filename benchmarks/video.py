"""Claims: a video goes through decoding, network, drawing and encoding faster because they overlap.

In turn, on a real clip and yolov8n-seg at 160 pixels, each in a process of its own: `segsweep video`'s own pipeline,
and the same steps one after another: the same decoder, predictor, overlay and encoder, the network with as many
threads. Both tell frames/s end to end, from the first picture's decoding to the last one's being written; loading
the model, opening the files and the network's first run are not part of it.

    python benchmarks/video.py
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from _bench import Bench, arguments, begin_with, show, verdict_at_least

GOAL = 1.3
IMGSZ, CONF = 160, 0.45
SIDES = ("overlapping", "one after another")
DATA = Path(os.environ.get("SEGSWEEP_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--clip", type=Path, default=DATA / "video" / "udacity_solidWhiteRight.mp4")
    parser.add_argument("--weights", type=Path, default=DATA / "weights" / "yolov8n-seg.pt")
    parser.add_argument("--threads", type=int, default=2, help="of the network, on both sides")
    parser.add_argument("--side", choices=SIDES, help="be one of the measured processes")
    args = parser.parse_args(argv)
    model = args.work.absolute() / f"video-{IMGSZ}.onnx"
    if args.side:
        measure = overlapping if args.side == SIDES[0] else one_after_another
        print(measure(model, args.clip, args.work / "film.mp4", args.threads))
        return
    bench = begin_with(args)
    export(bench, args.weights, model)
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(bench.rounds):
        for side in SIDES:
            rates[side].append(measured(bench, side, args))
    print(f"{args.clip.name}, {IMGSZ} px, {args.threads} threads for the network")
    for side, values in rates.items():
        show(side, values, "frames/s")
    # Both sides of a round follow each other within seconds: what else the machine does mostly hits both.
    ratios = [ours / theirs for ours, theirs in zip(*rates.values(), strict=True)]
    verdict_at_least("video", show("overlapping over one after another, each round", ratios, "times"), GOAL)


def export(bench: Bench, weights: Path, model: Path) -> None:
    """The network, exported once."""
    from segsweep.dataset.environment import prepare_ultralytics  # noqa: PLC0415
    from segsweep.inference.export import export_onnx  # noqa: PLC0415  (torch stays out of the measured processes)

    prepare_ultralytics(bench.cache)
    if not model.exists():
        export_onnx(weights, model, IMGSZ)


def measured(bench: Bench, side: str, args: argparse.Namespace) -> float:
    """Frames/s of one side in a fresh process."""
    command = [sys.executable, __file__, f"--side={side}", f"--work={bench.work}"]
    command += [f"--clip={args.clip.absolute()}", f"--threads={args.threads}"]
    done = subprocess.run(command, env=bench.environment(), check=True, capture_output=True, text=True)
    return float(done.stdout)


def overlapping(model: Path, clip: Path, out: Path, threads: int) -> float:
    """Frames/s of the pipeline."""
    from segsweep.deploy.video import VideoOptions, make_film  # noqa: PLC0415

    options = VideoOptions(conf=CONF, threads=threads)
    return make_film(model, str(clip), out, options, lambda done, total, dropped: None).end_to_end_fps


def one_after_another(model: Path, clip: Path, out: Path, threads: int) -> float:
    """Frames/s of the same steps in a loop; the network has its threads for one picture."""
    from segsweep.deploy.film import Film  # noqa: PLC0415
    from segsweep.deploy.frames import Frames, Origin, hush_opencv  # noqa: PLC0415
    from segsweep.deploy.overlay import draw  # noqa: PLC0415
    from segsweep.inference.decode import Thresholds  # noqa: PLC0415
    from segsweep.inference.predictor import Predictor  # noqa: PLC0415

    hush_opencv()
    predictor = Predictor(model, threads, Thresholds(conf=CONF))
    with Frames(Origin.parse(str(clip)), threading.Event().wait) as frames:
        assert frames.fps is not None
        film = Film(out, frames.fps, (frames.first.shape[1], frames.first.shape[0]))
        predictor(frames.first)
        began = time.perf_counter()
        for frame in frames:
            film.write(draw(frame.image, predictor(frame.image), predictor.session.names))
        rate = film.frames / (time.perf_counter() - began)
    film.finish()
    return rate


if __name__ == "__main__":
    main()

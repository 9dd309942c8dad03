"""Claim: exact checkpoints cost an epoch at most 3 % more than those of Ultralytics.

One trial of segsweep's own trainer, in a fresh process, without Ray. One side keeps every epoch as a trial of a sweep
does: raw and averaged weights in fp32, optimizer, metrics, a sha256, written to the node in the background. The other
side is the same trainer with Ultralytics' own `save_model` and `results.csv` in that place: averaged weights and
optimizer in fp16, written before the next epoch begins. From random weights most epochs are the best so far, so that
both sides also write `best.pt`. Images are small, so an epoch is short and its checkpoint weighs more than it will for
a user. The first two epochs and the last are left out. Sides alternate; `--together` runs both at once, each on its
own core, for a machine that others use, and the ratio is the median of the rounds'.

    python benchmarks/checkpoint.py
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from _bench import IMGSZ, Bench, begin, show, timed, verdict

GOAL = 1.03
SIZES = ("n", "s")
TRIAL = """
import json, sys
from pathlib import Path
side, size, bundle, run, cache, epochs = sys.argv[1:]
from segsweep.dataset.environment import prepare_ultralytics
prepare_ultralytics(Path(cache))
from segsweep.process import keep_freed_memory
keep_freed_memory()
from segsweep.config.job import Job
from segsweep.core.trials import TrialRecord
from segsweep.training import trial
from segsweep.training.task import SweepContext, TrialTask
from segsweep.training.trainer import TrialTrainer
if side == "ultralytics":
    del TrialTrainer.save_model, TrialTrainer.save_metrics
    trial._Attempt._end_epoch = lambda self, trainer, row, is_best: self.report(row)
job = Job.model_validate(dict(
    name="checkpoint", dataset=bundle, storage="unused", search_space="unused", variants=[size], weights="scratch",
    budget=dict(max_epochs=int(epochs), trials=1), scheduler=dict(grace_epochs=int(epochs)),
    resources={size: dict(gpus=0, cpus=1)}, train=dict(imgsz=int(IMGSZ), batch=4, nbs=4, optimizer="AdamW"),
))
seconds = []
record = TrialRecord("t0001", 1, size, dict(lr0=0.002), None, False, f"{size}-t0001")
context = SweepContext(run, bundle, Path(cache), job, {size: None})
trial.train_trial(TrialTask(context, record), lambda row: seconds.append(row["seconds"]))
Path(run, "seconds.json").write_text(json.dumps(seconds))
"""


def main(argv: Sequence[str] | None = None) -> None:
    bench = begin(__doc__, argv, rounds=3)
    images, epochs = (12, 5) if bench.quick else (96, 10)
    bundle = bench.bundle(images)
    print(f"settings: {images} images at {IMGSZ} px, batch 4, AdamW, {epochs} epochs, 1 thread")
    for size in SIZES:
        found: dict[str, list[float]] = {"exact": [], "ultralytics": []}
        for number in range(bench.rounds):
            sides = list(found) if number % 2 == 0 else list(found)[::-1]
            with ThreadPoolExecutor(2 if bench.together else 1) as pool:
                results = {side: pool.submit(epoch_s, bench, side, size, bundle, epochs) for side in sides}
            for side, result in results.items():
                found[side].append(result.result())
        rounds = [exact / plain for exact, plain in zip(found["exact"], found["ultralytics"], strict=True)]
        print(f"{size}, ratio of each round: {', '.join(f'{one:.3f}' for one in rounds)}")
        exact, plain = (show(f"{size}, an epoch, {side}", found[side]) for side in found)
        verdict(f"checkpoint-{size}", statistics.median(rounds) if bench.together else exact / plain, GOAL)


def epoch_s(bench: Bench, side: str, size: str, bundle: str, epochs: int) -> float:
    """Mean seconds of an epoch of one trial."""
    run = bench.work / f"checkpoint-{side}"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir()
    script = TRIAL.replace("IMGSZ", str(IMGSZ))
    command = [sys.executable, "-c", script, side, size, bundle, str(run), str(bench.cache), str(epochs)]
    timed(command, bench.environment(), bench.work)
    seconds: list[float] = json.loads((run / "seconds.json").read_text())
    return statistics.mean(seconds[2:-1])


if __name__ == "__main__":
    main()

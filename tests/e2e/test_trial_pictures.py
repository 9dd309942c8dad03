"""A small trial, trained for real: the curves and pictures that it leaves beside its weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from segsweep.config.job import Job
from segsweep.core.trials import TrialRecord
from segsweep.storage import layout
from segsweep.training.rendezvous import StopTraining
from segsweep.training.task import SweepContext, TrialTask


@pytest.fixture
def task(tmp_path: Path) -> TrialTask:
    job = {
        **{"name": "cats", "dataset": "unused", "storage": "unused", "search_space": "unused", "variants": ["n"]},
        **{"weights": "scratch", "budget": {"max_epochs": 2, "trials": 1}, "resources": {"n": {"gpus": 0, "cpus": 2}}},
        **{"scheduler": {"grace_epochs": 1, "reduction_factor": 2}, "train": {"imgsz": 64, "batch": 4}},
    }
    context = SweepContext(str(tmp_path / "run"), "unused", tmp_path / "cache", Job.model_validate(job), {"n": None})
    params = {"optimizer": "AdamW", "lr0": 0.002, "mosaic": 0.0}
    return TrialTask(context, TrialRecord("t0001", 1, "n", params, None, False, "n-t0001"))


def test_a_trial_that_is_gone_on_with_shows_every_epoch_once_and_what_it_sees_of_val_and_test(
    task, tmp_path, monkeypatch
):
    from segsweep.dataset.environment import prepare_ultralytics
    from segsweep.dataset.preparing.bundle import prepare
    from segsweep.dataset.preparing.options import PrepareOptions
    from segsweep.dataset.sample.synthetic import write_sample

    prepare_ultralytics(task.context.cache_dir)
    from segsweep.training import trial

    drawn: list[list[float]] = []
    draw = trial.draw_curves

    def note(rows, title):
        drawn.append([row["epoch"] for row in rows])
        return draw(rows, title)

    def stop(row):
        raise StopTraining

    monkeypatch.setattr(trial, "draw_curves", note)
    write_sample(tmp_path / "raw", "yolo", 24, 0, 64)
    bundle = prepare(tmp_path / "raw", str(tmp_path / "bundles"), PrepareOptions(name="shapes", imgsz=64))
    task = replace(task, context=replace(task.context, bundle_uri=bundle.uri))
    with pytest.raises(StopTraining):
        trial.train_trial(task, stop)
    reported: list[float] = []
    trial.train_trial(task, lambda row: reported.append(row["epoch"]))
    assert reported == [1.0, 2.0]
    assert drawn == [[1.0], [1.0, 2.0]]
    folder = Path(task.context.run_uri) / layout.trial_key(task.record.directory, "")
    assert (folder / layout.TRIAL_CURVES).read_bytes().startswith(b"\x89PNG")
    shown = {path.relative_to(folder): cv2.imread(str(path)).shape for path in folder.rglob("*.jpg")}
    assert {path.parent.name for path in shown} == {"predictions", "test_predictions"}
    # A strip with what it is, and two pictures whose longer side is 640 pixels.
    assert {max(height - 28, width // 2) for height, width, _ in shown.values()} == {640}

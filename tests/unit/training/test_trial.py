"""What a trial leaves beside its weights, with and without luck."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from segsweep.config.job import Job
from segsweep.core.trials import TrialRecord
from segsweep.storage import layout
from segsweep.training.task import SweepContext, TrialTask

pytestmark = [pytest.mark.slow(reason="imports torch and Ultralytics"), pytest.mark.timeout(300)]

ROWS = [{"epoch": float(epoch), "train_box_loss": 1.0 / epoch, "lr_pg0": 0.1} for epoch in (1, 2, 3)]


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


def trial_folder(task: TrialTask) -> Path:
    return Path(task.context.run_uri) / layout.trial_key(task.record.directory, "")


def test_curves_are_drawn_at_the_end_of_a_trial_that_fails(task):
    from segsweep.training.trial import TrialFiles

    files = TrialFiles(task)
    files.rows = ROWS
    with pytest.raises(ValueError, match="diverged"), files.curves():
        raise ValueError("diverged")
    image = cv2.imdecode(np.frombuffer((trial_folder(task) / layout.TRIAL_CURVES).read_bytes(), np.uint8), 1)
    assert image.shape == (1000, 1800, 3)


def test_epochs_that_were_drawn_are_not_drawn_again_and_new_ones_are(task, monkeypatch):
    from segsweep.training import trial

    drawn = []
    monkeypatch.setattr(trial, "draw_curves", lambda rows, title: drawn.append(len(rows)) or b"png")
    files = trial.TrialFiles(task)
    with files.curves():
        files.draw_curves()  # no epoch yet
        files.rows = ROWS[:2]
        files.draw_curves()
        files.draw_curves()
        files.rows = ROWS
    assert drawn == [2, 3]


def test_a_picture_that_fails_is_logged_and_the_trial_goes_on(task, monkeypatch, caplog):
    from segsweep.training import trial

    def fail(*_):
        raise RuntimeError("no font")

    monkeypatch.setattr(trial, "draw_curves", fail)
    files = trial.TrialFiles(task)
    files.rows = ROWS
    with caplog.at_level(logging.WARNING, "segsweep"):
        files.draw_curves()
    assert "curves could not be made" in caplog.text
    assert "no font" in caplog.text
    assert not (trial_folder(task) / layout.TRIAL_CURVES).exists()

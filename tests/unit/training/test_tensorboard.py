"""TensorBoard itself reads what a trial has written: every epoch once, in groups, with the hyperparameters."""

import time
from itertools import pairwise

import pytest

from segsweep.training.tensorboard import tag, write_events

pytestmark = [pytest.mark.slow(reason="imports tensorboard"), pytest.mark.timeout(60)]

ROWS = [
    {"epoch": epoch, "seconds": 10.0, "batch": 16.0, "train_box_loss": 3.0 / epoch, "mask_map50_95": 0.1 * epoch}
    for epoch in (1.0, 2.0, 3.0)
]


@pytest.fixture
def read(tmp_path):
    """What TensorBoard finds in a folder after the rows were written there."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def after(*writings):
        for rows in writings:
            write_events(tmp_path / "events.out.tfevents.segsweep", rows, {"variant": "n", "lr0": 0.01, "cos_lr": True})
        return EventAccumulator(str(tmp_path)).Reload()

    return after


def test_every_epoch_of_every_column_is_there(read):
    found = read(ROWS)
    assert sorted(found.Tags()["scalars"]) == ["batch", "mask/map50_95", "seconds", "train/box_loss"]
    losses = found.Scalars("train/box_loss")
    assert [(one.step, one.value) for one in losses] == [(1, 3.0), (2, 1.5), (3, 1.0)]
    assert [later.wall_time - one.wall_time for one, later in pairwise(losses)] == pytest.approx([10.0, 10.0])
    assert losses[-1].wall_time == pytest.approx(time.time(), abs=60)


def test_a_trial_that_went_on_has_every_epoch_once(read):
    found = read(ROWS[:2], ROWS)
    assert [one.step for one in found.Scalars("mask/map50_95")] == [1, 2, 3]


def test_hyperparameters_stand_beside_the_objective(read):
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found = read(ROWS)
    parts = {
        name: HParamsPluginData.FromString(content) for name, content in found.PluginTagToContent("hparams").items()
    }
    given = parts["_hparams_/session_start_info"].session_start_info.hparams
    assert (given["variant"].string_value, given["lr0"].number_value, given["cos_lr"].bool_value) == ("n", 0.01, True)
    (metric,) = parts["_hparams_/experiment"].experiment.metric_infos
    assert metric.name.tag in found.Tags()["scalars"]


def test_without_an_epoch_there_are_no_scalars(read):
    assert read([]).Tags()["scalars"] == []


@pytest.mark.parametrize(
    ("column", "name"),
    [("val_seg_loss", "val/seg_loss"), ("lr_pg0", "lr/pg0"), ("batch", "batch"), ("seconds", "seconds")],
)
def test_columns_of_a_kind_stand_together(column, name):
    assert tag(column) == name

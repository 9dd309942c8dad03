"""Names of what is reported."""

from segsweep.core.metrics import EPOCH_COLUMNS, FROM_ULTRALYTICS, OBJECTIVE


def test_the_objective_is_the_masks_map():
    assert FROM_ULTRALYTICS["metrics/mAP50-95(M)"] == OBJECTIVE == "mask_map50_95"


def test_a_row_has_every_quantity_once_after_epoch_seconds_and_batch():
    assert EPOCH_COLUMNS[:3] == ("epoch", "seconds", "batch")
    assert len(set(EPOCH_COLUMNS)) == len(EPOCH_COLUMNS) == 3 + 16

"""Names of what is reported."""

import pytest

from segsweep.core.metrics import EPOCH_COLUMNS, FROM_ULTRALYTICS, OBJECTIVE


def test_the_objective_is_the_masks_map():
    assert FROM_ULTRALYTICS["metrics/mAP50-95(M)"] == OBJECTIVE == "mask_map50_95"


def test_a_row_has_every_quantity_once_after_epoch_seconds_and_batch():
    assert EPOCH_COLUMNS[:3] == ("epoch", "seconds", "batch")
    assert len(set(EPOCH_COLUMNS)) == len(EPOCH_COLUMNS) == 3 + 16


@pytest.mark.slow(reason="imports ultralytics and torch")
@pytest.mark.timeout(60)
def test_the_names_are_those_of_the_installed_ultralytics(monkeypatch, tmp_path):
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    from ultralytics.utils.metrics import SegmentMetrics

    assert set(SegmentMetrics().keys) == {name for name in FROM_ULTRALYTICS if name.startswith("metrics/")}

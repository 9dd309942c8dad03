"""What the picture of a trial's epochs shows."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from segsweep.core.metrics import EPOCH_COLUMNS
from segsweep.training.curves import Line, draw_curves, panels


def epochs(count: int, **other: float) -> list[dict[str, float]]:
    """Every column is its number among them plus the epoch; three groups of parameters have one learning rate."""
    rows = []
    for epoch in range(1, count + 1):
        row = {name: float(number + epoch) for number, name in enumerate(EPOCH_COLUMNS)}
        rows.append({**row, "epoch": float(epoch), "lr_pg0": 0.1, "lr_pg1": 0.1, "lr_pg2": 0.1, **other})
    return rows


def column(name: str, count: int) -> tuple[float, ...]:
    return tuple(float(EPOCH_COLUMNS.index(name) + epoch) for epoch in range(1, count + 1))


def test_every_loss_is_there_for_train_and_val_and_accuracy_for_boxes_and_masks():
    found = {panel.title: panel.lines for panel in panels(epochs(3))}
    assert list(found) == [
        *("box loss", "mask loss", "class loss", "DFL loss"),
        *("on val, while training", "learning rate"),
    ]
    assert found["mask loss"] == (
        Line("train", column("train_seg_loss", 3)),
        Line("val", column("val_seg_loss", 3)),
    )
    assert {line.name: line.values for line in found["on val, while training"]} == {
        "mask mAP50-95": column("mask_map50_95", 3),
        "mask mAP50": column("mask_map50", 3),
        "box mAP50-95": column("box_map50_95", 3),
        "box mAP50": column("box_map50", 3),
    }


def test_equal_learning_rates_are_one_line_and_others_their_own():
    assert panels(epochs(2))[-1].lines == (Line("pg0", (0.1, 0.1)),)
    assert panels(epochs(2, lr_pg2=0.3))[-1].lines == (Line("pg0", (0.1, 0.1)), Line("pg2", (0.3, 0.3)))


def test_what_is_not_finite_is_a_gap():
    (first, *_) = panels(epochs(2, train_box_loss=math.inf, val_box_loss=math.nan))
    assert all(math.isnan(value) for line in first.lines for value in line.values)


@pytest.mark.slow(reason="imports matplotlib")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("rows", [epochs(1), epochs(2, train_box_loss=math.nan, val_box_loss=math.inf), epochs(300)])
def test_one_epoch_many_and_broken_ones_are_drawn_without_a_trace_in_pyplot(rows):
    import matplotlib.pyplot as plt

    png = draw_curves(rows, "t0001, size n, $lr$")
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (1000, 1800, 3)
    assert plt.get_fignums() == []


@pytest.mark.slow(reason="imports matplotlib")
@pytest.mark.timeout(60)
def test_drawing_draws_no_random_numbers():
    import random

    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()
    draw_curves(epochs(2), "t")
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before

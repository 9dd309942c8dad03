"""What is known about the five sizes."""

from segsweep.core.variants import (
    GFLOPS,
    PARAMETERS_M,
    VARIANTS,
    architecture_name,
    nominal_epoch_cost,
    weights_name,
)


def test_the_sizes_stand_in_order_of_cost_and_parameters():
    assert VARIANTS == ("n", "s", "m", "l", "x")
    assert tuple(sorted(VARIANTS, key=GFLOPS.__getitem__)) == VARIANTS
    assert tuple(sorted(VARIANTS, key=PARAMETERS_M.__getitem__)) == VARIANTS


def test_costs_are_relative_to_n():
    assert nominal_epoch_cost("n") == 1.0
    assert nominal_epoch_cost("x") == 344.1 / 12.6


def test_files_are_named_as_ultralytics_publishes_them():
    assert weights_name("n") == "yolov8n-seg.pt"
    assert architecture_name("x") == "yolov8x-seg.yaml"

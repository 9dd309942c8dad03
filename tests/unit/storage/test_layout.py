"""Every name that users and measurements depend on, spelled out once more."""

import pytest

from segsweep.storage import layout
from segsweep.storage.store import checked_key


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({}, "n-t0007"),
        ({"momentum": 0.91, "lr0": 0.00312345}, "n-lr0=0.00312-momentum=0.91-t0007"),
        ({"optimizer": "AdamW", "cos_lr": True, "batch": 16}, "n-batch=16-cos_lr=True-optimizer=AdamW-t0007"),
        ({"weight_decay": 1.5e-5, "degrees": -3.0}, "n-degrees=_3-weight_decay=1.5e_05-t0007"),
        ({"model": "a/b c-d"}, "n-model=a_b_c_d-t0007"),
    ],
)
def test_a_trial_is_named_by_variant_hyperparameters_and_id(params, name):
    assert layout.trial_name("n", params, "t0007") == name


def test_a_long_name_loses_hyperparameters_never_the_id():
    params = {f"parameter_{letter}": 0.123 for letter in "abcdefghij"}
    name = layout.trial_name("x", params, "t0007")
    assert len(name) <= 120
    assert name == "x-" + "-".join(f"parameter_{letter}=0.123" for letter in "abcdef") + "-t0007"


def test_trials_of_any_parameters_are_told_apart_by_their_id():
    assert layout.trial_name("n", {"lr0": 0.1}, "t0001") != layout.trial_name("n", {"lr0": 0.1}, "t0002")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (layout.trial_key("n-t0001", layout.TRIAL_RECORD), "trials/n-t0001/trial.json"),
        (layout.trial_key("n-t0001", layout.checkpoint_name(12)), "trials/n-t0001/checkpoints/epoch-0012.pt"),
        (layout.trial_key("n-t0001", layout.prediction_name("cat")), "trials/n-t0001/predictions/cat.jpg"),
        (layout.weights_key("s", "0123456789abcdef"), "weights/0123456789ab/yolov8s-seg.pt"),
        (layout.session_key("20260102T030405Z"), "sessions/20260102T030405Z.json"),
        (layout.shard_key("train", 3), "shards/train-00003.tar"),
        (layout.image_key("val", "cat"), "images/val/cat.jpg"),
        (layout.label_key("val", "cat"), "labels/val/cat.txt"),
        (layout.bundle_name("cats", "0123456789abcdef"), "cats-0123456789ab"),
    ],
)
def test_keys_are_what_the_documentation_says_and_every_store_takes_them(key, expected):
    assert checked_key("here", key) == expected


def test_checkpoints_sort_by_epoch():
    names = [layout.checkpoint_name(epoch) for epoch in (9, 10, 99, 100, 1000, 9999)]
    assert sorted(names) == names

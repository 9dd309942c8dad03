from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from segsweep.core.geometry import Part
from segsweep.dataset.cleaning import clean
from segsweep.dataset.cleaning.clean import CleanRules, Known, exclude
from segsweep.dataset.records import ImageRecord, Instance, RawDataset
from segsweep.errors import Problem

SHAPE = (Part(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])),)
CAT, CROWD = Instance(0, SHAPE), Instance(0, SHAPE, crowd=True)
ALL = CleanRules(drop_empty=True, drop_unreadable=True)


class Counted:
    """Instances that know how often they were loaded."""

    def __init__(self, *instances: Instance) -> None:
        self.instances = instances
        self.loads = 0

    def load(self) -> tuple[Instance, ...]:
        self.loads += 1
        return self.instances


def dataset(folder: Path, **annotations: tuple[Instance, ...]) -> RawDataset:
    records = (
        ImageRecord(folder / f"{name}.jpg", f"{name}.jpg", name, instances, name.partition("_")[0])
        for name, instances in annotations.items()
    )
    return RawDataset("yolo", ("cat",), tuple(records))


def write(make_image: Callable[..., Path], raw: RawDataset) -> RawDataset:
    for seed, record in enumerate(raw.images):
        make_image(record.path, seed=seed)
    return raw


def names(raw: RawDataset) -> list[str]:
    return [record.name for record in raw.images]


def test_by_default_a_dataset_without_copies_stays_whole(tmp_path: Path, make_image: Callable[..., Path]):
    raw = write(make_image, dataset(tmp_path, train_a=(CAT,), val_b=(), test_c=(CROWD,)))
    (tmp_path / "val_b.jpg").write_bytes(b"")
    kept, actions = exclude(raw, CleanRules())
    assert kept.images == raw.images
    assert actions == ()


def test_images_without_an_object_are_left_out_where_asked(tmp_path: Path):
    raw = dataset(tmp_path, train_a=(CAT,), train_b=(), train_c=(CROWD,), train_d=(CROWD, CAT))
    kept, actions = exclude(raw, CleanRules(drop_empty=True))
    assert names(kept) == ["train_a.jpg", "train_d.jpg"]
    assert [(action.image, action.rule) for action in actions] == [
        ("train_b.jpg", clean.EMPTY),
        ("train_c.jpg", clean.EMPTY),
    ]


def test_unreadable_images_are_left_out_where_asked_and_why_is_told(tmp_path: Path, make_image: Callable[..., Path]):
    raw = write(make_image, dataset(tmp_path, train_a=(CAT,), train_b=(), train_c=(CAT,)))
    data = (tmp_path / "train_a.jpg").read_bytes()
    (tmp_path / "train_a.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "train_b.jpg").unlink()
    kept, actions = exclude(raw, ALL)
    assert names(kept) == ["train_c.jpg"]
    assert [action.rule for action in actions] == [clean.UNREADABLE, clean.UNREADABLE]
    assert "truncated" in actions[0].detail
    assert "No such file" in actions[1].detail


def test_copies_across_given_splits_are_left_out_of_train(tmp_path: Path, make_image: Callable[..., Path]):
    raw = write(make_image, dataset(tmp_path, train_a=(CAT,), train_b=(CAT,), val_c=(CAT,), test_d=(CAT,)))
    (tmp_path / "test_d.jpg").write_bytes((tmp_path / "train_a.jpg").read_bytes())
    kept, actions = exclude(raw, CleanRules())
    assert names(kept) == ["train_b.jpg", "val_c.jpg", "test_d.jpg"]
    assert [(action.image, action.rule, action.detail) for action in actions] == [
        ("train_a.jpg", clean.TWINS, "the same picture as test_d.jpg in test")
    ]
    assert names(exclude(raw, CleanRules(drop_cross_split_duplicates=False))[0]) == names(raw)


def test_copies_do_not_matter_where_the_split_is_to_be_dealt(tmp_path: Path, make_image: Callable[..., Path]):
    raw = write(make_image, dataset(tmp_path, train_a=(CAT,), val_b=(CAT,)))
    (tmp_path / "val_b.jpg").write_bytes((tmp_path / "train_a.jpg").read_bytes())
    assert names(exclude(raw, CleanRules())[0]) == names(raw)


def test_the_first_reason_counts_and_order_stays(tmp_path: Path):
    raw = dataset(tmp_path, train_a=(), train_b=(CAT,), train_c=())
    problem = Problem("train_a.jpg", "is no image")
    known = Known({record.name: frozenset() for record in raw.images}, {"train_a.jpg": (problem,)})
    kept, actions = exclude(raw, ALL, known=known)
    assert kept.images == ()
    assert [action.rule for action in actions] == [clean.UNREADABLE, clean.EMPTY, clean.EMPTY]
    assert actions[0].detail == "train_a.jpg: is no image"


def test_instances_are_loaded_once_at_most_and_not_at_all_if_known(tmp_path: Path):
    counted = [Counted(CAT), Counted()]
    records = tuple(
        ImageRecord(tmp_path / f"{i}.jpg", f"{i}.jpg", str(i), annotations) for i, annotations in enumerate(counted)
    )
    raw = RawDataset("yolo", ("cat",), records)
    assert names(exclude(raw, CleanRules(drop_empty=True))[0]) == ["0.jpg"]
    assert [one.loads for one in counted] == [1, 1]
    known = Known({"0.jpg": frozenset({0}), "1.jpg": frozenset()})
    assert names(exclude(raw, CleanRules(drop_empty=True), known=known)[0]) == ["0.jpg"]
    assert [one.loads for one in counted] == [1, 1]

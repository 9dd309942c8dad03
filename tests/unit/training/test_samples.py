"""What training draws: functions of (seed, epoch, index), with a job's transforms in train and none in val."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from segsweep.config.augmentation import TransformSpec
from segsweep.dataset.augmentation.online import as_dicts
from segsweep.errors import TrialError

pytestmark = [pytest.mark.slow(reason="imports ultralytics"), pytest.mark.timeout(120)]

OWN = (
    TransformSpec(name="Rotate", params={"limit": 20, "p": 0.5}),
    TransformSpec(name="GaussNoise", params={"p": 0.5}),
)


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Any]:
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        for i in range(4):
            noise = np.random.default_rng(i).integers(0, 255, (64, 64, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "images" / split / f"{i}.jpg"), noise)
            (tmp_path / "labels" / split / f"{i}.txt").write_text("0 0.2 0.2 0.8 0.2 0.8 0.8 0.2 0.8\n")
    return {
        "path": tmp_path,
        "names": {0: "cat"},
        "nc": 1,
        "channels": 3,
        **{s: str(tmp_path / "images" / s) for s in ("train", "val")},
    }


def dataset(data: dict[str, Any], mode: str, augmentations: list[dict[str, Any]] | None) -> Any:
    from ultralytics.cfg import get_cfg
    from ultralytics.data.build import build_yolo_dataset

    overrides = {"task": "segment", "imgsz": 64, "mosaic": 0.0, "augmentations": augmentations}
    return build_yolo_dataset(get_cfg(overrides=overrides), data[mode], 4, data, mode=mode, rect=mode == "val")


def steps(found: Any) -> list[Any]:
    from segsweep.training.samples import SeededDataset

    return SeededDataset.albumentations.fget(found)  # type: ignore[attr-defined,no-any-return]


def loader(data: dict[str, Any], workers: int = 0, augmentations: Any = None, **overrides: Any) -> tuple[Any, Any]:
    """Batches of two, as the trainer makes them; with the dataset's batches."""
    from ultralytics.cfg import get_cfg
    from ultralytics.data.build import build_dataloader, build_yolo_dataset

    from segsweep.training.samples import seed_loader

    wanted = {"task": "segment", "imgsz": 64, "augmentations": augmentations, **overrides}
    found = build_yolo_dataset(get_cfg(overrides=wanted), data["train"], 2, data, mode="train", rect=False)
    made = build_dataloader(found, 2, workers, device="cpu")
    return made, seed_loader(made, 3, 1, bool(augmentations))


def pictures(made: Any, epochs: int = 1) -> list[Any]:
    return [np.concatenate([batch["img"].numpy() for batch in made]) for _ in range(epochs)]


MIXED = {"mosaic": 0.7, "mixup": 0.4, "copy_paste": 0.5, "degrees": 20.0}


def test_train_has_the_jobs_transforms_and_val_has_none(data: dict[str, Any]) -> None:
    own = as_dicts(OWN)
    (step,) = steps(dataset(data, "train", own))
    (sequence,) = step.transform.transforms
    assert [type(one).__name__ for one in sequence.transforms] == ["Rotate", "GaussNoise"]
    assert steps(dataset(data, "val", own)) == []


def test_val_pictures_are_the_files_pictures(data: dict[str, Any]) -> None:
    found = dataset(data, "val", as_dicts(OWN))
    for i in range(4):
        file = cv2.imread(str(found.im_files[i]))
        padded = found[i]["img"].numpy()[::-1].transpose(1, 2, 0)  # half a stride at each side
        assert np.array_equal(padded[16:80, 16:80], file)


@pytest.mark.parametrize("augmentations", [None, as_dicts(OWN)])
def test_workers_change_no_sample(data: dict[str, Any], augmentations: Any) -> None:
    alone, together = (pictures(loader(data, workers, augmentations, **MIXED)[0], 3) for workers in (0, 2))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))
    assert not np.array_equal(alone[0], alone[1])


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_is_the_same_whatever_came_before_it(data: dict[str, Any], workers: int) -> None:
    third = pictures(loader(data, workers, **MIXED)[0], 3)[2]
    made, batches = loader(data, workers, **MIXED)
    batches.epoch = 2
    assert np.array_equal(pictures(made)[0], third)
    made.reset()
    assert np.array_equal(pictures(made)[0], third)


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own(data: dict[str, Any]) -> None:
    made, _ = loader(data, mosaic=0.0)
    orders = [[Path(name).stem for batch in made for name in batch["im_file"]] for _ in range(4)]
    assert all(sorted(order) == ["0", "1", "2", "3"] for order in orders)
    assert len({tuple(order) for order in orders}) > 1


def test_a_mosaics_partners_are_the_whole_split(data: dict[str, Any]) -> None:
    from segsweep.training.samples import _steps_of

    made, _ = loader(data, mosaic=1.0)
    mosaics = [step for step in _steps_of(made.dataset.transforms) if type(step).__name__ == "Mosaic"]
    for mosaic in mosaics:  # one for MixUp's partners, too
        assert {index for _ in range(50) for index in mosaic.get_indexes()} == {0, 1, 2, 3}  # nothing has been read
    assert mosaics


def test_pictures_kept_in_memory_are_the_same(data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from segsweep.training import samples

    kept, _ = loader(data, **MIXED)
    monkeypatch.setattr(samples, "_DECODED_BYTES", 0)
    read, _ = loader(data, **MIXED)
    assert (kept.dataset.cache, read.dataset.cache) == ("ram", None)
    assert all(np.array_equal(*both) for both in zip(pictures(kept, 3), pictures(read, 3), strict=True))


def test_a_sample_leaves_the_global_streams_where_they_were(data: dict[str, Any]) -> None:
    made, _ = loader(data, **MIXED)
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    made.dataset[0, 1]
    assert (random.random(), np.random.random()) == expected


@pytest.mark.filterwarnings("default")
def test_transforms_that_ultralytics_skips_end_the_trial(data: dict[str, Any]) -> None:
    broken = as_dicts(OWN)
    broken[0]["transform"]["transforms"][0]["__class_fullname__"] = "Rotat"
    with pytest.raises(TrialError, match="Ultralytics could not build the job's augmentations"):
        loader(data, augmentations=broken)  # upstream: a line of its log, and no error


@pytest.mark.parametrize(("length", "batch", "ranks"), [(12, 4, 2), (13, 4, 2), (7, 2, 3), (1, 2, 4), (9, 9, 1)])
def test_processes_share_every_batch_and_none_has_more_than_another(length: int, batch: int, ranks: int) -> None:
    from segsweep.training.samples import EpochBatches

    batches = math.ceil(math.ceil(length / ranks) / batch)
    each = [iter(EpochBatches(length, batch, batches, 7, rank, ranks)) for rank in range(ranks)]
    alone = iter(EpochBatches(length, batch * ranks, batches, 7))
    for epoch in range(2):
        seen = []
        for _ in range(batches):
            parts, together = [next(one) for one in each], next(alone)
            assert len({len(part) for part in parts}) == 1  # or they would wait for each other for ever
            of_all = [item for part in parts for item in part]
            assert set(together) <= set(of_all)  # the step that one process would make
            seen += of_all
        assert {index for _, index in seen} == set(range(length))
        assert {one for one, _ in seen} == {epoch}
        assert len(seen) < length + ranks

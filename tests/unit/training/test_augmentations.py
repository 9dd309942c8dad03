"""A job's transforms in Ultralytics' training: there in train, absent in val, and an error where they got lost."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
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
    from segsweep.training.trainer import _albumentations_of

    return list(_albumentations_of(found.transforms))


def trainer_of(found: Any, augmentations: Any) -> Any:
    os.environ.setdefault("YOLO_OFFLINE", "1")
    from segsweep.training.trainer import TrialTrainer

    trainer = TrialTrainer.__new__(TrialTrainer)
    trainer.args = SimpleNamespace(augmentations=augmentations, seed=3)
    trainer.epoch = 1
    trainer.train_loader = SimpleNamespace(dataset=found)
    return trainer


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


def test_an_epochs_seed_reaches_every_transform(data: dict[str, Any]) -> None:
    own = as_dicts(OWN)
    pictures = []
    for _ in range(2):
        found = dataset(data, "train", own)
        trainer = trainer_of(found, own)
        trainer._seed_albumentations()
        (step,) = steps(found)
        assert step.transform.seed == trainer._epoch_seed
        image = np.full((64, 64, 3), 99, np.uint8)
        draw = step.transform.transforms[0]
        pictures.append([draw(image=image)["image"] for _ in range(3)])
    assert np.array_equal(pictures[0], pictures[1])


@pytest.mark.filterwarnings("default")
def test_transforms_that_ultralytics_skips_end_the_trial(data: dict[str, Any]) -> None:
    broken = as_dicts(OWN)
    broken[0]["transform"]["transforms"][0]["__class_fullname__"] = "Rotat"
    found = dataset(data, "train", broken)  # a line of its log, and no error
    with pytest.raises(TrialError, match="Ultralytics could not build the job's augmentations"):
        trainer_of(found, broken)._seed_albumentations()
    trainer_of(dataset(data, "train", None), None)._seed_albumentations()

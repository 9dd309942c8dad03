from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from segsweep.dataset.bundles.staging import NodeCopy, stage
from segsweep.dataset.preparing.bundle import PrepareOptions, prepare
from segsweep.errors import DatasetError

pytestmark = [pytest.mark.slow(reason="imports ultralytics"), pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def ultralytics_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    # Read at import: set for the whole process, once.
    os.environ.setdefault("YOLO_CONFIG_DIR", str(tmp_path_factory.mktemp("ultralytics")))
    os.environ.setdefault("YOLO_OFFLINE", "1")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")


@pytest.fixture
def uri(small_yolo: Path, tmp_path: Path) -> str:
    return prepare(small_yolo, str(tmp_path / "bundles"), PrepareOptions(imgsz=32, name="pets")).uri


def open_split(copy: NodeCopy, split: str) -> Any:
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    data = check_det_dataset(str(copy.data_yaml))
    return YOLODataset(img_path=data[split], data=data, task="segment", imgsz=32)


def test_no_split_is_scanned_again_after_staging(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from ultralytics.data.dataset import YOLODataset

    from segsweep.dataset.loader import prebuild_label_cache

    copy = stage(uri, tmp_path / "cache", prebuild_label_cache)

    def refuse(*_: object) -> None:
        raise AssertionError("scanned again")

    monkeypatch.setattr(YOLODataset, "cache_labels", refuse)
    for split, facts in copy.manifest.splits.items():
        dataset = open_split(copy, split)
        assert len(dataset.labels) == facts.images
        assert sum(len(label["segments"]) for label in dataset.labels) == sum(facts.instances.values())


def test_after_damage_is_mended_no_split_is_scanned_again_and_no_object_is_missing(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from ultralytics.data.dataset import YOLODataset

    from segsweep.dataset.loader import prebuild_label_cache

    def instances() -> int:
        return sum(len(label["segments"]) for label in open_split(copy, "train").labels)

    copy = stage(uri, tmp_path / "cache", prebuild_label_cache)
    there = sum(copy.manifest.splits["train"].instances.values())
    label = next(path for path in sorted((copy.root / "labels/train").glob("*.txt")) if path.stat().st_size)
    label.unlink()
    assert instances() < there, "Ultralytics takes a missing label for an empty image: nobody would notice"
    stage(uri, tmp_path / "cache", prebuild_label_cache)
    monkeypatch.setattr(YOLODataset, "cache_labels", lambda *_: pytest.fail("scanned again"))
    assert instances() == there


def test_without_it_every_split_would_be_scanned(uri: str, tmp_path: Path):
    copy = stage(uri, tmp_path / "cache")
    assert list((copy.root / "labels").glob("*.cache")) == []


def test_an_image_that_ultralytics_would_drop_is_an_error(uri: str, tmp_path: Path):
    from segsweep.dataset.loader import prebuild_label_cache

    copy = stage(uri, tmp_path / "cache")
    (copy.root / "labels/train/train0.txt").write_text("0 0.5 0.5 2.0 0.1 0.3 0.3\n")
    with pytest.raises(DatasetError, match="Ultralytics reads 5 of 6 images"):
        prebuild_label_cache(copy)


# --- in torchvision's convention ------------------------------------------------------------------------------------

AUGMENT = {"online": [{"HorizontalFlip": {"p": 0.5}}, {"Rotate": {"limit": 20, "p": 0.5}}, {"GaussNoise": {"p": 0.5}}]}


@pytest.fixture
def copy(uri: str, tmp_path: Path) -> NodeCopy:
    return stage(uri, tmp_path / "cache")


def augmented() -> Any:
    from segsweep.config.augmentation import parse_augmentation
    from segsweep.dataset.augmentation.augment import Augmentation

    return Augmentation(parse_augmentation(AUGMENT, "augment.yaml"))


def epoch_of(copy: NodeCopy, workers: int, epoch: int, seed: int = 7) -> list[Any]:
    """Everything that a loader shows in one epoch, as bytes in order."""
    from segsweep.dataset.loader import BundleDataset, data_loader

    loader, sampler = data_loader(BundleDataset(copy, "train", augmented(), seed), 2, shuffle=True, workers=workers)
    sampler.set_epoch(epoch)
    return [
        (picture.numpy().tobytes(), {k: v if isinstance(v, int) else v.numpy().tobytes() for k, v in target.items()})
        for pictures, targets in loader
        for picture, target in zip(pictures, targets, strict=True)
    ]


def test_an_item_is_what_torchvisions_models_take(copy: NodeCopy):
    import torch

    from segsweep.dataset.loader import BundleDataset

    dataset = BundleDataset(copy, "val")
    picture, target = dataset[1]
    assert (len(dataset), dataset.classes, dataset.images[1].name) == (3, ("cat", "dog"), "val1.jpg")
    assert (picture.dtype, tuple(picture.shape)) == (torch.float32, (3, 24, 32))
    assert 0 <= picture.min() < picture.max() <= 1
    facts = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in target.items() if name != "image_id"}
    assert facts == {
        "boxes": (torch.float32, (2, 4)),
        "labels": (torch.int64, (2,)),
        "masks": (torch.uint8, (2, 24, 32)),
        "area": (torch.float32, (2,)),
        "iscrowd": (torch.int64, (2,)),
    }
    assert target["labels"].tolist() == [1, 2]
    assert target["image_id"] == 1
    assert target["area"].tolist() == target["masks"].sum(dim=(1, 2)).tolist()
    for mask, box in zip(target["masks"], target["boxes"].int().tolist(), strict=True):
        rows, columns = mask.nonzero(as_tuple=True)
        assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_colours_come_as_rgb(copy: NodeCopy):
    import cv2

    from segsweep.dataset.loader import BundleDataset

    dataset = BundleDataset(copy, "val")
    bgr = cv2.imread(str(dataset.images[0]))
    assert (dataset[0][0] * 255).round().byte().numpy().transpose(1, 2, 0)[..., ::-1].tolist() == bgr.tolist()


def test_torchvision_trains_on_it(copy: NodeCopy):
    import torch
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    from segsweep.dataset.loader import BundleDataset, data_loader

    (copy.root / "labels/train/train0.txt").write_text("")  # a background image
    torch.manual_seed(0)
    model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3, min_size=32, max_size=64)
    loader, _ = data_loader(BundleDataset(copy, "train"), 6, shuffle=False)
    (batch,) = loader
    losses = model(*batch)
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert "loss_mask" in losses


def test_a_sample_depends_on_seed_epoch_and_index_whatever_the_workers(copy: NodeCopy):
    import torch

    alone = [epoch_of(copy, 0, epoch) for epoch in range(3)]
    torch.manual_seed(123)  # nobody asks the global generators
    with_workers = [epoch_of(copy, 2, epoch) for epoch in (2, 1, 0)][::-1]
    assert alone == with_workers
    assert alone[0] != alone[1] != alone[2]
    assert epoch_of(copy, 0, 0, seed=8) != alone[0]


def test_drawing_a_pass_moves_no_global_generator(copy: NodeCopy):
    import torch

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    epoch_of(copy, 0, 0)
    assert torch.equal(torch.rand(1), expected)


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own():
    from segsweep.dataset.loader import EpochSampler

    sampler = EpochSampler(50, 3, is_shuffled=True)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        pairs = list(sampler)
        assert {given for given, _ in pairs} == {epoch}
        orders.append([index for _, index in pairs])
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[1]) == list(range(50))
    assert [index for _, index in EpochSampler(4, 3, is_shuffled=False)] == [0, 1, 2, 3]


def test_val_and_test_are_shown_as_they_are(copy: NodeCopy):
    import torch

    from segsweep.dataset.loader import BundleDataset

    for split, is_changed in (("train", True), ("val", False), ("test", False)):
        plain, drawn = BundleDataset(copy, split), BundleDataset(copy, split, augmented())
        same = all(
            torch.equal(plain[0, i][0], drawn[epoch, i][0])
            and torch.equal(plain[0, i][1]["masks"], drawn[epoch, i][1]["masks"])
            for epoch in range(3)
            for i in range(3)
        )
        assert same != is_changed


def test_a_broken_label_or_split_is_told(copy: NodeCopy):
    from segsweep.dataset.loader import BundleDataset

    with pytest.raises(DatasetError, match="split = trian: must be one of train, val, test"):
        BundleDataset(copy, "trian")
    (copy.root / "labels/train/train0.txt").write_text("0 0.5 0.5\n")
    with pytest.raises(DatasetError, match=r"train0.txt:1"):
        BundleDataset(copy, "train")[0]
    (copy.root / "labels/train/train0.txt").unlink()
    with pytest.raises(DatasetError, match="the label file cannot be read: No such file"):
        BundleDataset(copy, "train")[0]


def test_an_instance_without_a_pixel_is_left_out(copy: NodeCopy):
    from segsweep.dataset.loader import BundleDataset

    (copy.root / "labels/train/train0.txt").write_text("0 0.5 0.5 0.501 0.5 0.501 0.501\n1 0 0 0.5 0 0.5 0.5\n")
    assert BundleDataset(copy, "train")[0][1]["labels"].tolist() == [2]


def test_the_loader_needs_no_ultralytics():
    import subprocess
    import sys

    code = "import sys, segsweep.dataset.loader; sys.exit('ultralytics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0

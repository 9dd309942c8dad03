from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from segsweep.dataset.bundle import PrepareOptions, prepare
from segsweep.dataset.staging import NodeCopy, stage
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


def test_without_it_every_split_would_be_scanned(uri: str, tmp_path: Path):
    copy = stage(uri, tmp_path / "cache")
    assert list((copy.root / "labels").glob("*.cache")) == []


def test_an_image_that_ultralytics_would_drop_is_an_error(uri: str, tmp_path: Path):
    from segsweep.dataset.loader import prebuild_label_cache

    copy = stage(uri, tmp_path / "cache")
    (copy.root / "labels/train/train0.txt").write_text("0 0.5 0.5 2.0 0.1 0.3 0.3\n")
    with pytest.raises(DatasetError, match="Ultralytics reads 5 of 6 images"):
        prebuild_label_cache(copy)

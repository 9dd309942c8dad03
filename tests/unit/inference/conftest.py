"""Networks to predict with: planted ones, and a real one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from planted_model import planted_outputs, write_planted_model
from segsweep.dataset.environment import prepare_ultralytics
from segsweep.inference.export import export_onnx


@pytest.fixture
def planted(tmp_path: Path) -> Callable[..., Path]:
    """Write a network that finds the given objects in every image."""

    def write(*objects: tuple[float, ...], names: str = "{0: 'cat', 1: 'dog'}") -> Path:
        return write_planted_model(tmp_path / "planted.onnx", planted_outputs(objects), names)

    return write


@pytest.fixture
def constant_model(tmp_path: Path) -> Callable[..., Path]:
    """Write a network with these outputs, whatever their shapes."""

    def write(*outputs: np.ndarray) -> Path:
        return write_planted_model(tmp_path / "constant.onnx", outputs)

    return write


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data; its absence skips, and fails where CI promises it."""
    folder = Path(os.environ.get("SEGSWEEP_DATA", Path(__file__).parents[4] / "shared" / "data"))
    if not folder.is_dir():
        message = f"no real data at {folder}: set SEGSWEEP_DATA"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def feralcat_images(data_folder: Path) -> list[Path]:
    return sorted((data_folder / "feralcat" / "test" / "images").glob("*.jpg"))


@pytest.fixture(scope="session")
def exported_yolov8n(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The COCO weights as ONNX at 256 pixels."""
    folder = tmp_path_factory.mktemp("exported")
    prepare_ultralytics(folder / "cache")
    return export_onnx(data_folder / "weights" / "yolov8n-seg.pt", folder / "model.onnx", 256).path

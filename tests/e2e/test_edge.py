"""An edge device: `pip install segsweep[edge]` in an empty environment, and `segsweep predict` there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from segsweep.dataset.environment import prepare_ultralytics
from segsweep.inference.export import export_onnx
from shell import REPO, Shell

HEAVY = ("torch", "torchvision", "ray", "ultralytics", "albumentations", "matplotlib", "plotly", "onnx")


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment in which nothing but the extra `edge` was installed."""
    folder = tmp_path_factory.mktemp("edge")
    for name in ("pyproject.toml", "README.md", "LICENSE", "constraints.txt"):
        shutil.copy(REPO / name, folder / name)
    # A copy: building leaves its traces beside the sources.
    shutil.copytree(REPO / "src", folder / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--constraint", folder / "constraints.txt", f"{folder}[edge]"], check=True)
    return python


@pytest.mark.slow(reason="installs the extra `edge` into an empty environment")
def test_the_edge_installation_has_nothing_that_trains_and_exactly_one_cv2(edge: Path) -> None:
    script = (
        "import json, sys; from importlib.metadata import distributions; from importlib.util import find_spec\n"
        "found = [name for name in sys.argv[1:] if find_spec(name)]\n"
        "print(json.dumps([found, sorted(d.name for d in distributions() if d.name.startswith('opencv'))]))"
    )
    done = subprocess.run([edge, "-I", "-c", script, *HEAVY], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [[], ["opencv-python-headless"]]


@pytest.mark.data
@pytest.mark.slow(reason="installs the extra `edge` into an empty environment")
def test_the_edge_installation_predicts_what_the_full_one_does(
    edge: Path, shell: Shell, real_data: Path, node_cache: Path
) -> None:
    prepare_ultralytics(node_cache)
    model = export_onnx(real_data / "weights" / "yolov8n-seg.pt", shell.cwd / "model" / "model.onnx", 640).path
    images = sorted((real_data / "feralcat" / "test" / "images").glob("*.jpg"))[:8]
    shell.run("predict", model.parent, *images, "--out", "full", "--conf", 0.25)
    command = [edge, "-I", "-m", "segsweep", "predict", model.parent, *images, "--out", "edge", "--conf", "0.25"]
    done = subprocess.run([*map(str, command)], cwd=shell.cwd, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    full, slim = (json.loads((shell.cwd / out / "predictions.json").read_text()) for out in ("full", "edge"))
    assert len(full) >= 4  # else nothing was compared
    assert slim == full

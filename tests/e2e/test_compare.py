"""`segsweep compare` with real weights: PyTorch beside ONNX, and a checkpoint that brings code of its own."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from segsweep.dataset.environment import prepare_ultralytics
from segsweep.inference.export import export_onnx
from shell import Shell


@pytest.mark.data
@pytest.mark.slow(reason="exports and runs real weights on onnxruntime and torch")
def test_a_checkpoint_and_its_export_find_the_same(shell: Shell, real_data: Path, node_cache: Path) -> None:
    prepare_ultralytics(node_cache)
    weights = real_data / "weights" / "yolov8n-seg.pt"
    model = export_onnx(weights, shell.cwd / "model" / "model.onnx", 640).path
    (shell.cwd / "photos").mkdir()
    for image in sorted((real_data / "feralcat" / "test" / "images").glob("*.jpg"))[:8]:
        (shell.cwd / "photos" / image.name).symlink_to(image)
    options = ("--out", "out", "--threads", "2", "--rounds", 1, "--conf", 0.25)
    shell.run("compare", weights, model.parent, "photos", *options)
    told = json.loads((shell.cwd / "out" / "compare.json").read_text())
    torch, onnx = told["measured"]
    assert (torch["runtime"], onnx["runtime"]) == ("torch", "onnxruntime")
    assert (torch["canvas"], onnx["canvas"]) == ([640, 640], [640, 640])
    assert onnx["agreement"]["reference_objects"] >= 4  # else nothing was compared
    assert onnx["agreement"]["matched_share"] == 1.0
    assert onnx["agreement"]["only_here"] == 0
    assert onnx["agreement"]["mean_mask_iou"] > 0.99
    for one in (torch, onnx):
        stages = [one["ms"][stage]["p50"] for stage in ("read", "prepare", "forward", "postprocess")]
        assert min(stages) > 0.0
        assert one["ms"]["forward"]["p50"] == max(stages)
    assert torch["peak_memory_bytes"] > onnx["peak_memory_bytes"]
    assert (shell.cwd / "out" / "compare.png").read_bytes().startswith(b"\x89PNG")


class Evil:
    """Makes a folder where a pickle of it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.mkdir, (self.folder,)  # type: ignore[return-value]


@pytest.mark.slow(reason="imports torch in a process")
@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_code_in_a_checkpoint_is_not_executed(shell: Shell, how: str) -> None:
    import torch

    folder, file = shell.cwd / f"made-{how}", shell.cwd / f"{how}.pt"
    if how == "torch":
        torch.save({"model": Evil(folder)}, file)
    else:
        file.write_bytes(pickle.dumps(Evil(folder)))
    done = shell.run("compare", file, shell.cwd / "jobs", "--out", f"out-{how}", code=2)
    assert f"{how}.pt: " in done.stderr
    assert not folder.exists()

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from segsweep.storage.local import LocalStore
from segsweep.training.checkpoint import Checkpoint, CheckpointFolder


def _checkpoint(epoch: int) -> Checkpoint:
    return Checkpoint(
        config_hash="hash",
        epoch=epoch,
        model={"weight": torch.full((3,), float(epoch))},
        ema={"weight": torch.full((3,), epoch + 0.5)},
        ema_updates=epoch,
        optimizer={"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        scaler={},
        gradients=None,
        batches_waiting=0,
        best=0.25,
        rows=[{"epoch": float(epoch)}],
    )


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    (tmp_path / "work").mkdir()
    return CheckpointFolder(LocalStore(tmp_path / "run"), "n-t0001", tmp_path / "work")


def _files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "run" / "trials" / "n-t0001" / "checkpoints").iterdir())


def test_there_is_no_checkpoint_before_the_first(folder: CheckpointFolder) -> None:
    assert folder.load("hash") is None


def test_the_newest_checkpoint_comes_back_whole(folder: CheckpointFolder) -> None:
    folder.save(1, _checkpoint(1).to_bytes())
    folder.save(2, _checkpoint(2).to_bytes())
    loaded = folder.load("hash")
    assert loaded is not None
    assert loaded.epoch == 2
    assert torch.equal(loaded.model["weight"], torch.tensor([2.0, 2.0, 2.0]))
    assert loaded.rows == [{"epoch": 2.0}]


def test_the_newest_two_are_kept_and_nothing_stays_in_the_work_folder(folder: CheckpointFolder, tmp_path: Path) -> None:
    for epoch in (1, 2, 3, 10):
        folder.save(epoch, _checkpoint(epoch).to_bytes())
    assert _files(tmp_path) == ["epoch-0003.pt", "epoch-0010.pt"]
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize("keep_bytes", [0, 10, 1000])
def test_a_truncated_checkpoint_is_skipped_with_a_warning(
    folder: CheckpointFolder, tmp_path: Path, keep_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    folder.save(1, _checkpoint(1).to_bytes())
    folder.save(2, _checkpoint(2).to_bytes())
    newest = tmp_path / "run" / "trials" / "n-t0001" / "checkpoints" / "epoch-0002.pt"
    newest.write_bytes(newest.read_bytes()[:keep_bytes])
    with caplog.at_level(logging.WARNING):
        loaded = folder.load("hash")
    assert loaded is not None
    assert loaded.epoch == 1
    assert "epoch-0002.pt is not a whole checkpoint" in caplog.text


def test_a_checkpoint_of_another_configuration_is_not_used(
    folder: CheckpointFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.save(3, replace(_checkpoint(3), config_hash="other").to_bytes())
    assert folder.load("hash") is None
    assert "belongs to another configuration" in caplog.text


class _Payload:
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (Path("executed"),)


def test_code_inside_a_checkpoint_is_not_executed(
    folder: CheckpointFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder.save(1, _checkpoint(1).to_bytes())
    evil = tmp_path / "run" / "trials" / "n-t0001" / "checkpoints" / "epoch-0002.pt"
    torch.save(_Payload(), evil)
    loaded = folder.load("hash")
    assert loaded is not None
    assert loaded.epoch == 1
    assert not (tmp_path / "executed").exists()

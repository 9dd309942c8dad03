from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from checkpoints import checkpoint
from segsweep.core.metrics import OBJECTIVE
from segsweep.storage.local import LocalStore
from segsweep.training.checkpoint import Checkpoint, CheckpointFolder


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(LocalStore(tmp_path / "run"), "n-t0001")


def _path(tmp_path: Path, epoch: int) -> Path:
    return tmp_path / "run" / "trials" / "n-t0001" / "checkpoints" / f"epoch-{epoch:04d}.pt"


def test_there_is_no_checkpoint_before_the_first(folder: CheckpointFolder) -> None:
    assert folder.epochs() == []


def test_a_checkpoint_comes_back_whole(folder: CheckpointFolder) -> None:
    folder.save(2, checkpoint(2).to_bytes())
    loaded = folder.load(2, "hash")
    assert loaded is not None
    assert loaded.epoch == 2
    assert torch.equal(loaded.model["weight"], torch.tensor([2.0, 2.0, 2.0]))
    assert loaded.rows == checkpoint(2).rows


def test_torch_reads_the_file_as_it_is(folder: CheckpointFolder, tmp_path: Path) -> None:
    folder.save(1, checkpoint(1).to_bytes())
    assert torch.load(_path(tmp_path, 1), weights_only=True)["epoch"] == 1


def test_the_newest_two_are_kept(folder: CheckpointFolder) -> None:
    for epoch in (1, 2, 3, 10):
        folder.save(epoch, checkpoint(epoch).to_bytes())
        folder.prune(epoch)
    assert folder.epochs() == [3, 10]


def test_one_that_is_under_way_is_kept_too(folder: CheckpointFolder) -> None:
    for epoch in (1, 2, 3, 4):
        folder.save(epoch, checkpoint(epoch).to_bytes())
        folder.prune(epoch, besides=1)
    assert folder.epochs() == [1, 3, 4]


def test_later_ones_of_another_attempt_take_no_place(folder: CheckpointFolder) -> None:
    for epoch in (7, 8, 1, 2):
        folder.save(epoch, checkpoint(epoch).to_bytes())
        folder.prune(epoch)
    assert folder.epochs() == [1, 2, 7, 8]


@pytest.mark.parametrize("keep_bytes", [0, 10, 1000, -1])
def test_a_truncated_checkpoint_is_refused_with_a_warning(
    folder: CheckpointFolder, tmp_path: Path, keep_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    folder.save(2, checkpoint(2).to_bytes())
    _path(tmp_path, 2).write_bytes(_path(tmp_path, 2).read_bytes()[:keep_bytes])
    with caplog.at_level(logging.WARNING):
        assert folder.load(2, "hash") is None
    assert "epoch-0002.pt is not a whole checkpoint" in caplog.text


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9, 0.99])
def test_one_byte_that_changed_is_noticed(
    folder: CheckpointFolder, tmp_path: Path, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    folder.save(2, checkpoint(2).to_bytes())
    data = bytearray(_path(tmp_path, 2).read_bytes())
    data[int(len(data) * share)] ^= 1
    _path(tmp_path, 2).write_bytes(data)
    assert folder.load(2, "hash") is None
    assert "epoch-0002.pt is not a whole checkpoint" in caplog.text


def test_a_checkpoint_of_another_configuration_is_not_used(
    folder: CheckpointFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.save(3, replace(checkpoint(3), config_hash="other").to_bytes())
    assert folder.load(3, "hash") is None
    assert "belongs to another configuration" in caplog.text


class _Payload:
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (Path("executed"),)


def test_code_inside_a_checkpoint_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evil = replace(checkpoint(1), model=_Payload()).to_bytes()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="it holds something else"):
        Checkpoint.from_bytes(evil)
    assert not (tmp_path / "executed").exists()


def test_the_best_epoch_is_the_first_with_the_best_value() -> None:
    rows = [{"epoch": float(epoch), OBJECTIVE: value} for epoch, value in enumerate([0.1, 0.3, 0.3, 0.2], start=1)]
    assert replace(checkpoint(4), rows=rows, best=0.3).best_epoch == 2
    assert replace(checkpoint(4), rows=rows[:1], best=None).best_epoch == 0

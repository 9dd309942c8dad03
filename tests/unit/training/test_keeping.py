"""Every epoch is on the node, some are in the run's storage, and a trial goes on from the newest that is whole."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from checkpoints import checkpoint
from segsweep.errors import StorageError
from segsweep.storage.local import LocalStore
from segsweep.training.keeping import Keeping, forget_old, node_folder
from segsweep.training.rendezvous import StopTraining

HOUR = 3600.0


class _Storage(LocalStore):
    """The run's place; it may be slow or refuse."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.gate = threading.Event()
        self.gate.set()
        self.refuses = False
        self.uploaded: list[str] = []

    def upload(self, path: Path, key: str) -> None:
        assert self.gate.wait(10)
        if self.refuses:
            raise StorageError("the bucket is gone")
        super().upload(path, key)
        self.uploaded.append(key.rpartition("/")[2])


@pytest.fixture
def storage(tmp_path: Path) -> _Storage:
    return _Storage(tmp_path / "run")


def _keeping(storage: _Storage, tmp_path: Path, every_s: float = HOUR, described: list[int] | None = None) -> Keeping:
    told = described if described is not None else []
    return Keeping(storage, "n-t0001", node_folder(tmp_path / "cache", storage.uri), every_s, lambda: told.append(1))


def _train(keeping: Keeping, *epochs: int) -> None:
    """Every epoch is the best so far."""
    for epoch in epochs:
        keeping.keep(checkpoint(epoch), f"weights {epoch}".encode())


def _die(keeping: Keeping) -> None:
    """What a kill leaves, once what was under way is on the node."""
    keeping._to_node.finish()
    keeping._to_storage.finish()


def _best(storage: _Storage) -> bytes:
    return storage.read("trials/n-t0001/best.pt")


def test_between_rungs_only_the_node_has_a_checkpoint(storage: _Storage, tmp_path: Path) -> None:
    keeping = _keeping(storage, tmp_path)
    _train(keeping, 1, 2, 3)
    _die(keeping)
    assert storage.uploaded == []
    assert _keeping(storage, tmp_path).load("hash").epoch == 3  # type: ignore[union-attr]


def test_after_the_minutes_are_over_the_storage_has_one(storage: _Storage, tmp_path: Path) -> None:
    keeping = _keeping(storage, tmp_path, every_s=0)
    for epoch in (1, 2, 3):
        _train(keeping, epoch)
        _die(keeping)
    assert storage.uploaded == ["best.pt", "epoch-0001.pt", "best.pt", "epoch-0002.pt", "best.pt", "epoch-0003.pt"]
    assert _best(storage) == b"weights 3"


def test_settled_the_storage_has_the_newest_and_its_best_weights(storage: _Storage, tmp_path: Path) -> None:
    keeping = _keeping(storage, tmp_path)
    _train(keeping, 1, 2)
    keeping.settle()
    assert storage.uploaded == ["best.pt", "epoch-0002.pt"]
    assert _best(storage) == b"weights 2"
    keeping.settle()
    assert storage.uploaded == ["best.pt", "epoch-0002.pt"]  # nothing is new
    # An epoch that is not the best changes no weights.
    worse = checkpoint(3)
    worse.rows[2]["mask_map50_95"] = 0.0
    keeping.keep(type(worse)(**{**vars(worse), "best": 0.2}), None)
    keeping.settle()
    assert storage.uploaded[2:] == ["epoch-0003.pt"]
    _die(keeping)


def test_slow_storage_holds_up_no_epoch(storage: _Storage, tmp_path: Path) -> None:
    described: list[int] = []
    keeping = _keeping(storage, tmp_path, 0, described)
    storage.gate.clear()
    _train(keeping, 1, 2, 3, 4, 5)
    keeping._to_node.finish()
    assert described == []
    assert _keeping(storage, tmp_path).load("hash").epoch == 5  # type: ignore[union-attr]
    storage.gate.set()
    keeping.settle()
    assert storage.uploaded == ["best.pt", "epoch-0001.pt", "best.pt", "epoch-0005.pt"]
    assert _best(storage) == b"weights 5"
    _die(keeping)


def test_storage_that_refuses_is_told_by_a_later_epoch(storage: _Storage, tmp_path: Path) -> None:
    keeping = _keeping(storage, tmp_path, every_s=0)
    storage.refuses = True
    with pytest.raises(StorageError, match="the bucket is gone"):
        _train(keeping, *range(1, 100))


def test_a_node_that_is_lost_costs_what_the_storage_has_not(storage: _Storage, tmp_path: Path) -> None:
    keeping = _keeping(storage, tmp_path)
    _train(keeping, 1, 2)
    keeping.settle()
    _train(keeping, 3)
    _die(keeping)
    elsewhere = Keeping(storage, "n-t0001", tmp_path / "other", HOUR, lambda: None)
    assert elsewhere.load("hash").epoch == 2  # type: ignore[union-attr]
    assert _best(storage) == b"weights 2"
    _train(elsewhere, 3)
    elsewhere.settle()
    assert _best(storage) == b"weights 3"


def test_going_on_from_the_node_the_storage_still_gets_the_best_weights(storage: _Storage, tmp_path: Path) -> None:
    keeping = _keeping(storage, tmp_path)
    _train(keeping, 1, 2)
    _die(keeping)
    with _keeping(storage, tmp_path) as again:
        assert again.load("hash").epoch == 2  # type: ignore[union-attr]
    assert _best(storage) == b"weights 2"
    assert storage.uploaded == ["best.pt", "epoch-0002.pt"]


def test_a_broken_checkpoint_on_the_node_costs_one_epoch(storage: _Storage, tmp_path: Path) -> None:
    keeping = _keeping(storage, tmp_path)
    _train(keeping, 1, 2, 3)
    _die(keeping)
    (broken,) = node_folder(tmp_path / "cache", storage.uri).rglob("epoch-0003.pt")
    broken.write_bytes(broken.read_bytes()[:-100])
    again = _keeping(storage, tmp_path)
    assert again.load("hash").epoch == 2  # type: ignore[union-attr]
    _train(again, 3, 4)
    _die(again)
    assert _keeping(storage, tmp_path).load("hash").epoch == 4  # type: ignore[union-attr]


def test_a_checkpoint_without_its_best_weights_is_not_used(storage: _Storage, tmp_path: Path) -> None:
    keeping = _keeping(storage, tmp_path)
    _train(keeping, 1)
    keeping.settle()
    _train(keeping, 2)
    _die(keeping)
    (best,) = node_folder(tmp_path / "cache", storage.uri).rglob("best-0002.pt")
    best.unlink()
    assert _keeping(storage, tmp_path).load("hash").epoch == 1  # type: ignore[union-attr]


def test_old_weights_do_not_pile_up_on_the_node(storage: _Storage, tmp_path: Path) -> None:
    keeping = _keeping(storage, tmp_path)
    _train(keeping, *range(1, 8))
    _die(keeping)
    names = sorted(path.name for path in node_folder(tmp_path / "cache", storage.uri).rglob("*.pt"))
    assert names == ["best-0006.pt", "best-0007.pt", "epoch-0006.pt", "epoch-0007.pt"]


@pytest.mark.parametrize("ending", [None, StopTraining(), ValueError("the trial's own")])
def test_whoever_leaves_takes_everything_along(storage: _Storage, tmp_path: Path, ending: BaseException | None) -> None:
    def leave() -> None:
        with _keeping(storage, tmp_path) as keeping:
            _train(keeping, 1, 2)
            if ending is not None:
                raise ending

    if ending is None:
        leave()
    else:
        with pytest.raises(type(ending)):
            leave()
    assert storage.uploaded == ["best.pt", "epoch-0002.pt"]
    assert not list((tmp_path / "cache").rglob("*.pt"))


@pytest.mark.parametrize("ending", [None, StopTraining()])
def test_what_could_not_be_taken_along_is_told_and_stays(
    storage: _Storage, tmp_path: Path, ending: BaseException | None
) -> None:
    storage.refuses = True
    with pytest.raises(StorageError), _keeping(storage, tmp_path) as keeping:  # noqa: PT012 - the end is what is tested
        _train(keeping, 1)
        if ending is not None:
            raise ending
    assert len(list((tmp_path / "cache").rglob("*.pt"))) == 2


def test_what_went_wrong_first_is_told(storage: _Storage, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    storage.refuses = True
    with pytest.raises(ValueError, match="first"), _keeping(storage, tmp_path) as keeping:  # noqa: PT012 - as above
        _train(keeping, 1)
        raise ValueError("first")
    assert "the bucket is gone" in caplog.text


def test_what_nobody_came_back_for_is_forgotten(tmp_path: Path) -> None:
    for name, days in (("old", 15), ("new", 1)):
        file = tmp_path / "checkpoints" / name / "trials" / "epoch-0001.pt"
        file.parent.mkdir(parents=True)
        file.touch()
        for path in (file, *file.parents[:3]):
            os.utime(path, (time.time() - days * 86400,) * 2)
    forget_old(tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["new"]

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path

import pytest

from segsweep.dataset.preparing.workspace import workspace
from segsweep.errors import DatasetError, NoSpaceError, StorageError


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_workspace_is_gone_when_its_work_is_done(temporary: Path):
    with workspace("a") as folder:
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(temporary.iterdir()) == []


def write_and(error: BaseException, key: str) -> None:
    with workspace(key) as folder:
        (folder / "batch").write_text("done")
        raise error


def test_work_that_was_interrupted_is_found_again_by_its_key(temporary: Path):
    for error in (KeyboardInterrupt(), DatasetError("x"), StorageError("x")):
        with pytest.raises(type(error)):
            write_and(error, "a")
        with workspace("b") as other:
            assert not (other / "batch").exists()
        with workspace("a") as again:
            assert (again / "batch").read_text() == "done"


@pytest.mark.parametrize("error", [NoSpaceError("full"), OSError("full")])
def test_a_full_disk_leaves_nothing(temporary: Path, error: Exception):
    with pytest.raises(type(error)):
        write_and(error, "a")
    assert list(temporary.iterdir()) == []


def left(temporary: Path, days: float) -> Path:
    folder = temporary / f"segsweep-prepare-{os.getuid()}-left"
    folder.mkdir()
    (folder / "lock").touch()
    ago = time.time() - days * 86400
    os.utime(folder / "lock", (ago, ago))
    return folder


def test_what_nobody_came_back_to_for_three_days_is_removed(temporary: Path):
    old = left(temporary, days=3.1)
    with workspace("a"):
        assert not old.exists()
    young = left(temporary, days=2.9)
    with workspace("a"):
        assert young.exists()


def test_the_folder_of_somebody_else_is_left_alone(temporary: Path):
    (temporary / "segsweep-prepare-other").mkdir()
    with workspace("a"):
        pass
    assert [path.name for path in temporary.iterdir()] == ["segsweep-prepare-other"]


def test_a_folder_that_somebody_else_laid_in_the_way_is_refused(temporary: Path, monkeypatch: pytest.MonkeyPatch):
    (temporary / "elsewhere").mkdir()
    (temporary / f"segsweep-prepare-{os.getuid()}-a").symlink_to(temporary / "elsewhere")
    with pytest.raises(StorageError, match="belongs to somebody else"), workspace("a"):
        pass


def test_a_second_process_with_the_same_work_waits_for_the_first(temporary: Path):
    order = []

    def second() -> None:
        with workspace("a"):
            order.append("second")

    with workspace("a"):
        waiter = threading.Thread(target=second)
        waiter.start()
        waiter.join(0.1)
        order.append("first")
    waiter.join()
    assert order == ["first", "second"]

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from segsweep.dataset.workspace import workspace


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_workspace_is_gone_when_its_block_ends_or_raises(temporary: Path):
    with workspace() as folder:
        assert folder.parent == temporary
    with pytest.raises(KeyError), workspace():
        raise KeyError
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_is_at_work_is_not(temporary: Path):
    left = temporary / "segsweep-prepare-left"
    left.mkdir()
    (left / "lock").touch()
    (left / "shard.tar").write_text("x")
    with workspace() as first:
        with workspace() as second:
            assert sorted(temporary.iterdir()) == sorted([first, second])
        assert list(temporary.iterdir()) == [first]


def test_the_folder_of_somebody_else_is_left_alone(temporary: Path):
    (temporary / "segsweep-prepare-other").mkdir()
    with workspace():
        pass
    assert [path.name for path in temporary.iterdir()] == ["segsweep-prepare-other"]

"""A made-up run to choose from."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from fake_run import write_fake_copy, write_fake_run

with contextlib.suppress(ImportError):
    import av  # noqa: F401  (where it is installed films are written with it: its import takes longer than a test may)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of `fake_run.TRIALS` and its dataset, to be copied: a store's writes wait for the disk."""
    folder = tmp_path_factory.mktemp("template")
    write_fake_run(folder / "runs" / "demo")
    write_fake_copy(folder / "copy")
    return folder


@pytest.fixture
def places(tmp_path: Path, template: Path) -> Path:
    """A folder of one's own with the run at `runs/demo` and its dataset at `copy`; `cache` and `out` are free."""
    shutil.copytree(template, tmp_path / "places")
    return tmp_path / "places"

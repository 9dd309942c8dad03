"""Whole commands, run as a user runs them: in processes of their own, in a folder of their own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from shell import REPO, Shell


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="session")
def node_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One node cache for the session: bundles are staged once, as on a real node."""
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, node_cache: Path) -> Shell:
    """A folder with the repository's jobs and search spaces."""
    cwd = tmp_path_factory.mktemp("user")
    for name in ("jobs", "search_spaces"):
        shutil.copytree(REPO / name, cwd / name)
    return Shell(cwd, {"SEGSWEEP_CACHE": str(node_cache)})


@pytest.fixture(scope="session")
def sample_bundles(tmp_path_factory: pytest.TempPathFactory, node_cache: Path) -> Path:
    """A folder of bundles that holds one, `demo-<digest>`: 40 rendered scenes at 64 pixels."""
    folder = tmp_path_factory.mktemp("data")
    shell = Shell(folder, {"SEGSWEEP_CACHE": str(node_cache)})
    shell.run("sample", "raw", "--format", "coco", "--images", 40, "--imgsz", 64)
    shell.run("prepare", "raw", "--to", "bundles", "--name", "demo", "--imgsz", 64)
    return folder / "bundles"


@pytest.fixture
def real_data() -> Path:
    """The folder of real data beside the checkout."""
    folder = Path(os.environ.get("SEGSWEEP_DATA") or REPO.parent / "shared" / "data")
    if not folder.is_dir():
        message = f"the real data is not at {folder}; set SEGSWEEP_DATA"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder

"""Tests that need several hosts: root, network namespaces, SSH."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from netns import NETWORK, TOOLS, Host, hosts
from seaweed import SeaweedServer, seaweed_server
from shell import REPO


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(2400))


@pytest.fixture
def three_hosts() -> Iterator[list[Host]]:
    """Three hosts, the head's first."""
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    reason = "needs root" if os.geteuid() else f"needs {', '.join(lacking)}" if lacking else ""
    if reason:
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with hosts(3) as made:
        yield made


@pytest.fixture
def storage(three_hosts: list[Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SeaweedServer]:
    """S3 that all hosts reach, and that no host's end touches."""
    assert three_hosts
    with seaweed_server(tmp_path / "seaweed", f"{NETWORK}.1") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


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

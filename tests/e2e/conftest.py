"""Whole commands, run as a user runs them: in processes of their own, in a folder of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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


@pytest.fixture
def ray_cluster() -> Iterator[str]:
    """The address of a Ray cluster of its own, on this machine; it knows of no S3."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray = Path(sys.executable).parent / "ray"
    folder = tempfile.mkdtemp(prefix="ray-")  # the paths of its sockets must be short
    options = ["--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}"]
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RAY_ADDRESS"))}
    environment = {**ours, "RAY_AUTH_MODE": "disabled"}
    command = [str(ray), "start", "--head", "--block", f"--port={port}", "--node-ip-address=127.0.0.1", *options]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as head:
        try:
            deadline = time.monotonic() + 60
            while head.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                time.sleep(0.2)
            yield f"127.0.0.1:{port}"
        finally:
            head.terminate()
            head.wait(30)
            shutil.rmtree(folder, ignore_errors=True)

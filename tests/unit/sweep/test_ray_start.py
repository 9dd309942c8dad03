"""Ray that cannot be joined or started is told in one line, with what to do."""

import shutil
import socket
from collections import namedtuple

import pytest
import ray

from segsweep.errors import ConfigError, NoSpaceError, RunError
from segsweep.sweep.ray_start import cluster_address, join_cluster, require_listener, start_here

Usage = namedtuple("Usage", "total used free")


def test_an_address_where_nobody_listens_is_told_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConfigError, match="no cluster answers"):
        require_listener(f"127.0.0.1:{port}")


def test_a_listener_is_enough():
    with socket.create_server(("127.0.0.1", 0)) as server:
        require_listener(f"ray://127.0.0.1:{server.getsockname()[1]}")
    require_listener("auto")


@pytest.mark.parametrize(("value", "address"), [(None, None), ("", None), ("local", None), ("head:6379", "head:6379")])
def test_only_a_real_address_means_a_cluster(value, address, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if value is not None:
        monkeypatch.setenv("RAY_ADDRESS", value)
    assert cluster_address() == address


def test_an_address_that_is_none_is_told_in_one_line():
    with pytest.raises(ConfigError) as caught:
        join_cluster("nonsense")
    told = str(caught.value)
    assert told.startswith("RAY_ADDRESS: nonsense: no cluster answers: Invalid address format")
    assert "unset it to run on this machine" in told
    assert "\n" not in told


@pytest.fixture
def ray_that_fails(monkeypatch):
    def init(**options):
        raise RuntimeError("Timed out waiting for file /tmp/ray/gcs_server_port\nand more")

    monkeypatch.setattr(ray, "init", init)


def test_a_full_disk_under_rays_files_is_told_as_such(ray_that_fails, monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(100e6, 99e6, 1e6))
    with pytest.raises(NoSpaceError, match=rf"^{tmp_path}: no room for a session of Ray: 1.0 MB are free, it needs 67"):
        start_here()


def test_another_failure_of_ray_is_its_first_line_and_where_its_logs_are(ray_that_fails, monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(RunError) as caught:
        start_here()
    rule = "could not be started on this machine: Timed out waiting for file /tmp/ray/gcs_server_port"
    logs = f"{tmp_path}/ray/session_latest/logs"
    assert str(caught.value) == f"Ray: {rule} (Ray's own words are in {logs}; the same command tries again)"

from __future__ import annotations

import os
import socket
import time

import cv2
import numpy as np
import pytest

from segsweep.deploy import app_server
from segsweep.deploy.app_server import Serving, find_port, sweep
from segsweep.errors import ConfigError


@pytest.fixture
def taken():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        yield busy.getsockname()[1]


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("127.0.0.1", True), ("127.0.0.2", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.168.1.2", False), ("example.com", False)],
)  # fmt: skip
def test_what_this_machine_alone_reaches_is_told_apart(host, is_local):
    assert Serving(host).is_local is is_local


def test_it_stays_at_home_unless_asked():
    assert Serving().is_local


def test_a_taken_port_is_told_and_the_next_free_one_is_found(taken, monkeypatch):
    with pytest.raises(ConfigError, match=f"--port: {taken}: is taken"):
        find_port("127.0.0.1", taken)
    monkeypatch.setattr(app_server, "PORTS", range(taken, taken + 20))
    assert taken < find_port("127.0.0.1", None) < taken + 20
    monkeypatch.setattr(app_server, "PORTS", range(taken, taken + 1))
    with pytest.raises(ConfigError, match=r"none of .* is free"):
        find_port("127.0.0.1", None)


def test_the_port_that_is_asked_for_is_taken(taken):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert find_port("127.0.0.1", port) == port


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_is_no_port_is_told(port):
    with pytest.raises(ConfigError, match="must be from 1 to 65535"):
        find_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such name", ""])
def test_what_is_no_address_of_this_machine_is_told(host):
    if host:
        with pytest.raises(ConfigError, match="must be an address of this machine"):
            find_port(host, None)
    else:
        assert not Serving(host).is_local


def test_old_files_go_young_ones_and_the_pages_own_stay(tmp_path):
    (tmp_path / "upload").mkdir()
    (tmp_path / "page").mkdir()
    for name in ("upload/a.jpg", "page/example.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_bytes(b"x")
    (tmp_path / "link").symlink_to(outside)
    now = time.time()
    sweep(tmp_path, tmp_path / "page", 100.0, now + 99)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 4
    os.utime(tmp_path / "b.jpg", (now + 1e6, now + 1e6))  # whoever uploads may say any time
    sweep(tmp_path, tmp_path / "page", 100.0, now + 102)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["example.jpg"]
    assert outside.exists()


def test_examples_are_copied_without_what_photographs_say_about_people(tmp_path):
    done, data = cv2.imencode(".jpg", np.full((20, 30, 3), 99, np.uint8))
    assert done
    exif = b"\xff\xe1\x00\x10Exif\0\0GPS-DATA"
    jpeg = data.tobytes()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cat.jpg").write_bytes(jpeg[:2] + exif + jpeg[2:])
    copies = app_server._copies([tmp_path / "a" / "cat.jpg", tmp_path / "b" / "cat.jpg"], tmp_path / "kept")
    assert [copy.relative_to(tmp_path / "kept").as_posix() for copy in copies] == [
        "examples/cat.jpg",
        "examples/cat-2.jpg",
    ]
    assert all(b"GPS" not in copy.read_bytes() for copy in copies)
    assert cv2.imread(str(copies[0])).shape == (20, 30, 3)


def test_an_example_that_is_no_image_is_told(tmp_path):
    (tmp_path / "cat.jpg").write_text("text")
    with pytest.raises(ConfigError, match=r"cat\.jpg: is not an image"):
        app_server._copies([tmp_path / "cat.jpg"], tmp_path / "kept")

"""A real clip through a real network, as a command; a network stream that breaks; a disk that is full."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import pytest

from films import numbers, picture, write_cat_model, write_film
from segsweep.dataset.environment import prepare_ultralytics
from segsweep.inference.export import export_onnx
from shell import Shell, wait_until

CLIP_FRAMES = 221


@pytest.fixture
def clip(real_data: Path) -> Path:
    return real_data / "video" / "udacity_solidWhiteRight.mp4"


@pytest.fixture
def model(real_data: Path, tmp_path: Path) -> Path:
    prepare_ultralytics(tmp_path / "cache")
    return export_onnx(real_data / "weights" / "yolov8n-seg.pt", tmp_path / "model.onnx", 160).path


@pytest.mark.data
def test_a_real_clip_becomes_a_film_of_as_many_pictures_with_its_stats(
    shell: Shell, model: Path, clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "film.mp4"
    printed = shell.facts("video", model, clip, "--out", out, "--conf", 0.45, "--threads", 2)
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert printed == stats
    assert stats["frames"] == {"read": CLIP_FRAMES, "dropped": 0, "processed": CLIP_FRAMES, "written": CLIP_FRAMES}
    assert stats["source"]["declared_frames"] == CLIP_FRAMES
    assert stats["ended"] == "end"
    assert stats["instances"] > 10  # few cars are large enough at 160 pixels
    assert stats["fps"]["source"] == 25.0
    assert stats["fps"]["model_only"] > 0.0 < stats["fps"]["end_to_end"]
    assert 0.0 < stats["frame_ms"]["p50"] <= stats["frame_ms"]["p95"]
    assert stats["real_time"] is (stats["fps"]["end_to_end"] >= 25.0)
    film, original = cv2.VideoCapture(str(out)), cv2.VideoCapture(str(clip))
    assert film.get(cv2.CAP_PROP_FPS) == 25.0
    pairs = 0
    while (pair := (film.read(), original.read())) and pair[0][0] and pair[1][0]:
        assert pair[0][1].shape == pair[1][1].shape == (540, 960, 3)
        assert cv2.absdiff(pair[0][1], pair[1][1]).mean() < 10  # the same picture, drawn on and compressed
        pairs += 1
    assert pairs == CLIP_FRAMES


@pytest.mark.data
def test_ctrl_c_ends_a_real_film_properly(shell: Shell, model: Path, clip: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "film.mp4", tmp_path / "log"
    process = shell.start("video", model, clip, "--out", out, "--threads", 1, "--json", log=log)
    wait_until(lambda: any(path.stat().st_size > 300_000 for path in tmp_path.glob(".*.work-*/*.mp4")), 60, "the film")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0, log.read_text()
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert stats["ended"] == "interrupted"
    film = cv2.VideoCapture(str(out))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == stats["frames"]["written"] < CLIP_FRAMES
    assert film.read()[0]


def test_wrong_input_is_told_and_nothing_is_written(shell: Shell, tmp_path: Path) -> None:
    model = write_cat_model(tmp_path / "model.onnx")
    source, out = write_film(tmp_path / "in.mp4", 5), tmp_path / "out" / "film.mp4"
    text = tmp_path / "text.mp4"
    text.write_text("no video\n" * 50)
    wrong = [
        (model, tmp_path / "gone.mp4", out, "there is no such file"),
        (model, text, out, "must be a video that OpenCV reads"),
        (model, 77, out, "camera 77: does not open"),
        (model, "rtsp://me:secret@127.0.0.1:1/x", out, "does not open"),
        (model, source, source, "must not be the video that is read"),
        (model, source, out.with_suffix(".gif"), "must end in one of .mp4"),
        (text, source, out, "must be an ONNX model"),
    ]
    for network, video, film, told in wrong:
        said = shell.run("video", network, video, "--out", film, code=2).stderr
        assert told in said
        assert "secret" not in said
        assert len(said.splitlines()) == 1  # nothing of FFmpeg's
    assert "--show" in shell.run("video", model, source, "--out", out, "--show", code=2).stderr
    assert not out.parent.exists()


def test_a_disk_that_is_full_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    model, source = write_cat_model(tmp_path / "model.onnx"), write_film(tmp_path / "in.mp4", 200)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "segsweep", "video", str(model), str(source), "--out", str(out / "film.mp4")]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "the video was not written whole" in done.stderr
    assert list(out.iterdir()) == []


class Mjpeg(BaseHTTPRequestHandler):
    """Every connection gets 20 pictures at 50 a second."""

    pictures = 0

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        for _ in range(20):
            data = cv2.imencode(".jpg", picture(Mjpeg.pictures))[1].tobytes()
            Mjpeg.pictures += 1
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data + b"\r\n")
            time.sleep(0.02)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def mjpeg() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mjpeg)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://me:secret@127.0.0.1:{server.server_port}/live.mjpg"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_network_stream_that_breaks_is_opened_again(shell: Shell, mjpeg: str, tmp_path: Path) -> None:
    model = write_cat_model(tmp_path / "model.onnx", found=False)
    stats = shell.facts("video", model, mjpeg, "--out", tmp_path / "film.mp4", "--frames", 35)
    assert stats["source"]["is_live"]
    assert (stats["source"]["breaks"], stats["source"]["attempts"], stats["ended"]) == (1, 1, "frames")
    assert "secret" not in json.dumps(stats)
    assert stats["frames"]["read"] == 35
    assert stats["frames"]["written"] >= stats["frames"]["processed"] == 35 - stats["frames"]["dropped"]
    shown = numbers(tmp_path / "film.mp4")
    assert len(shown) == stats["frames"]["written"]
    assert shown == sorted(shown)
    assert shown[-1] >= 30

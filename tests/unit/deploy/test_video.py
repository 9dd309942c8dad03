"""Whole films of a planted model: what is written, counted and refused."""

from __future__ import annotations

import _thread
import json
import threading
import time

import cv2
import numpy as np
import pytest

from films import FakeLive, numbers, write_cat_model, write_film
from segsweep.deploy import frames as frames_module
from segsweep.deploy import video as video_module
from segsweep.deploy.frames import PAUSES_S
from segsweep.deploy.video import BOUND, VideoOptions, make_film
from segsweep.errors import ConfigError, StorageError

pytestmark = [pytest.mark.slow(reason="decodes, encodes and starts threads"), pytest.mark.timeout(20)]


@pytest.fixture
def model(tmp_path):
    return write_cat_model(tmp_path / "model.onnx")


@pytest.fixture
def source(tmp_path):
    return write_film(tmp_path / "in.mp4", 30)


@pytest.fixture(autouse=True)
def no_thread_and_no_temporary_file_is_left(tmp_path):
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []


def silent(done, total, dropped):
    pass


def film(model, source, out, *, progress=silent, opener=None, **options):
    more = {} if opener is None else {"open_source": opener}
    return make_film(model, str(source), out, VideoOptions(**options), progress, **more)


@pytest.mark.parametrize("threads", [1, 3])
def test_every_picture_of_a_file_is_in_the_film_in_order(model, source, tmp_path, threads):
    empty = write_cat_model(tmp_path / "empty.onnx", found=False)
    facts = film(empty, source, tmp_path / "out.mp4", threads=threads)
    assert numbers(tmp_path / "out.mp4") == list(range(30))
    assert facts.frames == {"read": 30, "dropped": 0, "processed": 30, "written": 30}
    assert (facts.ended, facts.instances, facts.source_fps, facts.is_cut_short) == ("end", 0, 25.0, False)


def test_what_the_model_finds_is_drawn(model, source, tmp_path):
    facts = film(model, source, tmp_path / "out.mp4")
    assert facts.instances == 30
    drawn = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    _, first = drawn.read()
    drawn.release()
    assert first[32, 48].max() > 20 > first[3, 3].max()


def test_stats_lie_beside_the_film_and_say_what_is_printed(model, source, tmp_path):
    facts = film(model, source, tmp_path / "films" / "out.mp4", conf=0.5, threads=2)
    stats = json.loads((tmp_path / "films" / "stats.json").read_text())
    assert stats == json.loads(json.dumps(facts.to_json()))
    assert stats["output"]["codec"] in ("h264", "mpeg4")
    assert stats["model"]["threads"] == 2
    assert stats["frames"]["written"] == 30
    assert set(stats["stages_ms"]) == {"decode", "predict", "draw", "write"}
    assert stats["real_time"] is (stats["fps"]["end_to_end"] >= 25)
    assert sorted(path.name for path in (tmp_path / "films").iterdir()) == ["out.mp4", "stats.json"]


def test_the_folder_of_an_export_is_a_model(model, source, tmp_path):
    assert film(tmp_path, source, tmp_path / "out.mp4").frames["written"] == 30


def test_it_stops_after_so_many_pictures(model, source, tmp_path):
    facts = film(model, source, tmp_path / "out.mp4", frames=7)
    assert len(numbers(tmp_path / "out.mp4")) == 7
    assert facts.ended == "frames"


def test_other_classes_are_not_drawn(model, source, tmp_path):
    assert film(model, source, tmp_path / "out.mp4", classes=("dog",)).instances == 0
    assert film(model, source, tmp_path / "out.mp4", classes=("1", "cat")).instances == 30


def test_a_slow_model_makes_a_file_wait_and_a_live_source_drop(model, source, tmp_path, monkeypatch):
    real = video_module.draw

    def slow(image, prediction, names, opacity):
        time.sleep(0.02)
        return real(image, prediction, names, opacity)

    monkeypatch.setattr(video_module, "draw", slow)
    empty = write_cat_model(tmp_path / "empty.onnx", found=False)
    assert film(empty, source, tmp_path / "out.mp4", threads=1).frames["dropped"] == 0
    monkeypatch.setattr(frames_module, "PAUSES_S", ())
    facts = film(empty, "rtsp://camera/1", tmp_path / "live.mp4", threads=1, opener=FakeLive([200], fps=0.0))
    assert facts.frames["dropped"] > 150
    assert facts.frames["read"] == 200
    assert facts.is_real_time is False
    assert numbers(tmp_path / "live.mp4")[-1] >= 190


def test_a_live_film_keeps_the_time_of_its_source(model, tmp_path, monkeypatch):
    monkeypatch.setattr(frames_module, "PAUSES_S", (0.3,))
    facts = film(model, "rtsp://camera/1", tmp_path / "out.mp4", opener=FakeLive([1, 1], fps=100.0))
    assert facts.frames["processed"] == 2
    assert facts.frames["written"] == len(numbers(tmp_path / "out.mp4")) >= 30  # 0.3 s of nothing are 30 pictures


def test_a_stream_that_breaks_is_told_in_the_stats(model, tmp_path, monkeypatch):
    monkeypatch.setattr(frames_module, "PAUSES_S", (0.001, 0.001))
    facts = film(model, "rtsp://a:b@camera/1", tmp_path / "out.mp4", opener=FakeLive([5, None, 5]))
    assert (facts.source.breaks, facts.source.attempts, facts.ended) == (2, 4, "lost")
    assert facts.source.name == "rtsp://***@camera/1"
    assert "the source broke 2 times" in facts.to_text()
    assert len(PAUSES_S) == 5


def test_ctrl_c_ends_the_film_properly(model, tmp_path):
    source = write_film(tmp_path / "in.mp4", 2000)
    sent = []

    def interrupt(done, total, dropped):
        if done > 5 and not sent:
            sent.append(done)
            _thread.interrupt_main()

    facts = film(model, source, tmp_path / "out.mp4", progress=interrupt)
    assert facts.ended == "interrupted"
    assert 5 < facts.frames["written"] == len(numbers(tmp_path / "out.mp4")) < 2000


def test_a_second_ctrl_c_leaves_what_was_there_before(model, source, tmp_path, monkeypatch):
    (tmp_path / "out.mp4").write_bytes(b"before")
    monkeypatch.setattr(video_module, "draw", lambda *_: time.sleep(0.2))

    def interrupt(done, total, dropped):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film(model, source, tmp_path / "out.mp4", progress=interrupt)
    assert (tmp_path / "out.mp4").read_bytes() == b"before"


def test_a_stage_that_fails_leaves_what_was_there_before(model, source, tmp_path, monkeypatch):
    (tmp_path / "out.mp4").write_bytes(b"before")

    def fail(image, prediction, names, opacity):
        raise StorageError("planted")

    monkeypatch.setattr(video_module, "draw", fail)
    with pytest.raises(StorageError, match="planted"):
        film(model, source, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == b"before"
    assert not (tmp_path / "stats.json").exists()


def test_the_output_is_not_the_input_under_any_name(model, source, tmp_path):
    (tmp_path / "link.mp4").symlink_to(source)
    for out in (source, tmp_path / "link.mp4", tmp_path / "." / "in.mp4"):
        with pytest.raises(ConfigError, match="must not be the video that is read"):
            film(model, source, out)
    assert len(numbers(source)) == 30


@pytest.mark.parametrize(
    ("options", "told"),
    [({"conf": 1.0, "threads": 0, "frames": 0}, ["--conf", "--threads", "--frames"]), ({"conf": float("nan")}, None)],
)
def test_all_wrong_options_are_told_at_once(model, source, tmp_path, options, told):
    with pytest.raises(ConfigError) as caught:
        film(model, source, tmp_path / "out.mp4", **options)
    assert [problem.where for problem in caught.value.problems] == (told or ["--conf"])


def test_a_folder_in_the_way_is_told(model, source, tmp_path):
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(ConfigError, match="a folder is in the way"):
        film(model, source, tmp_path / "out.mp4")


def test_a_file_that_ends_before_its_time_is_told(model, tmp_path):
    whole = write_film(tmp_path / "whole.avi", 60, fourcc="MJPG").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    facts = film(model, tmp_path / "cut.avi", tmp_path / "out.mp4")
    assert facts.frames["read"] < 60
    assert facts.is_cut_short
    assert "cut short or damaged" in facts.to_text()


def test_pictures_on_their_way_are_bounded_however_long_the_film(model, tmp_path, monkeypatch):
    alive, most = [0], [0]
    lock = threading.Lock()

    class Counted(np.ndarray):
        def __del__(self):
            with lock:
                alive[0] -= 1

    real = frames_module.Frames._read

    def read(self):
        image = real(self)
        if image is None:
            return None
        with lock:
            alive[0] += 1
            most[0] = max(most[0], alive[0])
        return image.view(Counted)

    monkeypatch.setattr(frames_module.Frames, "_read", read)
    source = write_film(tmp_path / "in.mp4", 1000)
    assert film(model, source, tmp_path / "out.mp4", threads=2).frames["written"] == 1000
    # Three queues, one in each of five threads' hands, the first and the last picture, and views that go later.
    assert most[0] <= 3 * BOUND + 5 + 2 + 8

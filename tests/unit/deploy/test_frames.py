from __future__ import annotations

from itertools import islice

import pytest

from films import FakeLive, picture, shown_number, write_film
from segsweep.deploy.frames import PAUSES_S, Frames, Origin, hush_opencv, open_capture
from segsweep.errors import ConfigError

STREAM = Origin("stream", "rtsp://camera/1", "rtsp://camera/1")


@pytest.fixture(autouse=True)
def _hushed():
    hush_opencv()


class Pauses(list):
    """Pauses that were asked for; the work is to end after so many."""

    def __init__(self, end_after=10**9):
        self.end_after = end_after

    def __call__(self, seconds):
        self.append(seconds)
        return len(self) > self.end_after


@pytest.mark.parametrize(
    ("text", "kind", "address", "shown"),
    [
        ("0", "camera", 0, "camera 0"),
        ("12", "camera", 12, "camera 12"),
        ("rtsp://eve:secret@10.0.0.9:554/h264", "stream", "rtsp://eve:secret@10.0.0.9:554/h264", None),
        ("HTTP://camera/a@b.mjpg", "stream", "HTTP://camera/a@b.mjpg", "HTTP://camera/a@b.mjpg"),
    ],
)
def test_a_number_is_a_camera_and_a_url_a_stream_whose_password_is_not_shown(text, kind, address, shown):
    expected = shown or "rtsp://***@10.0.0.9:554/h264"
    assert Origin.parse(text) == Origin(kind, address, expected)


def test_a_file_whose_name_is_a_number_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "0").write_bytes(b"")
    assert Origin.parse("0") == Origin("file", str(tmp_path / "0"), "0")


@pytest.mark.parametrize("text", ["gone.mp4", ".", "ftp://me:secret@host/a.mp4"])
def test_what_is_no_source_is_told(text):
    with pytest.raises(ConfigError) as caught:
        Origin.parse(text)
    assert "secret" not in str(caught.value)


def test_a_file_gives_every_picture_in_order_with_its_number(tmp_path):
    path = write_film(tmp_path / "a.mp4", 12, fps=12.5)
    with Frames(Origin.parse(str(path)), Pauses()) as frames:
        given = list(frames)
    assert [frame.number for frame in given] == list(range(12))
    assert [shown_number(frame.image) for frame in given] == list(range(12))
    assert (frames.fps, frames.declared, frames.is_live, frames.breaks) == (12.5, 12, False, 0)


def test_a_file_that_ends_is_not_opened_again(tmp_path):
    pauses = Pauses()
    with Frames(Origin.parse(str(write_film(tmp_path / "a.avi", 3, fourcc="MJPG"))), pauses) as frames:
        assert len(list(frames)) == 3
    assert pauses == []


def write_text(path):
    path.write_text("this is not a video\n" * 100)


def write_cut(path):
    write_film(path, 20)
    path.write_bytes(path.read_bytes()[:2000])


def write_no_picture(path):
    write_film(path, 0)


@pytest.mark.parametrize("write", [write_text, write_cut, write_no_picture])
def test_a_file_without_a_picture_is_refused(write, tmp_path):
    path = tmp_path / "a.mp4"
    write(path)
    with pytest.raises(ConfigError, match=r"a\.mp4") as caught:
        Frames(Origin.parse(str(path)), Pauses())
    assert caught.value.exit_code == 2


def test_a_source_that_opens_and_gives_nothing_is_let_go_of_and_refused():
    live = FakeLive([0])
    with pytest.raises(ConfigError, match="must have at least one picture"):
        Frames(STREAM, Pauses(), live)
    assert live.released == 1


def test_a_camera_that_does_not_open_is_told():
    with pytest.raises(ConfigError, match="camera 9: does not open"):
        Frames(Origin("camera", 9, "camera 9"), Pauses(), FakeLive([None]))


def test_a_stream_that_breaks_is_opened_again_after_pauses_and_goes_on():
    live, pauses = FakeLive([3, None, 0, 2]), Pauses()
    frames = Frames(STREAM, pauses, live)
    given = list(islice(frames, 5))
    assert [frame.number for frame in given] == [0, 1, 2, 3, 4]
    assert [shown_number(frame.image) for frame in given] == [0, 1, 2, 3, 4]
    assert pauses == list(PAUSES_S[:3])
    assert (frames.breaks, frames.attempts, frames.is_lost) == (1, 3, False)


def test_a_stream_that_does_not_come_back_is_given_up_after_the_last_pause():
    live, pauses = FakeLive([2]), Pauses()
    frames = Frames(STREAM, pauses, live)
    assert len(list(frames)) == 2
    assert pauses == list(PAUSES_S)
    assert (frames.breaks, frames.attempts, frames.is_lost) == (1, len(PAUSES_S), True)


def test_every_break_has_all_its_attempts():
    pauses = Pauses()
    frames = Frames(STREAM, pauses, FakeLive([1, None, 1, None, 1]))
    assert len(list(frames)) == 3
    assert pauses == [1.0, 2.0, 1.0, 2.0, *PAUSES_S]
    assert frames.breaks == 3


def test_seconds_without_the_source_are_counted():
    now = [0.0]

    def pause(seconds):
        now[0] += seconds
        return False

    frames = Frames(STREAM, pause, FakeLive([1, None, 1]), lambda: now[0])
    given = list(islice(frames, 2))
    assert frames.lost_s == 3.0
    assert (given[1].began_s, given[1].seen_s) == (3.0, 3.0)


def test_who_wants_to_end_need_not_wait_for_a_stream():
    frames = Frames(STREAM, Pauses(end_after=1), FakeLive([1]))
    assert len(list(frames)) == 1
    assert (frames.attempts, frames.is_lost) == (1, False)


def test_a_stream_that_comes_back_in_another_size_keeps_the_size_it_began_with(monkeypatch):
    live = FakeLive([1, 1])
    frames = Frames(STREAM, Pauses(), live)
    monkeypatch.setattr(live, "next_picture", lambda: picture(5, (30, 40)))
    first, second = (frame.image for frame in islice(frames, 2))
    assert first.shape == second.shape


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf"), 90_000.0])
def test_a_rate_that_is_none_is_not_believed(fps):
    assert Frames(STREAM, Pauses(), FakeLive([1], fps)).fps is None


def test_a_url_of_a_finished_video_is_not_live(tmp_path):
    path = write_film(tmp_path / "a.mp4", 2)
    frames = Frames(STREAM, Pauses(), lambda _: open_capture(Origin.parse(str(path))))
    assert not frames.is_live
    assert len(list(frames)) == 2

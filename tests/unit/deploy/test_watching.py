from __future__ import annotations

import io

import pytest

from segsweep.deploy.watching import ProgressLine, Window
from segsweep.errors import ConfigError


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_one_line_that_changes():
    now = [0.0]
    stream = Terminal()
    with ProgressLine(stream, lambda: now[0]) as progress:
        for done in range(1, 5):
            now[0] += 0.5
            progress(done, 4, 0)
            progress(done, 4, 0)  # too soon to draw again
    assert stream.getvalue().split("\r")[1:] == [f"{done} of 4 pictures, 2.0 frames/s   " for done in range(1, 4)] + [
        "4 of 4 pictures, 2.0 frames/s   \n"
    ]


def test_a_log_gets_a_line_now_and_then_and_is_told_what_was_dropped():
    now = [0.0]
    stream = io.StringIO()
    with ProgressLine(stream, lambda: now[0]) as progress:
        for done in range(100):
            progress(done, None, 7)
            now[0] += 1.0
    assert stream.getvalue().splitlines() == [f"{n} pictures, 1.0 frames/s, 7 dropped" for n in (30, 60, 90)]


def test_a_window_without_a_display_is_refused(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=r"--show: .*needs a display"):
        Window()


def test_a_window_of_an_opencv_that_has_none_is_refused(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(ConfigError, match="--show: needs an OpenCV with windows"):
        Window()

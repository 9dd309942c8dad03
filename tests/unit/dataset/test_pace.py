from __future__ import annotations

import io

import pytest
from rich.console import Console

from segsweep.dataset.pace import Pace, PaceShown


@pytest.mark.parametrize(
    ("pace", "left"),
    [
        (Pace(0, 100, 0.0), "time left not known yet"),
        (Pace(50, 100, 10.0), "10.0 images/s, about 5 s left"),
        (Pace(0, 6000, 10.0), "10.0 images/s, about 10 min left"),
        (Pace(100, 100, 10.0), "10.0 images/s, about 0 s left"),
    ],
)
def test_the_time_left_is_told_in_the_unit_that_suits(pace: Pace, left: str):
    assert pace.left() == left


def shown(*steps: tuple[float, int]) -> list[str]:
    """Lines for somebody who reads a log; each step is the time and the images done of 1,000."""
    times = iter([0.0, *(now for now, _ in steps)])
    out = io.StringIO()
    with PaceShown("prepared", Console(file=out, width=200), clock=lambda: next(times)) as show:
        for _, done in steps:
            show(done, 1000)
    return out.getvalue().splitlines()


def test_a_log_gets_a_line_now_and_then_and_the_last():
    lines = shown((10, 100), (20, 200), (40, 400), (50, 500), (90, 900), (100, 1000))
    assert lines == [
        "prepared 400 of 1000 images, 10.0 images/s, about 60 s left",
        "prepared 900 of 1000 images, 10.0 images/s, about 10 s left",
        "prepared 1000 of 1000 images",
    ]


def test_what_an_earlier_run_had_done_does_not_make_this_one_faster():
    assert shown((10, 500), (50, 700))[-1] == "prepared 700 of 1000 images, 5.0 images/s, about 60 s left"


def test_a_terminal_gets_a_bar():
    out = io.StringIO()
    with PaceShown("prepared", Console(file=out, force_terminal=True, width=100)) as show:
        show(1, 2)
        show(2, 2)
    assert "prepared" in out.getvalue()

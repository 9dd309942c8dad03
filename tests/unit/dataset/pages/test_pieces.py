"""Pieces of HTML that the pages of a dataset share."""

from __future__ import annotations

import re

from segsweep.dataset.augmentation.preview import Preview
from segsweep.dataset.pages.pieces import bars, figures, places, split_table


def texts(html: str) -> list[str]:
    return [text for text in re.split(r"<[^>]+>", html) if text.strip()]


def test_bars_are_to_one_scale():
    html = bars("t", [("a", 10), ("b", 5), ("c", 0)])
    assert re.findall(r"width:([\d.]+)%", html) == ["100.00", "50.00", "0.00"]
    assert bars("t", []) == ""


def test_bars_beyond_the_twelfth_are_added_up():
    html = bars("t", [(f"n{i}", 1) for i in range(15)])
    assert texts(html)[-2:] == ["3 more", "3"]


def test_a_split_table_shows_counts_shares_and_sums():
    classes = {"images": [30, 10], "<dog>": [0, 0]}  # a class may be called as it likes
    html = split_table(["train", "val"], {"images": [3, 1]}, classes)
    cells = [texts(row) for row in re.findall(r"<tr>(.*?)</tr>", html)]
    assert cells == [
        ["train", "val", "all"],
        ["images", "3", "1", "4"],
        ["images", "30 ", "75%", "10 ", "25%", "40"],
        ["&lt;dog&gt;", "0", "0", "0"],
    ]


def test_places_say_how_many_more_there_are():
    assert texts(places(["a", "b"], 2)) == ["a", "b"]
    assert texts(places(["a", "b"], 1200)) == ["a", "b", "and 1,198 more"]
    assert texts(places(list("abcdef"), 6)) == ["a", "b", "c", "d", "and 2 more"]
    assert places([], 7) == ""


def test_a_long_name_is_cut_in_a_caption_and_whole_in_the_title():
    name = f"group0001_{'0' * 60}.jpg"
    html = figures([Preview(name, b"x")], "sheet")
    assert f'title="{name}"' in html
    assert texts(html) == [f"group0001_{'0' * 10}\N{HORIZONTAL ELLIPSIS}00000.jpg"]

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from segsweep.dataset.counterparts import Counterparts
from segsweep.dataset.records import ImageRecord


@pytest.fixture
def make(tmp_path: Path, make_image: Callable[..., Path]) -> Callable[[str, int], ImageRecord]:
    def record(name: str, seed: int) -> ImageRecord:
        return ImageRecord(make_image(tmp_path / name, seed=seed), name, name, ())

    return record


def names(counterparts: Counterparts, record: ImageRecord) -> list[str]:
    return [one.name for one in counterparts.of(record)]


def test_images_are_found_by_the_stem_they_were_given_whatever_they_hold(make: Callable[[str, int], ImageRecord]):
    source = [make("in/a b.png", 0), make("in/c.png", 1)]
    written = [make("out/c.png", 0), make("out/a_b-9e2e0a6e63.png", 1)]
    counterparts = Counterparts(source, [*written, make("out/other.png", 1)])
    assert names(counterparts, source[1]) == ["out/c.png"]


def test_images_under_other_names_are_found_by_their_bytes_and_copies_all(make: Callable[[str, int], ImageRecord]):
    source = [make("in/a.png", 0), make("in/b.png", 1), make("in/c.png", 1), make("in/d.png", 2)]
    written = [make("out/x_0.png", 1), make("out/x_1.png", 0), make("out/x_2.png", 1)]
    counterparts = Counterparts(source, written)
    assert [names(counterparts, record) for record in source] == [
        ["out/x_1.png"],
        ["out/x_0.png", "out/x_2.png"],
        ["out/x_0.png", "out/x_2.png"],
        [],
    ]
    counterparts.spend(written[0])
    assert [names(counterparts, record) for record in source[1:3]] == [["out/x_2.png"], ["out/x_2.png"]]

"""What is seen of one image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faulty import encoded, photo
from segsweep.core.geometry import Part
from segsweep.dataset.inspection.look import WRONG_SIZE, Pair, Seen, label_path, look
from segsweep.dataset.records import ImageRecord, Instance


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def record(tmp_path: Path, *instances: Instance, size: tuple[int, int] | None = None) -> ImageRecord:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(".png", photo(0, 80, 40)))
    return ImageRecord(path, "a.png", "a", instances, size=size)


def test_objects_are_measured_at_640_pixels(tmp_path):
    ring = Part(box(0.0, 0.0, 0.5, 1.0), (box(0.125, 0.25, 0.375, 0.75),))
    bits = (Part(box(0.6, 0, 0.7, 0.2)), Part(box(0.8, 0, 0.9, 0.2)))
    found = look(record(tmp_path, Instance(1, (ring,)), Instance(0, bits)), None)
    # 40x40 less 20x20, and two of 8x8, in an image of 80 pixels: 8 times as long at 640.
    assert found.objects == (
        Seen(1, pytest.approx(8 * 1200**0.5), 1, 1),
        Seen(0, pytest.approx(8 * 128**0.5), 2, 0),
    )
    assert found.size == (80, 40)


def test_crowds_are_counted_apart(tmp_path):
    part = Part(box(0.0, 0.0, 0.5, 0.5))
    found = look(record(tmp_path, Instance(0, (part,), crowd=True), Instance(0, (part,))), None)
    assert (found.crowds, len(found.objects), found.pairs) == (1, 1, ())


def test_overlaps_are_shares_of_the_smaller_worst_first(tmp_path):
    wide = Instance(0, (Part(box(0.0, 0.0, 0.5, 1.0)),))  # 40x40
    half = Instance(0, (Part(box(0.25, 0.0, 0.75, 0.5)),))  # 40x20, half of it in `wide`
    inner = Instance(1, (Part(box(0.0, 0.0, 0.125, 0.25)),))  # 10x10 in `wide`
    far = Instance(1, (Part(box(0.875, 0.75, 1.0, 1.0)),))
    touching = Instance(1, (Part(box(0.5, 0.75, 0.75, 1.0)),))
    found = look(record(tmp_path, wide, half, inner, far, touching), None)
    assert found.pairs == (Pair(1.0, 100 / 1600, 0, 2), Pair(pytest.approx(0.5), pytest.approx(400 / 2000), 0, 1))
    assert found.overlapping == 2


def test_an_image_of_another_size_than_stated_is_a_problem_but_seen(tmp_path):
    found = look(record(tmp_path, size=(100, 100)), None)
    assert found.oddities == ((WRONG_SIZE, ""),)
    assert found.size == (80, 40)
    assert [problem.value for problem in found.problems] == ["80x40"]
    assert not found.verdict.drops


def test_an_image_that_is_gone_is_a_problem(tmp_path):
    found = look(ImageRecord(tmp_path / "no.png", "no.png", "no", ()), None)
    assert (found.size, found.hash) == (None, None)
    assert found.verdict.drops == "the image cannot be read"


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("/d/images/train/a.jpg", "/d/labels/train/a.txt"),
        ("/d/images/images/a.b.jpg", "/d/images/labels/a.b.txt"),
        ("/d/a.jpeg", "/d/a.txt"),
    ],
)
def test_labels_lie_where_ultralytics_looks(image, labels):
    assert label_path(Path(image)) == Path(labels)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e300, -5e4])
def test_coordinates_that_cannot_be_drawn_measure_as_nothing(wrong, tmp_path):
    far = box(0.0, 0.0, 0.5, 0.5)
    far[1, 0] = wrong
    near = Part(box(0.0, 0.0, 0.5, 1.0))
    found = look(record(tmp_path, Instance(0, (Part(far),)), Instance(0, (near,))), None)
    assert [one.side_px for one in found.objects] == [0.0, pytest.approx(320.0)]
    assert found.pairs == ()

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segsweep.core.geometry import Mask, Part, area, fill, overlap, trace
from segsweep.dataset import labels
from segsweep.dataset.labels import format_labels, parse_labels
from segsweep.dataset.records import Findings, Instance

TRIANGLE = "0.1 0.1 0.1 0.9 0.9 0.9"


def problems_of(text: str, classes: list[int] | None = None) -> list[str]:
    findings = Findings()
    parse_labels(text, "labels/a.txt", classes or [0, 1], findings)
    return [str(problem) for problem in findings.problems]


def repairs_of(text: str) -> dict[str, tuple[str, ...]]:
    findings = Findings()
    parse_labels(text, "a.txt", [0, 1], findings)
    assert findings.problems == []
    return {note.rule: note.examples for note in findings.notes}


def round_trip(mask: Mask) -> Mask:
    height, width = mask.shape
    instance = Instance(0, tuple(part.scaled(1 / width, 1 / height) for part in trace(mask)))
    findings = Findings()
    (back,) = parse_labels(format_labels([instance], width, height), "a.txt", [0], findings)
    assert findings.problems == []
    return fill([part.scaled(width, height) for part in back.parts], height, width)


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
@settings(deadline=None)
@given(st.tuples(st.integers(2, 20), st.integers(2, 20)).flatmap(lambda shape: arrays(np.bool_, shape)))
def test_a_mask_written_as_a_label_and_read_back_is_the_same_mask(mask: Mask):
    if mask.any():
        assert np.array_equal(round_trip(mask), mask)


@pytest.mark.parametrize("size", [64, 320, 1000])
def test_a_ring_survives_a_label_row_at_any_size(size: int):
    y, x = np.mgrid[:size, :size] + 0.5
    distance = np.hypot(x - size / 2, y - size / 2)
    mask = (distance < 0.45 * size) & (distance > 0.2 * size)
    assert overlap(round_trip(mask), mask) >= 0.999


def test_parts_that_overlap_are_one_shape_in_a_row():
    square = np.array([[0.1, 0.1], [0.5, 0.1], [0.5, 0.5], [0.1, 0.5]])
    parts = (Part(square), Part(square + 0.2))
    (back,) = parse_labels(format_labels([Instance(0, parts)], 100, 100), "a.txt", [0], Findings())
    expected, found = (fill([part.scaled(100, 100) for part in one], 100, 100) for one in (parts, back.parts))
    assert np.array_equal(found, expected)
    assert expected.sum() == 2800


def test_a_row_is_class_and_fractions_with_eight_decimals():
    ring = np.array([[0.1, 0.2], [0.5, 0.2], [1 / 3, 1.0]])
    assert format_labels([Instance(3, (Part(ring),))], 640, 480) == (
        "3 0.10000000 0.20000000 0.50000000 0.20000000 0.33333333 1.00000000\n"
    )


def test_an_outline_of_very_many_points_is_thinned_to_what_the_pixels_show():
    angles = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    ring = 0.5 + 0.4 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    row = format_labels([Instance(0, (Part(ring),))], 256, 256)
    assert len(row.split()) < 200
    findings = Findings()
    (back,) = parse_labels(row, "a.txt", [0], findings)
    masks = [fill([part.scaled(256, 256)], 256, 256) for part in (Part(ring), back.parts[0])]
    assert overlap(*masks) > 0.99


def test_a_scribble_of_a_hundred_thousand_points_is_thinned_in_no_time_and_stays_where_it_is():
    angles = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    radii = np.where(np.arange(100_000) % 2, 0.45, 0.1)
    ring = 0.5 + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    row = format_labels([Instance(0, (Part(ring),))], 64, 64)
    written = np.array(row.split()[1:], dtype=float).reshape(-1, 2)
    assert np.abs(written.min(axis=0) - ring.min(axis=0)).max() < 0.25 / 64
    assert np.abs(written.max(axis=0) - ring.max(axis=0)).max() < 0.25 / 64


def test_a_long_smooth_outline_is_thinned_as_well_in_pieces():
    angles = np.linspace(0, 2 * np.pi, 50_000, endpoint=False)
    ring = 0.5 + 0.4 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    written = np.array(format_labels([Instance(0, (Part(ring),))], 640, 640).split()[1:], dtype=float).reshape(-1, 2)
    assert len(written) < 200
    assert area(written) == pytest.approx(np.pi * 0.16, rel=1e-3)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("0 0.5 0.5 0.2 0.2", "labels/a.txt:1: a row must be a polygon, this is a box (5 values)"),
        ("0 0.1 0.1 0.2 0.2 0.3", "labels/a.txt:1: 5 numbers: coordinates must come in pairs"),
        ("0 0.1 0.1", "labels/a.txt:1: 1 points: a polygon needs at least 3 points"),
        ("0", "labels/a.txt:1: 0 points: a polygon needs at least 3 points"),
        ("0 0.1 0.1 0.1 x 0.9 0.9", "labels/a.txt:1: 'x': coordinates must be numbers"),
        (
            "0 0.1 0.1 0.1 1.02 0.9 0.9",
            "labels/a.txt:1: 1.02: coordinates must be fractions of the image's size, 0 to 1",
        ),
        ("0 0.1 0.1 0.1 -3 0.9 0.9", "labels/a.txt:1: -3: coordinates must be fractions of the image's size, 0 to 1"),
        ("0 nan 0.1 0.1 0.3 0.9 0.9", "labels/a.txt:1: "),
        ("0 true 0.1 0.1 0.3 0.9 0.9", "labels/a.txt:1: 'true': coordinates must be numbers"),
        ("0 0.1 0.1 false 0.3 0.9 0.9", "labels/a.txt:1: 'false': coordinates must be numbers"),
        ("0 inf 0.1 0.1 0.3 0.9 0.9", "labels/a.txt:1: inf: coordinates must be fractions of the image's size, 0 to 1"),
        (f"2 {TRIANGLE}", "labels/a.txt:1: 2: the class id must be one of data.yaml's names, 0 to 1"),
        (f"-1 {TRIANGLE}", "labels/a.txt:1: -1: the class id must be one of data.yaml's names, 0 to 1"),
        (f"1.5 {TRIANGLE}", "labels/a.txt:1: 1.5: the class id must be a whole number"),
    ],
)
def test_a_wrong_row_is_told_with_file_and_line(row: str, problem: str):
    (found,) = problems_of(row)
    assert found.startswith(problem)


@pytest.mark.parametrize("row", ["0 0.5 0.5 0.2 0.2", "0 0.1 0.1 0.1", "9 0.1 0.1 0.1 0.9 0.9 0.9", "0 2 0 0 0 1 1"])
def test_a_fault_says_what_training_would_silently_do(row: str):
    assert "Ultralytics would drop the whole image" in problems_of(row)[0]


numbers = st.sampled_from(
    ["0", "1", "0.5", "0.123456", "1e-3", ".5", "1.005", "-0.001", "2", "nan", "true", "1_0", "[0]"]
)
label_rows = st.lists(
    st.lists(numbers, min_size=1, max_size=9).map(" ".join)
    | st.sampled_from(["", "  ", f"0 {TRIANGLE}", f"1  {TRIANGLE} "]),
    max_size=4,
)


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(60)
@settings(deadline=None, max_examples=500)
@example(["0 0 0 1 0 0 1 0 0"])  # a ring that is closed by its first point
@given(label_rows)
def test_a_clean_file_and_a_file_read_row_by_row_are_the_same(rows: list[str]):
    text = "\n".join(rows)
    quick, slow = Findings(), Findings()
    found = parse_labels(text, "a.txt", [0, 1], quick)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels, "_parse_clean", lambda *_: None)
        expected = parse_labels(text, "a.txt", [0, 1], slow)
    assert [str(one) for one in quick.problems] == [str(one) for one in slow.problems]
    assert quick.notes == slow.notes
    assert [one.category for one in found] == [one.category for one in expected]
    for one, other in zip(found, expected, strict=True):
        for part, twin in zip(one.parts, other.parts, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(part.rings, twin.rings, strict=True))


def test_numbers_are_written_as_python_writes_them():
    values = np.concatenate([np.linspace(0, 1, 1001), np.random.default_rng(0).random(2000), [1.0049, 9.999999994]])
    ring = values[: len(values) // 2 * 2].reshape(-1, 2)
    row = labels._as_text(ring.ravel())
    assert row == "".join(f" {value:.8f}" for value in ring.ravel())


def test_every_wrong_row_of_a_file_is_told():
    text = f"0 {TRIANGLE}\n0 0.5 0.5 0.2 0.2\n\n7 0.1 0.1 0.1 0.9 5 0.9\n"
    assert [found.split(":")[1] for found in problems_of(text)] == ["2", "4", "4"]


def test_ids_with_gaps_are_told_as_they_are():
    (found,) = problems_of(f"1 {TRIANGLE}", classes=[0, 5])
    assert "one of data.yaml's names, [0, 5]" in found


def test_a_category_is_the_position_of_its_id():
    (instance,) = parse_labels(f"5 {TRIANGLE}", "a.txt", [0, 5], Findings())
    assert instance.category == 1


def test_coordinates_just_outside_are_moved_to_the_edge_and_counted():
    findings = Findings()
    (instance,) = parse_labels("0 -0.005 0.1 1.01 0.9 0.9 0.9", "a.txt", [0], findings)
    assert instance.parts[0].exterior[0, 0] == 0.0
    assert instance.parts[0].exterior[1, 0] == 1.0
    assert repairs_of("0 -0.005 0.1 1.01 0.9 0.9 0.9") == {
        "coordinates up to 1 % outside the image moved to its edge": ("a.txt:1",)
    }


def test_duplicate_rows_and_rows_without_area_are_removed_and_counted():
    text = f"0 {TRIANGLE}\n1 {TRIANGLE}\n0 {TRIANGLE}\n0 0.1 0.1 0.2 0.2 0.3 0.3\n"
    assert repairs_of(text) == {
        "duplicate rows removed": ("a.txt:3",),
        "polygons without area removed": ("a.txt:4",),
    }
    assert [one.category for one in parse_labels(text, "a.txt", [0, 1], Findings())] == [0, 1]


def test_a_byte_order_mark_windows_line_ends_and_empty_lines_are_read():
    instances = parse_labels(f"\ufeff0 {TRIANGLE}\r\n\r\n1 {TRIANGLE}\r\n", "a.txt", [0, 1], Findings())
    assert [one.category for one in instances] == [0, 1]

from __future__ import annotations

import pytest

from segsweep.dataset.records import Findings, Note, source_group


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("valid/images/group0439_jpg.rf.0a1b2c.jpg", "group0439"),
        ("test/images/group0439_jpeg.rf.ffff.jpg", "group0439"),
        ("train/images/cat_png.rf.aa.jpg", "cat"),
        ("train/images/cat.rf.aa.jpg", "cat"),
        ("train/images/cat_jpg.jpg", "train/images/cat_jpg"),
        ("val/0001.png", "val/0001"),
        ("0001.png", "0001"),
    ],
)
def test_roboflow_copies_of_one_source_are_one_scene_and_nothing_else_is(name: str, group: str):
    assert source_group(name) == group


def test_repairs_are_counted_in_order_of_first_appearance_with_their_first_places():
    findings = Findings()
    findings.repair("clipped", "a:1")
    for line in range(1, 8):
        findings.repair("removed", f"b:{line}")
    findings.repair("clipped", "a:2")
    assert findings.notes == (
        Note("clipped", 2, ("a:1", "a:2")),
        Note("removed", 7, ("b:1", "b:2", "b:3", "b:4", "b:5")),
    )


def test_what_no_file_can_hold_is_spelled_out():
    findings = Findings()
    findings.fault("a\udcff.txt", "must be \ud800", value="\ud800", fix="K\u00e4fer")
    findings.repair("left out", "b\ud800")
    assert str(findings.problems[0]) == "a\\udcff.txt: \\ud800: must be \\ud800 (K\u00e4fer)"
    assert findings.notes == (Note("left out", 1, ("b\\ud800",)),)


def test_more_faults_than_anybody_reads_are_told_as_such_and_not_kept():
    findings = Findings()
    for line in range(Findings.MOST_FAULTS + 100):
        findings.fault(f"a:{line}", "is wrong")
    assert len(findings.problems) == Findings.MOST_FAULTS + 1
    assert str(findings.problems[-2]) == "a:9999: is wrong"
    assert str(findings.problems[-1]) == "a:10000: is the first of the faults beyond 10000, which are not listed"

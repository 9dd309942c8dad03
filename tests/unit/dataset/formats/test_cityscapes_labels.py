from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from segsweep.dataset.formats.cityscapes_labels import (
    EVALUATED,
    LABELS,
    Label,
    LabelTable,
    assign_labels,
    format_labels,
    read_labels,
)
from segsweep.dataset.records import Findings
from segsweep.errors import DatasetError


def digest(rows: list[tuple[str, int, bool]]) -> str:
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def test_the_labels_are_those_of_the_package():
    # Made of name, id and hasInstances of each of `cityscapesscripts.helpers.labels.labels`, release 2.3.0.
    # The package is no dependency, for it installs a `typing` of Python 2 among the packages.
    known = "f9cd06d470e32bed5fe98de99e91da49650f8cb1640f507a80b54e19bedaa630"
    assert digest([(label.name, label.id, label.has_instances) for label in LABELS]) == known
    assert EVALUATED == ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")


def test_classes_keep_the_ids_of_cityscapes_and_others_get_free_ones():
    labels = assign_labels(["cat", "car", "road", "person"])
    assert [(label.name, label.id) for label in labels] == [("cat", 34), ("car", 26), ("road", 35), ("person", 24)]
    assert all(label.has_instances for label in labels)


def test_ids_are_enough_for_sixty_four_classes_and_no_more():
    classes = ["car", *(f"class {i}" for i in range(63))]
    ids = [label.id for label in assign_labels(classes)]
    assert sorted(ids) == list(range(1, 65))
    with pytest.raises(DatasetError, match="65 classes: masks of Cityscapes hold at most 64 classes"):
        assign_labels([*classes, "one more"])


def test_a_table_is_read_as_it_was_written(tmp_path: Path):
    labels = (Label("cät", 34, has_instances=True), Label("floor", 2))
    file = tmp_path / "labels.json"
    file.write_text(format_labels(labels, {"train": "", "val": "val"}), encoding="utf-8")
    findings = Findings()
    table = read_labels(file, "labels.json", findings)
    assert table == LabelTable(labels, ("cät", "floor"), {"train": "", "val": "val"})
    assert findings.problems == []


def test_without_a_table_the_labels_are_those_of_cityscapes(tmp_path: Path):
    table = read_labels(tmp_path / "labels.json", "labels.json", Findings())
    assert (table.labels, table.classes, table.splits) == (LABELS, EVALUATED, None)


HEAD = {"format": "cityscapes", "version": 1, "splits": {}}


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("{", ["labels.json: must be JSON: Expecting property name"]),
        ("[" * 100_000, ["labels.json: must be JSON"]),
        ("[]", ["labels.json: must be format cityscapes, version 1"]),
        (json.dumps({**HEAD, "version": 2}), ["labels.json: must be format cityscapes, version 1"]),
        (" " * (1 << 20) + "{}", ["labels.json: cannot be read: it has 1048578 bytes, it may have 1048576"]),
        (
            json.dumps({**HEAD, "splits": {"train": "dev"}, "labels": []}),
            [
                "labels = []: must be a list of labels",
                "splits = {'train': 'dev'}: must map folders to train, val, test",
            ],
        ),
        (
            json.dumps(
                {
                    **HEAD,
                    "labels": [
                        7,
                        {"name": "cat", "id": True},
                        {"name": "c\ud800t", "id": 3},
                        {"name": "cat", "id": 65},
                        {"name": "cat", "id": 1},
                        {"name": "cat", "id": 2},
                        {"name": "dog", "id": 1},
                    ],
                }
            ),
            [
                "labels[0] = 7: needs a printable name, a whole number id",
                "labels[1] = ",
                "labels[2] = ",
                "labels[3] = {'id': 65, 'name': 'cat'}: an id must be from 1 to 64",
                "labels[5] = {'id': 2, 'name': 'cat'}: names and ids must differ",
                "labels[6] = {'id': 1, 'name': 'dog'}: names and ids must differ",
            ],
        ),
    ],
)
def test_everything_that_is_wrong_with_a_table_is_told_at_once(tmp_path: Path, text: str, rules: list[str]):
    (tmp_path / "labels.json").write_text(text)
    findings = Findings()
    read_labels(tmp_path / "labels.json", "labels.json", findings)
    found = [str(problem) for problem in findings.problems]
    assert len(found) == len(rules), found
    assert all(rule in problem for rule, problem in zip(rules, found, strict=True)), found

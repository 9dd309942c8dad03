"""A dataset with one of everything is inspected, and the real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faulty import CAT, write_faulty_yolo
from segsweep.dataset.cleaning.repair import UNTANGLED
from segsweep.dataset.inspect import InspectOptions, inspect
from segsweep.dataset.inspection import look
from segsweep.dataset.inspection.consequences import (
    CONSEQUENCES,
    EMPTY_CLASS,
    HIDDEN,
    LEAK,
    NEAR,
    TINY,
    TWINS,
    UNTRAINED_CLASS,
)
from segsweep.dataset.inspection.facts import Fault, Finding, Inspection
from segsweep.dataset.inspection.text import to_text
from segsweep.errors import DatasetError


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faulty_yolo(tmp_path_factory.mktemp("faulty") / "raw")


@pytest.fixture(scope="module")
def facts(faulty: Path) -> Inspection:
    return inspect(faulty, options=InspectOptions(workers=1))


def finding(facts: Inspection, rule: str) -> Finding:
    [found] = [one for one in facts.findings if one.rule == rule]
    return found


def test_a_dataset_with_faults_is_counted(facts):
    assert (facts.images, facts.unreadable, facts.objects) == (27, 2, 25)
    assert [(one.name, one.objects, one.images) for one in facts.classes] == [
        (CAT, 22, 21),
        ("dog", 2, 2),
        ("bird", 1, 1),
        ("fish", 0, 0),
    ]
    assert [(one.name, one.images, one.background) for one in facts.splits] == [("train", 24, 5), ("val", 3, 0)]


@pytest.mark.parametrize(
    ("rule", "severity", "places"),
    [
        (look.MISLABELLED, "note", ["animation.jpg: .jpg, but a GIF", "mislabelled.jpg: .jpg, but a PNG"]),
        (look.TURNED, "warning", ["turned.jpg: orientation 6"]),
        (look.GREY_IMAGE, "note", ["grey.png: PNG"]),
        (look.ALPHA, "note", ["alpha.png: PNG"]),
        (look.DEEP, "warning", ["deep.png: 16 bits"]),
        (look.TRAILING, "warning", ["trailing.jpg"]),
        (look.TOO_SMALL, "warning", ["small.png: 30x8"]),
        (TINY, "warning", ["tiny.jpg: object 0, 0.0 px"]),
        (TWINS, "warning", ["twins.jpg: objects 0 and 1, IoU 0.99"]),
        (HIDDEN, "warning", ["hidden.jpg: objects 0 and 1, 100%"]),
        (UNTANGLED, "warning", ["crossed.jpg: object 0, 171.4 pixels in 2 parts"]),
    ],
)
def test_what_is_odd_about_an_image_is_found(facts, rule, severity, places):
    found = finding(facts, rule)
    assert found.severity == severity
    assert list(found.examples) == [f"images/train/{place}" for place in places]
    assert found.training
    assert found.prepare


def test_every_fault_has_its_place_and_what_training_makes_of_it(facts):
    refused = "refuses the dataset until it is mended"
    drops = "leaves out the whole image: "
    unreadable = CONSEQUENCES[look.UNREADABLE]
    assert set(facts.faults) == {
        Fault("labels/train/binary.txt", "must be a text file", "", f"{drops}the label file is no text", refused),
        Fault(
            "labels/train/mixed.txt:2",
            "a row must be a polygon, this is a box (5 values)",
            "",
            f"{drops}a row of 5 values, a box or a polygon of 2 points, among polygons",
            refused,
        ),
        Fault(
            "labels/train/outside.txt:1",
            "coordinates must be fractions of the image's size, 0 to 1",
            "1.8",
            f"{drops}a coordinate too far outside the image",
            refused,
        ),
        Fault(
            "labels/train/unknown.txt:1",
            "the class id must be one of data.yaml's names, 0 to 3",
            "9",
            f"{drops}a class that data.yaml does not name",
            refused,
        ),
        Fault("images/train/truncated.jpg", "the image is truncated", "", unreadable.training, unreadable.prepare),
        Fault(
            "images/train/nothing.jpg",
            "is not an image that can be decoded",
            "an empty file",
            unreadable.training,
            unreadable.prepare,
        ),
    }


def test_classes_that_nothing_shows_or_that_train_does_not_are_faults(facts):
    found = [finding(facts, rule) for rule in (EMPTY_CLASS, UNTRAINED_CLASS)]
    assert [(one.severity, one.examples) for one in found] == [("fault", ("fish",)), ("fault", ("bird",))]


def test_training_is_foretold(facts):
    training = facts.training
    assert training.is_direct
    assert training.used == 19
    assert training.dropped == {
        "the image cannot be read": 2,
        "the image is a GIF": 1,
        "the image is smaller than 10 pixels": 1,
        "the label file is no text": 1,
        "a row of 5 values, a box or a polygon of 2 points, among polygons": 1,
        "a coordinate too far outside the image": 1,
        "a class that data.yaml does not name": 1,
    }
    assert (training.background, training.removed_rows, training.rewritten) == (1, 1, 1)
    assert training.refuses == ()


def test_leaks_are_found_by_name_and_by_picture(facts):
    assert [(one.evidence, [member.image for member in one.images]) for one in facts.copies.leaks] == [
        ("name", ["images/train/scene_jpg.rf.aaaa.jpg", "images/val/scene_jpg.rf.bbbb.jpg"]),
        ("picture", ["images/train/good.jpg", "images/val/same.jpg"]),
    ]
    assert finding(facts, LEAK).count == 2


def test_faults_come_first_and_every_finding_says_what_becomes_of_it(facts):
    order = [one.severity for one in facts.findings]
    assert order == sorted(order, key=("fault", "warning", "note").index)
    assert [one.rule for one in facts.findings if not (one.training and one.prepare)] == []


def test_facts_are_json_and_text(facts):
    told = json.loads(json.dumps(facts.to_json()))
    assert told["training"]["used"] == 19
    assert len(told["copies"]["leaks"]) == 2
    text = to_text(facts)
    assert (
        "x coordinates must be fractions of the image's size, 0 to 1: 1\n    labels/train/outside.txt:1: 1.8\n" in text
    )
    assert "Ultralytics would use 19 of 27 images; left out: 2 (the image cannot be read)" in text


def test_nothing_is_written_into_the_dataset(faulty, facts):
    assert (faulty / "images" / "train" / "trailing.jpg").read_bytes().endswith(b"more")
    assert not list(faulty.rglob("*.cache"))


@pytest.mark.slow("starts processes")
@pytest.mark.timeout(60)
def test_several_processes_find_the_same(faulty, facts):
    assert inspect(faulty, options=InspectOptions(workers=2)) == facts


def test_progress_is_told_image_by_image(faulty):
    told = []
    inspect(faulty, progress=lambda done, total: told.append((done, total)))
    assert told == [(i, 27) for i in range(1, 28)]


def test_boxes_stop_the_training_of_a_split(make_yolo):
    facts = inspect(make_yolo({"train/a": "0 0.5 0.5 0.2 0.2\n", "val/b": "0 0.1 0.1 0.1 0.9 0.9 0.9\n"}))
    assert facts.training.refuses == ("the rows of 1 image are boxes",)
    [fault] = facts.faults
    assert fault.training == "refuses the whole split: not every object has a polygon"


def test_a_dataset_whose_names_cannot_be_read_is_inspected_all_the_same(make_yolo):
    facts = inspect(make_yolo({"train/a": ""}, data="train: images/train\nnames: 7\n"))
    assert facts.images == 0
    assert [one.where.rpartition("/")[2] for one in facts.faults] == ["data.yaml: names"]
    assert to_text(facts)


def test_a_format_that_ultralytics_does_not_read_is_judged_by_its_images_alone(make_coco):
    folder = make_coco(
        [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "segmentation": [[1, 1, 9, 1, 9, 9], [20, 1, 29, 1, 29, 9]],
                "iscrowd": 0,
            },
            {"id": 2, "image_id": 1, "category_id": 7, "segmentation": [[1, 1, 9, 1, 9, 9]], "iscrowd": 0},
        ]
    )
    facts = inspect(folder)
    assert not facts.training.is_direct
    assert [fault.training for fault in facts.faults] == [""]
    assert "Ultralytics does not read coco" in to_text(facts)


def test_where_there_is_no_dataset_there_is_nothing_to_inspect(tmp_path):
    with pytest.raises(DatasetError):
        inspect(tmp_path / "nowhere")


@pytest.mark.data
@pytest.mark.slow("looks at 201 photographs")
@pytest.mark.timeout(60)
def test_feralcat_lacks_its_train_folder_and_holds_copies(feralcat):
    facts = inspect(feralcat, options=InspectOptions(workers=1))
    assert (facts.images, facts.objects, facts.unreadable, facts.faults) == (201, 712, 0, ())
    assert finding(facts, "data.yaml names a folder that is not there").examples == ("train: ../train/images",)
    assert facts.training.refuses == ("there are no images of train",)
    # Copies: what the README says, what the names say, what the pictures say.
    provenance = facts.copies.provenance
    assert provenance is not None
    assert (provenance.versions, provenance.images) == (3, 2400)
    assert [step.split()[0] for step in provenance.augmentation] == ["Random", "Salt"]
    assert facts.copies.by_name == ()
    assert {
        tuple(sorted(member.image.split("/")[-1][:9] for member in one.images)) for one in facts.copies.by_picture
    } == {
        ("group0016", "group0111"),
        ("group0024", "group0116"),
        ("group0052", "group0472"),
        ("group0054", "group0202"),
        ("group0470", "group0939"),
    }
    [leak] = facts.copies.leaks
    assert leak.splits == ("test", "val")
    assert finding(facts, NEAR).count == 4
    text = to_text(facts)
    assert "3 augmented versions were made of each source image" in text
    assert "the export held 2,400 images; here are 201" in text

"""The page of an inspection."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from faulty import HOSTILE, write_faulty_yolo
from outline import Outline
from segsweep.core.geometry import Part
from segsweep.dataset.formats.registry import read_dataset
from segsweep.dataset.inspect import InspectOptions, inspect, inspect_dataset
from segsweep.dataset.inspection.facts import Fault, Inspection, ObjectPlace
from segsweep.dataset.pages.inspect_page import headline, inspect_page
from segsweep.dataset.pages.shots import Shots, take_shots
from segsweep.dataset.records import Instance

NOTHING = Shots({}, (), (), ())


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faulty_yolo(tmp_path_factory.mktemp("faulty") / "raw")


@pytest.fixture(scope="module")
def drawn(raw: Path) -> tuple[Inspection, Shots]:
    dataset = read_dataset(raw, None)
    facts = inspect_dataset(dataset, raw, InspectOptions(workers=1))
    return facts, take_shots(dataset, facts)


@pytest.fixture(scope="module")
def page(drawn: tuple[Inspection, Shots]) -> str:
    return inspect_page(*drawn).decode()


def test_the_page_is_whole_and_fetches_nothing(page):
    outline = Outline(page)
    assert outline.open == []
    assert {address[:16] for address in outline.addresses} == {"data:image/jpeg;"}
    assert "script" not in outline.tags
    assert "default-src 'none'" in page
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_tells_the_story_in_order(page):
    assert Outline(page).headings == [
        "Findings",
        "Splits and classes",
        "Distributions",
        "Copies of one scene",
        "Contact sheets",
        "Worst overlaps",
        "Smallest objects",
        "Every fault",
    ]


def test_names_from_outside_cannot_become_markup(page):
    assert "onerror=&quot;alert(1)&quot;" in page
    for hostile in (HOSTILE, "<img src=x", "<b>"):
        assert hostile not in page


def test_a_source_and_faults_from_outside_cannot_become_markup(drawn):
    facts = replace(
        drawn[0], source="/d/<i>x</i>", faults=(Fault("<u>a</u>", "<u>b</u>", "<u>c</u>", "<u>d</u>", "<u>e</u>"),)
    )
    page = inspect_page(facts, NOTHING).decode()
    assert "<i>x" not in page
    assert "<u>" not in page


def test_a_name_that_is_no_text_is_written_all_the_same(drawn):
    assert b"/d/?x" in inspect_page(replace(drawn[0], source="/d/\udcffx"), NOTHING)


def test_pictures_are_of_what_their_captions_say(drawn):
    _, shots = drawn
    assert list(shots.classes) == ["<b>\"cat\" & 'kitten'</b>", "dog", "bird"]
    assert [len(pictures) for pictures in shots.classes.values()] == [12, 2, 1]
    assert shots.overlaps[0].caption == "<b>\"cat\" & 'kitten'</b>, 100% of the smaller, IoU 0.99: twins.jpg"
    assert shots.smallest[0].caption == "<b>\"cat\" & 'kitten'</b>, 0.0 px: tiny.jpg"
    assert [[one.caption for one in pictures] for _, pictures in shots.clusters] == [
        ["train: good.jpg", "val: same.jpg"],
        ["train: scene_jpg.rf.aaaa.jpg", "val: scene_jpg.rf.bbbb.jpg"],
    ]


def test_an_object_is_tinted_where_it_is(drawn):
    _, shots = drawn
    [shot] = [one for one in shots.classes["dog"] if one.caption == "good.jpg"]
    picture = cv2.imdecode(np.frombuffer(shot.jpeg, np.uint8), cv2.IMREAD_COLOR)
    height, width = picture.shape[:2]
    assert max(height, width) == 200
    # The outline, blue in BGR, runs around the middle of the picture and not along its border.
    blue = (np.abs(picture.astype(int) - (214, 159, 18)).sum(axis=2) < 90).nonzero()
    assert len(blue[0]) > 100
    assert blue[1].min() > 0.1 * width
    assert blue[1].max() < 0.9 * width


@pytest.mark.parametrize(("left", "top"), [(0.0, 0.0), (0.9, 0.0), (0.0, 0.9), (0.9, 0.9)])
def test_an_object_at_the_border_has_a_whole_square_around_it(drawn, raw, left, top):
    facts, _ = drawn
    square = np.array([[0, 0], [0.1, 0], [0.1, 0.1], [0, 0.1]]) + np.array([left, top])
    dataset = read_dataset(raw, None)
    images = tuple(replace(one, annotations=(Instance(0, (Part(square),)),)) for one in dataset.images)
    place = ObjectPlace("images/train/good.jpg", 0, "dog", 50.0)
    only = replace(facts, smallest=(place,), overlaps=(), examples={}, copies=replace(facts.copies, by_name=()))
    [shot] = take_shots(replace(dataset, images=images), only).smallest
    picture = cv2.imdecode(np.frombuffer(shot.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[:2] == (200, 200)


def test_a_picture_that_cannot_be_read_is_left_out(drawn, raw, tmp_path):
    facts, _ = drawn
    dataset = read_dataset(raw, None)
    gone = replace(dataset, images=tuple(replace(one, path=tmp_path / "gone.jpg") for one in dataset.images))
    shots = take_shots(gone, facts)
    assert not any(shots.classes.values())
    assert inspect_page(facts, shots)


@pytest.mark.parametrize(
    ("severities", "said"),
    [
        ([], "segsweep prepare would take it; nothing else stands out."),
        (["note"], "segsweep prepare would take it; nothing else stands out."),
        (["warning"], "segsweep prepare would take it; 1 thing to look at."),
        (
            ["fault", "warning", "warning"],
            "segsweep prepare would refuse it for one kind of fault; 2 things to look at.",
        ),
        (["fault", "fault"], "segsweep prepare would refuse it for 2 kinds of faults; nothing else stands out."),
    ],
)
def test_the_headline_says_whether_prepare_takes_it(drawn, severities, said):
    facts, _ = drawn
    one = facts.findings[0]
    assert headline(replace(facts, findings=tuple(replace(one, severity=kind) for kind in severities))) == said


def test_a_dataset_without_images_has_a_page(make_yolo, tmp_path):
    inspect(make_yolo({"train/a": ""}, data="train: images/train\nnames: 7\n"), html=tmp_path / "out" / "page.html")
    outline = Outline((tmp_path / "out" / "page.html").read_text())
    assert outline.open == []
    assert "Every fault" in outline.headings


def test_many_faults_are_shown_in_part(drawn):
    facts = replace(drawn[0], faults=(Fault("a", "b", "c", "", "d"),) * 1234)
    page = inspect_page(facts, NOTHING).decode()
    assert "1,034 more in --json" in page
    assert len(page) < 200_000


def test_an_object_that_cannot_be_drawn_has_no_picture_and_spoils_none(drawn, raw):
    facts, _ = drawn
    dataset = read_dataset(raw, None)
    nowhere = Instance(0, (Part(np.array([[0.1, 0.1], [np.nan, 0.2], [0.3, 0.3]])),))
    images = tuple(
        replace(one, annotations=(*one.instances, nowhere)) if one.name.endswith("good.jpg") else one
        for one in dataset.images
    )
    spoiled = replace(dataset, images=images)
    place = ObjectPlace("images/train/good.jpg", 2, "dog", 0.0)
    shots = take_shots(spoiled, replace(facts, smallest=(place,)))
    assert shots.smallest == ()
    assert [one.caption for one in shots.classes["dog"]] == ["hidden.jpg", "good.jpg"]

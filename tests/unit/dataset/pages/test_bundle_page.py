"""The page of a bundle."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from outline import Outline
from segsweep.dataset.augmentation.preview import Preview
from segsweep.dataset.bundles.manifest import Manifest, ShardEntry, Small, SmallObject, Source, SplitFacts
from segsweep.dataset.fidelity import Fidelity, WorstObject
from segsweep.dataset.pages.bundle_page import bundle_page, headline
from segsweep.dataset.records import Note

HOSTILE = "<b>\"cat\" & 'kitten'</b>"


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        schema=2,
        name="cats",
        digest="ab12" * 16,
        classes=(HOSTILE, "dog"),
        imgsz=640,
        parameters={"resize": "longest", "split": [0.7, 0.15, 0.15], "seed": None, "augment": {"copies": 2}},
        source=Source("/data/<i>cats</i>", "yolo"),
        splits={
            "train": SplitFacts(30, 4, {HOSTILE: 60, "dog": 3}, 20),
            "val": SplitFacts(5, 0, {HOSTILE: 30, "dog": 1}),
            "test": SplitFacts(5, 1, {HOSTILE: 10, "dog": 0}),
        },
        shards=(ShardEntry("shards/train-00000.tar", 1_500_000, "0" * 64),),
        files=(),
        notes=(Note("<u>noted</u>", 7, ("<u>here</u>",)),),
        fidelity=Fidelity(104, 1, 0.99999, 0.0, (WorstObject(0.0, "<u>a.jpg</u>", 3, HOSTILE),)),
        small=Small(16.0, 9, (SmallObject("<u>b.jpg</u>", 1, "dog", 7.25),)),
        cleaning={"<u>rule</u>": 1234},
    )


def rows(page: str, title: str) -> list[list[str]]:
    """Texts of the table cells of a section."""
    section = page.partition(f"<h2>{title}</h2>")[2].partition("</section>")[0]
    found = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>(.*?)</tr>", section)]
    return [[re.sub(r"<[^>]+>", "", cell) for cell in row] for row in found]


def test_the_page_is_whole_fetches_nothing_and_tells_the_story_in_order(manifest):
    page = bundle_page(manifest, [Preview("<u>a</u>", b"jpeg")])
    outline = Outline(page)
    assert outline.open == []
    assert [address[:16] for address in outline.addresses] == ["data:image/jpeg;"]
    assert "script" not in outline.tags
    assert outline.headings == [
        "What each split got",
        "Fidelity",
        "Cleaning",
        "Small objects",
        "Augmentation",
        "Parameters",
    ]


def test_names_from_outside_cannot_become_markup(manifest):
    page = bundle_page(manifest, [Preview(HOSTILE, b"jpeg")])
    for hostile in ("<u>", "<i>cats", "<b>", '"cat"'):
        assert hostile not in page


def test_every_split_shows_what_it_got(manifest):
    assert rows(bundle_page(manifest, []), "What each split got") == [
        ["", "train", "val", "test", "all"],
        ["images", "30", "5", "5", "40"],
        ["augmented copies", "20", "0", "0", "20"],
        ["without an object", "4", "0", "1", "5"],
        ["&lt;b&gt;&quot;cat&quot; &amp; &#x27;kitten&#x27;&lt;/b&gt;", "60 60%", "30 30%", "10 10%", "100"],
        ["dog", "3 75%", "1 25%", "0 0%", "4"],
    ]


def test_fidelity_is_never_rounded_up_to_perfect(manifest):
    page = bundle_page(manifest, [])
    assert "<dt>Mean IoU</dt><dd>0.9999</dd>" in page
    assert "<dt>Minimum</dt><dd>0.0000</dd>" in page
    perfect = replace(manifest, fidelity=Fidelity(104, 0, 1.0, 1.0, ()))
    assert "<dt>Minimum</dt><dd>1</dd>" in bundle_page(perfect, [])


def test_cleaning_notes_and_small_objects_are_counted(manifest):
    page = bundle_page(manifest, [])
    assert ["&lt;u&gt;rule&lt;/u&gt;", "1,234"] in rows(page, "Cleaning")
    assert ["&lt;u&gt;b.jpg&lt;/u&gt;", "1", "dog", "7.2"] in rows(page, "Small objects")
    assert "Kept, though smaller than 16 square pixels in the bundle: 9 objects. 8 more in cleaning.csv." in page


def test_what_there_is_nothing_of_is_not_shown(manifest):
    plain = replace(
        manifest,
        notes=(),
        cleaning={},
        small=Small(16.0, 0, ()),
        fidelity=Fidelity(0, 0, 1.0, 1.0, ()),
        splits={name: replace(split, copies=0, background=0) for name, split in manifest.splits.items()},
    )
    page = bundle_page(plain, [])
    assert Outline(page).headings == ["What each split got", "Cleaning", "Parameters"]
    assert "Nothing had to be mended or left out." in page
    assert [row[0] for row in rows(page, "What each split got")][1] == "images"
    assert len(rows(page, "What each split got")) == 4


@pytest.mark.parametrize(
    ("fidelity", "said"),
    [
        (
            Fidelity(712, 0, 0.99914, 0.93, ()),
            "40 images at 640 px. 712 objects, none of them lost; their shapes agree with the source to "
            "0.9991 on average, 0.9300 at worst.",
        ),
        (
            Fidelity(712, 3, 0.9, 0.0, ()),
            "40 images at 640 px. 712 objects, 3 of them lost; their shapes agree with the source to 0.9000 "
            "on average, 0.0000 at worst.",
        ),
        (Fidelity(0, 0, 1.0, 1.0, ()), "40 images at 640 px, without an object."),
    ],
)
def test_the_headline_says_how_true_the_bundle_is(manifest, fidelity, said):
    assert headline(replace(manifest, fidelity=fidelity)) == said


def test_the_same_manifest_gives_the_same_page(manifest):
    assert bundle_page(manifest, []) == bundle_page(manifest, [])


def test_parameters_are_told_in_words(manifest):
    page = bundle_page(manifest, [])
    assert "<dt>split</dt><dd>0.7, 0.15, 0.15</dd>" in page
    assert "<dt>seed</dt><dd>none</dd>" in page
    assert "<dt>augment</dt><dd>copies: 2</dd>" in page
    assert f"<dt>digest</dt><dd>{'ab12' * 16}</dd>" in page

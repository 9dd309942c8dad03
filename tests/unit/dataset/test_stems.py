from __future__ import annotations

import re

import pytest

from segsweep.dataset.stems import unique_stems


def test_a_safe_unique_stem_is_kept():
    assert unique_stems(["a/group0006_jpeg.rf.207c.jpg", "b/x.png"]) == {
        "a/group0006_jpeg.rf.207c.jpg": "group0006_jpeg.rf.207c",
        "b/x.png": "x",
    }


@pytest.mark.parametrize(
    "name",
    [
        "a b.jpg",
        "it's.jpg",
        '"q".jpg',
        "kätzchen.jpg",
        "猫.jpg",
        "x" * 250 + ".jpg",
        "-rf.jpg",
        ".hidden.jpg",
        "a\nb.jpg",
        "caf\udce9.jpg",  # a byte that is no UTF-8, as the operating system hands it over
        "CON.jpg" * 40,
        "scene-r0c1.jpg",
        "scene-copy2.jpg",
    ],
)
def test_any_other_name_becomes_safe_and_keeps_a_hash_of_what_it_was(name: str):
    (stem,) = unique_stems([name]).values()
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*-[0-9a-f]{10}", stem)
    assert len(f"{stem}-r123c123-copy12.jpg") <= 100


def test_stems_differ_where_names_differ_only_in_folder_extension_or_case():
    names = ["a/1.jpg", "b/1.jpg", "b/1.png", "c/Cat.jpg", "d/cat.jpg"]
    stems = unique_stems(names)
    assert len({stem.lower() for stem in stems.values()}) == len(names)


def test_a_stem_depends_on_no_order():
    names = ["a/1.jpg", "b/1.jpg", "c/2.jpg"]
    assert unique_stems(names) == unique_stems(names[::-1])


def test_no_tile_or_copy_of_an_image_has_the_stem_of_another():
    stems = unique_stems(["a.jpg", "a-r0c1.jpg", "a-copy0.jpg", "a-r0c1-copy0.jpg"])
    added = {stems["a.jpg"] + suffix for suffix in ("", "-r0c1", "-copy0", "-r0c1-copy0")}
    assert added.isdisjoint({stems[name] for name in stems if name != "a.jpg"})

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from segsweep.core.part import Part
from segsweep.dataset.preparing.batch import Chunk, ConvertChunk, batch_name, is_whole, pack, read_index, store
from segsweep.dataset.preparing.conversion import Converted, ConvertedView, Recipe
from segsweep.dataset.records import ImageRecord, Instance
from segsweep.dataset.spool import Spool
from segsweep.errors import Problem

VIEW = ConvertedView("-r0c1", b"an image", b"0 0 0 1 0 1 1\n", {0: 1, 3: 2})
IMAGES = [
    Converted("a.png", (VIEW, VIEW), 2**63 + 5, (0, 3), (1.0, 0.5), ((1, 3.5),), (("object 0", "mended", "x"),)),
    Converted("b.png", problems=(Problem("/raw/b.png", "the image is truncated", "field", "value", "fix"),)),
]


def test_what_is_packed_is_read_back(tmp_path: Path):
    name = store(pack(Chunk("x.batch", ()), IMAGES), tmp_path)
    assert name == "x.batch"
    assert [path.name for path in tmp_path.iterdir()] == ["x.batch"]
    first, second = read_index(tmp_path / name)
    assert (first.name, first.hash, first.categories, first.ious) == ("a.png", 2**63 + 5, (0, 3), (1.0, 0.5))
    assert (first.small, first.actions) == (((1, 3.5),), (("object 0", "mended", "x"),))
    assert second.problems == IMAGES[1].problems
    data = (tmp_path / name).read_bytes()
    for view in first.views:
        assert (view.suffix, view.instances) == ("-r0c1", ((0, 1), (3, 2)))
        assert (view.image_bytes, view.label_bytes) == (len(VIEW.image), len(VIEW.labels))
        content = VIEW.image + VIEW.labels
        assert data[view.offset : view.offset + len(content)] == content
        assert view.hashes == hashlib.sha256(VIEW.image).digest() + hashlib.sha256(VIEW.labels).digest()


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"X" + data[1:], lambda data: b"", lambda data: data[:9]]
)
def test_what_a_power_failure_left_half_is_not_whole(tmp_path: Path, damage):
    path = tmp_path / store(pack(Chunk("x.batch", ()), IMAGES), tmp_path)
    assert is_whole(path)
    path.write_bytes(damage(path.read_bytes()))
    assert not is_whole(path)


def test_a_batch_that_is_not_there_is_not_whole(tmp_path: Path):
    assert not is_whole(tmp_path / "x.batch")


def test_a_problem_is_told_of_the_place_that_the_user_knows(tmp_path: Path):
    record = ImageRecord(tmp_path / "0.jpg", "a.jpg", "a", ())
    data = ConvertChunk(Recipe())(Chunk("x.batch", (record,), places=("/raw/a.jpg",)))
    (image,) = read_index(tmp_path / store(data, tmp_path))
    assert image.problems[0].where == "/raw/a.jpg"


def test_the_name_of_a_batch_changes_with_all_that_it_is_made_from(tmp_path: Path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"1")

    def named(settings: str = "s", name: str = "a.jpg", size: tuple[int, int] | None = None, x: float = 0.5) -> str:
        spooled = tmp_path / f"spool-{x}-{len(list(tmp_path.iterdir()))}"
        with Spool(spooled) as spool:
            span = spool.keep([Instance(0, (Part(np.array([[0.0, 0], [x, 0], [x, 1]])),))])
        return batch_name([ImageRecord(path, name, "g", span, size=size)], settings)

    first = named()
    assert named() == first
    others = {named(settings="t"), named(name="b.jpg"), named(size=(1, 2)), named(x=0.6)}
    path.write_bytes(b"12")
    others.add(named())
    path.unlink()
    others.add(named())
    assert len(others | {first}) == 7

"""What batches say together: which images can be used, what they hold and what was done to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from segsweep.dataset.bundles.manifest import Small, SmallObject
from segsweep.dataset.cleaning.clean import Action
from segsweep.dataset.fidelity import Fidelity, WorstObject
from segsweep.dataset.preparing.batch import Chunk, pack, store
from segsweep.dataset.preparing.conversion import Converted, ConvertedView
from segsweep.dataset.preparing.converting import convert_all
from segsweep.dataset.preparing.harvest import SMALL, Harvest, gather, read_images, survey
from segsweep.dataset.preparing.roster import Roster
from segsweep.dataset.records import ImageRecord
from segsweep.dataset.spool import Span
from segsweep.errors import Problem

CLASSES = ("cat", "dog")
BROKEN = Problem("/raw/b.png", "the image is truncated")
VIEWS = (ConvertedView("-r0c0", b"left", b"0\n", {0: 1}), ConvertedView("-r0c1", b"right", b"", {}))


def converted(name: str, *ious: float, **facts: object) -> Converted:
    """An image of cats and dogs in turn, one for each IoU."""
    known = {"views": VIEWS, "hash": sum(name.encode()), "categories": tuple(i % 2 for i in range(len(ious)))}
    return Converted(name, ious=ious, **{**known, **facts})  # type: ignore[arg-type]


IMAGES = (
    converted("a.png", 1.0, 0.5, small=((1, 3.46),), actions=(("object 0", "mended", "x"), ("", "turned upright", ""))),
    Converted("b.png", categories=(1,), problems=(BROKEN,)),
    converted("c.png", 0.25, 0.0, 0.25, actions=(("object 2", "mended", "y"),), small=((0, 1.0), (2, 2.04))),
    converted("d.png"),
    converted("e.png", 0.75, hash=None),
)


def batches(folder: Path, images: Sequence[Converted] = IMAGES, size: int = 2) -> list[Path]:
    """The images in batches, so many in each."""
    cuts = range(0, len(images), size)
    return [folder / store(pack(Chunk(f"{at}.batch", ()), images[at : at + size]), folder) for at in cuts]


def told(harvest: Harvest) -> tuple[object, ...]:
    """All that a harvest says, but in which batch a file lies."""
    views = {name: [(one.suffix, one.hashes, one.instances) for one in views] for name, views in harvest.views.items()}
    return views, harvest.tally.facts(), harvest.actions, harvest.small, harvest.small_count, harvest.counts()


def test_what_is_known_of_every_image_is_merged_from_all_batches(tmp_path: Path):
    known = survey(batches(tmp_path))
    assert dict(known.hashes) == {name: sum(name.encode()) for name in ("a.png", "c.png", "d.png")}
    assert dict(known.held) == {
        "a.png": frozenset({0, 1}),
        "b.png": frozenset({1}),  # what it would have held is known, though it cannot be used
        "c.png": frozenset({0, 1}),
        "d.png": frozenset(),
        "e.png": frozenset({0}),
    }
    assert dict(known.problems) == {"b.png": (BROKEN,)}


def test_images_that_hold_the_same_classes_share_one_set(tmp_path: Path):
    held = survey(batches(tmp_path)).held
    assert held["a.png"] is held["c.png"]


def test_no_batches_are_nothing_known_and_nothing_told():
    known, harvest = survey([]), gather([], ["a.png"], CLASSES)
    assert (dict(known.hashes), dict(known.held), dict(known.problems)) == ({}, {}, {})
    assert told(harvest) == ({}, Fidelity(0, 0, 1.0, 1.0, ()), [], [], 0, {})
    assert harvest.small_facts(16.0) == Small(16.0, 0, ())


def test_images_come_in_the_order_of_their_batches(tmp_path: Path):
    made = batches(tmp_path)
    assert [image.name for image in read_images(made)] == ["a.png", "b.png", "c.png", "d.png", "e.png"]
    assert [image.name for image in read_images(reversed(made))] == ["e.png", "c.png", "d.png", "a.png", "b.png"]


def test_of_the_images_that_were_taken_everything_is_told(tmp_path: Path):
    harvest = gather(batches(tmp_path), ["a.png", "c.png", "d.png"], CLASSES)
    assert {name: [view.suffix for view in views] for name, views in harvest.views.items()} == {
        name: ["-r0c0", "-r0c1"] for name in ("a.png", "c.png", "d.png")
    }
    assert harvest.tally.facts() == Fidelity(
        objects=5,
        lost=1,
        mean_iou=0.4,
        min_iou=0.0,
        worst=(
            WorstObject(0.0, "c.png", 1, "dog"),
            WorstObject(0.25, "c.png", 0, "cat"),
            WorstObject(0.25, "c.png", 2, "cat"),
            WorstObject(0.5, "a.png", 1, "dog"),
        ),
    )
    assert harvest.actions == [
        Action("a.png", "object 0", "mended", "x"),
        Action("a.png", "", "turned upright", ""),
        Action("a.png", "object 1", SMALL, "dog, 3.5 pixels"),
        Action("c.png", "object 2", "mended", "y"),
        Action("c.png", "object 0", SMALL, "cat, 1.0 pixels"),
        Action("c.png", "object 2", SMALL, "cat, 2.0 pixels"),
    ]
    assert list(harvest.counts().items()) == [("mended", 2), (SMALL, 3), ("turned upright", 1)]
    assert harvest.small_facts(16.0) == Small(
        16.0,
        3,
        (
            SmallObject("a.png", 1, "dog", 3.5),
            SmallObject("c.png", 0, "cat", 1.0),
            SmallObject("c.png", 2, "cat", 2.0),
        ),
    )


def test_an_image_that_was_left_out_leaves_no_trace(tmp_path: Path):
    made = batches(tmp_path)
    rest = gather(made, ["d.png", "e.png"], CLASSES)
    assert sorted(rest.views) == ["d.png", "e.png"]
    assert (rest.actions, rest.small_count, rest.tally.facts().objects) == ([], 0, 1)
    assert told(gather(made, [], CLASSES)) == told(Harvest())


def test_of_many_small_objects_the_first_are_listed_and_all_are_counted_and_told(tmp_path: Path):
    tiny = tuple((number, 1.0) for number in range(60))
    images = [converted(f"{i}.png", *[1.0] * 60, small=tiny) for i in range(3)]
    harvest = gather(batches(tmp_path, images), [image.name for image in images], CLASSES)
    facts = harvest.small_facts(16.0)
    assert (facts.count, len(facts.objects), len(harvest.actions)) == (180, 100, 180)
    assert [(one.image, one.object) for one in facts.objects] == [
        *(("0.png", number) for number in range(60)),
        *(("1.png", number) for number in range(40)),
    ]
    assert harvest.counts() == {SMALL: 180}


@pytest.mark.parametrize("size", [1, 3, 5])
def test_how_images_are_dealt_into_batches_changes_nothing(tmp_path: Path, size: int):
    names = [image.name for image in IMAGES if not image.problems]
    (tmp_path / "other").mkdir()
    first, second = batches(tmp_path), batches(tmp_path / "other", size=size)
    assert told(gather(first, names, CLASSES)) == told(gather(second, reversed(names), CLASSES))
    assert survey(first) == survey(second)


class _Recall:
    """Says of every image what is known of it."""

    settings = "s"

    def __call__(self, chunk: Chunk) -> bytes:
        known = {image.name: image for image in IMAGES}
        return pack(chunk, (known[record.name] for record in chunk.records))


def backwards(function: Callable[[Chunk], bytes], chunks: Iterable[Chunk]) -> Iterator[bytes]:
    """The last chunk is done first, as it may be where many work."""
    return map(function, reversed([*chunks]))


def test_whichever_batch_is_done_first_the_same_is_told_in_the_same_order(tmp_path: Path):
    (tmp_path / "spool").touch()
    nothing = Span(str(tmp_path / "spool"), ())
    records = [ImageRecord(Path("/raw", image.name), image.name, image.name, nothing) for image in IMAGES]
    roster = Roster(tmp_path / "roster", records, 2)
    names = ["e.png", "c.png", "a.png"]
    found = []
    for folder, map_chunks in (("forwards", map), ("backwards", backwards)):
        made = convert_all(roster, _Recall(), tmp_path / folder, map_chunks, None)
        found.append((told(gather(made, names, CLASSES)), [*survey(made).held], survey(made)))
    assert found[0] == found[1]
    assert found[0][1] == [image.name for image in IMAGES]

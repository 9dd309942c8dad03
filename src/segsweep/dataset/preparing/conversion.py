"""One image of a raw dataset becomes its files of the bundle, with everything that is to be told of it.

The only function that decodes and encodes pictures when a bundle is made. It depends on nothing but its arguments and
runs anywhere: in this process, in a worker, on another machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from segsweep.core.geometry import Part, area
from segsweep.dataset.cleaning.clean import Action, clean_instances
from segsweep.dataset.fidelity import measure
from segsweep.dataset.labels import format_labels
from segsweep.dataset.pictures.duplicates import perceptual_hash
from segsweep.dataset.pictures.header import read_header
from segsweep.dataset.pictures.jpeg import plain_jpeg
from segsweep.dataset.pictures.picture import MAX_BYTES, MIN_SIDE_PX, Picture, encode_jpeg, read_upright
from segsweep.dataset.pictures.resize import least_size, render, views
from segsweep.dataset.pictures.view import View
from segsweep.dataset.records import ImageRecord, Instance
from segsweep.errors import DatasetError, Problem
from segsweep.storage.plain import read_plain

CROWDS = "crowd regions left out: a label holds single objects"
SLIVERS = "slivers at a tile's border left out"

# The least that a picture is decoded at if it is only to be looked at: twice the thumbnail that its hash is made of.
_LOOK_PX = (64, 64)


@dataclass(frozen=True)
class Recipe:
    """All that shapes the conversion of an image.

    Attributes:
        imgsz: Longest side of the bundle's images, or side of a tile, pixels.
        resize: One of `resize.MODES`.
        overlap: Of neighbouring tiles, as a share of their side.
        min_area_px: Objects smaller than this in the bundle's image are listed.
        has_hash: Whether the picture's perceptual hash is needed.
    """

    imgsz: int = 640
    resize: str = "longest"
    overlap: float = 0.2
    min_area_px: float = 16.0
    has_hash: bool = True


@dataclass(frozen=True)
class ConvertedView:
    """One image of the bundle and its labels.

    Attributes:
        suffix: What is added to the stem of the source image.
        image: The JPEG file.
        labels: The label file.
        instances: Class -> number of label rows.
    """

    suffix: str
    image: bytes
    labels: bytes
    instances: Mapping[int, int]


@dataclass(frozen=True)
class Converted:
    """What became of an image.

    Attributes:
        name: Of the image.
        views: Its files; none if there is a problem.
        hash: Perceptual hash; None where none was needed.
        categories: Class of each object, after cleaning and without crowds.
        ious: What `fidelity.measure` said of each object.
        small: Number and area (pixels of the bundle's image) of objects below the stated size.
        actions: What was mended or left out: record, rule, detail.
        problems: Why it cannot be used.
    """

    name: str
    views: tuple[ConvertedView, ...] = ()
    hash: int | None = None
    categories: tuple[int, ...] = ()
    ious: tuple[float, ...] = ()
    small: tuple[tuple[int, float], ...] = ()
    actions: tuple[tuple[str, str, str], ...] = ()
    problems: tuple[Problem, ...] = field(default=())


def convert(record: ImageRecord, recipe: Recipe) -> Converted:
    """Read an image, clean it, draw its views, write their labels and measure what was written.

    Args:
        record: The image.
        recipe: How.

    Returns:
        Its files and what is to be told; problems instead of files if it cannot be used.
    """
    try:
        return _convert(record, recipe)
    except DatasetError as exc:
        categories = tuple(one.category for one in record.instances if not one.crowd)
        return Converted(record.name, categories=categories, problems=tuple(_told(one, record) for one in exc.problems))


def _told(problem: Problem, record: ImageRecord) -> Problem:
    """The problem by the image's name where its file is one that was unpacked, of which nobody knows."""
    is_unpacked = problem.where == str(record.path) and not problem.where.endswith(record.name)
    return replace(problem, where=record.name) if is_unpacked else problem


@dataclass(frozen=True, eq=False)
class Source:
    """A picture that was read.

    Attributes:
        picture: The picture, perhaps smaller than its file says.
        views: What is to be drawn of it.
        rules: What was mended on the way.
        unchanged: The file of its only view, if the picture is not to be encoded again.
    """

    picture: Picture
    views: tuple[View, ...]
    rules: tuple[str, ...]
    unchanged: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the source image, upright, pixels."""
        return self.views[0].source


def read_source(record: ImageRecord, recipe: Recipe, may_copy: bool = True) -> Source:
    """Read an image, at a reduced scale if all its views are smaller still.

    A plain JPEG of the right size is only looked at, to see that it is whole: encoding it again would cost time and
    quality, and grow it.

    Args:
        record: The image.
        recipe: Says what views it has.
        may_copy: Whether a plain JPEG's file may be taken as it is.

    Raises:
        DatasetError: The image cannot be used.
    """
    data = _peek(record)
    header = read_header(data)
    least = unchanged = None
    if header is not None:
        as_it_lies = (header.width, header.height)
        size = as_it_lies if record.size == as_it_lies else header.upright
        planned = _views(size, recipe)
        if may_copy and header.orientation == 1 and len(planned) == 1 and planned[0].size == size:
            unchanged = plain_jpeg(data)
        least = _LOOK_PX if unchanged is not None else least_size(planned)
    decoded = read_upright(record.path, record.size, least)
    return Source(decoded.picture, _views(decoded.size, recipe), decoded.rules, unchanged)


def label_view(instances: Sequence[Instance], view: View) -> tuple[str, tuple[Instance, ...]]:
    """Label rows of a view, and what a reader makes of them, in fractions of the view."""
    text = format_labels(instances, *view.size)
    return text, tuple(_read_row(row) for row in text.splitlines())


def _peek(record: ImageRecord) -> bytes:
    try:
        return read_plain(record.path, MAX_BYTES)
    except OSError:
        return b""  # told when it is decoded


def _views(size: tuple[int, int], recipe: Recipe) -> tuple[View, ...]:
    return views(*size, recipe.resize, recipe.imgsz, recipe.overlap)


def _convert(record: ImageRecord, recipe: Recipe) -> Converted:
    source = read_source(record, recipe)
    cleaned, mended = clean_instances(record.instances, source.size, record.name)
    actions = [*(Action(record.name, "", rule, "") for rule in source.rules), *mended]
    single = [one for one in cleaned if not one.crowd]
    actions += [Action(record.name, "", CROWDS, "") for _ in range(len(cleaned) - len(single))]
    drawn, pieces, areas = [], [list[Instance]() for _ in single], [0.0] * len(single)
    seen = source.picture
    for view in source.views:
        if min(view.size) < MIN_SIDE_PX:
            rule = f"the shorter side must keep {MIN_SIDE_PX} pixels, or training drops the image"
            raise DatasetError(Problem(str(record.path), rule, value=f"{view.size[0]}x{view.size[1]} after resizing"))
        cut = view.cut(single)
        actions += [Action(record.name, f"object {index}", SLIVERS, view.suffix) for index in cut.slivers]
        text, read = label_view(cut.instances, view)
        for index, one, back in zip(cut.sources, read, view.to_source(read), strict=True):
            pieces[index].append(back)
            areas[index] = max(areas[index], _area_px(one.parts, *view.size))
        image = source.unchanged
        if image is None:
            picture = render(source.picture, view)
            image = encode_jpeg(picture)
            seen = picture if len(source.views) == 1 else seen  # the smaller, the faster it is hashed
        counts = dict(sorted(Counter(one.category for one in read).items()))
        drawn.append(ConvertedView(view.suffix, image, text.encode(), counts))
    written = [Instance(own[0].category, tuple(part for one in own for part in one.parts)) for own in pieces if own]
    return Converted(
        name=record.name,
        views=tuple(drawn),
        hash=perceptual_hash(seen) if recipe.has_hash else None,
        categories=tuple(one.category for one in single),
        ious=measure(single, written, *source.size),
        small=tuple((index, size) for index, size in enumerate(areas) if size < recipe.min_area_px),
        actions=tuple((action.record, action.rule, action.detail) for action in actions),
    )


def _read_row(row: str) -> Instance:
    """A label row of ours, read as any reader does: one ring, parts and holes bridged into it."""
    category, _, coordinates = row.partition(" ")
    ring = np.array(coordinates.split(" "), dtype=np.float64).reshape(-1, 2)
    return Instance(int(category), (Part(ring),))


def _area_px(parts: Sequence[Part], width: int, height: int) -> float:
    return sum(area(part.exterior) - sum(area(hole) for hole in part.holes) for part in parts) * width * height

"""Pictures of a raw dataset for its page: objects cut out with their outlines, images side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import cv2
import numpy as np

from segsweep.core.geometry import Part, Ring, fill
from segsweep.dataset.augmentation.preview import Preview
from segsweep.dataset.inspection.facts import Cluster, Inspection, Overlap
from segsweep.dataset.inspection.look import lies_near
from segsweep.dataset.pictures.picture import Picture, read_picture
from segsweep.dataset.records import ImageRecord, Instance, RawDataset
from segsweep.errors import DatasetError

_SQUARE_PX = 200  # an object's picture
_IMAGE_PX = 360  # longest side of a whole image
_QUALITY = 80
_MARGIN = 0.35  # around an object, as a share of its longer side
_LEAST_PX = 24  # of the source that an object's picture shows, however small the object is
_MOST_PICTURES = 120  # of objects on all contact sheets together
_LEAST_OF_CLASS, _MOST_OF_CLASS = 3, 12  # the sheet has six columns
_MOST_WORST = 12
_MOST_CLUSTERS, _MOST_OF_CLUSTER = 12, 4
_OPACITY = 0.35
_TINTS, _OTHERS = ((214, 159, 18), (13, 115, 217)), (235, 235, 235)  # BGR


@dataclass(frozen=True)
class Shots:
    """The pictures of an inspection's page.

    Attributes:
        classes: Class -> some of its objects.
        overlaps: The worst pairs.
        smallest: The smallest objects.
        clusters: Images of one scene, those that lie in several splits first.
    """

    classes: Mapping[str, tuple[Preview, ...]]
    overlaps: tuple[Preview, ...]
    smallest: tuple[Preview, ...]
    clusters: tuple[tuple[Cluster, tuple[Preview, ...]], ...]


def take_shots(dataset: RawDataset, facts: Inspection) -> Shots:
    """Draw the pictures that an inspection's page shows.

    Args:
        dataset: As inspected; its instances can still be loaded.
        facts: What was found.
    """
    records = {record.name: record for record in dataset.images}
    each = max(_LEAST_OF_CLASS, min(_MOST_OF_CLASS, _MOST_PICTURES // max(1, len(facts.examples))))
    budget = max(1, _MOST_PICTURES // each)
    classes = {
        name: _taken(_of_objects(records[one.image], [one.object], _file(one.image)) for one in places[:each])
        for name, places in list(facts.examples.items())[:budget]
    }
    overlaps = _taken(
        _of_objects(records[one.image], one.objects, f"{_overlap(one)}: {_file(one.image)}")
        for one in facts.overlaps[:_MOST_WORST]
    )
    smallest = _taken(
        _of_objects(records[one.image], [one.object], f"{one.category}, {one.side_px:.1f} px: {_file(one.image)}")
        for one in facts.smallest[:_MOST_WORST]
    )
    clusters = sorted(
        (*facts.copies.by_picture, *facts.copies.by_name), key=lambda cluster: len(cluster.splits), reverse=True
    )
    return Shots(
        classes, overlaps, smallest, tuple((one, _of_cluster(one, records)) for one in clusters[:_MOST_CLUSTERS])
    )


def _taken(previews: Iterable[Preview | None]) -> tuple[Preview, ...]:
    return tuple(one for one in previews if one is not None)


def _file(name: str) -> str:
    return PurePosixPath(name).name


def _overlap(one: Overlap) -> str:
    pair = one.categories[0] if len(set(one.categories)) == 1 else " and ".join(one.categories)
    return f"{pair}, {one.share:.0%} of the smaller, IoU {one.iou:.2f}"


def _of_cluster(cluster: Cluster, records: Mapping[str, ImageRecord]) -> tuple[Preview, ...]:
    return _taken(
        _of_image(records[member.image], f"{member.split or 'unsplit'}: {_file(member.image)}")
        for member in cluster.images[:_MOST_OF_CLUSTER]
    )


def _of_image(record: ImageRecord, caption: str) -> Preview | None:
    picture = _picture(record)
    if picture is None:
        return None
    height, width = picture.shape[:2]
    scale = min(1.0, _IMAGE_PX / max(height, width))
    return _encoded(_resized(picture, max(1, round(width * scale)), max(1, round(height * scale))), caption)


def _of_objects(record: ImageRecord, numbers: Sequence[int], caption: str) -> Preview | None:
    """Some objects of an image, tinted, with the others' outlines around them."""
    picture = _picture(record)
    if picture is None:
        return None
    height, width = picture.shape[:2]
    single = [one for one in record.instances if not one.crowd]
    if not all(lies_near(single[i]) for i in numbers):
        return None
    left, top, side = _window([single[i] for i in numbers], width, height)
    right, bottom = min(width, left + side), min(height, top + side)
    scale = _SQUARE_PX / side
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    drawn = _resized(picture[top:bottom, left:right], *size)
    origin, across = np.array([left, top]), np.array([width, height])
    for index, one in enumerate(single):
        if not lies_near(one):
            continue
        parts = [_mapped(part, lambda ring: (ring * across - origin) * scale) for part in one.parts]
        _draw(drawn, parts, _TINTS[numbers.index(index) % len(_TINTS)] if index in numbers else None)
    return _encoded(drawn, caption)


def _window(instances: Sequence[Instance], width: int, height: int) -> tuple[int, int, int]:
    """Left, top and side of a square around objects, inside the image as far as it fits; pixels."""
    points = np.concatenate([part.exterior for one in instances for part in one.parts]) * (width, height)
    low, high = points.min(axis=0), points.max(axis=0)
    side = int(max(_LEAST_PX, *((high - low) * (1 + 2 * _MARGIN))))
    left, top = ((low + high) / 2 - side / 2).astype(int).tolist()
    return max(0, min(left, width - side)), max(0, min(top, height - side)), side


def _mapped(part: Part, change: Callable[[Ring], Ring]) -> Part:
    return Part(change(part.exterior), tuple(change(hole) for hole in part.holes))


def _draw(drawn: Picture, parts: Sequence[Part], tint: tuple[int, int, int] | None) -> None:
    """Draw an object: tinted, or a thin grey outline."""
    mask = fill(parts, *drawn.shape[:2])
    if tint is not None:
        drawn[mask] = ((1 - _OPACITY) * drawn[mask] + _OPACITY * np.array(tint)).astype(np.uint8)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, contours, -1, tint or _OTHERS, 2 if tint else 1)


def _picture(record: ImageRecord) -> Picture | None:
    try:
        return read_picture(record.path, record.size)
    except DatasetError:
        return None  # it is among the faults


def _resized(picture: Picture, width: int, height: int) -> Picture:
    way = cv2.INTER_AREA if width < picture.shape[1] else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(picture, (width, height), interpolation=way), dtype=np.uint8)


def _encoded(picture: Picture, caption: str) -> Preview:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done  # encoding 8-bit BGR to memory cannot fail
    return Preview(caption, data.tobytes())

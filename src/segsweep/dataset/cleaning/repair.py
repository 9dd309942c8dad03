"""Shapes mended: what would be drawn wrong, count twice or reach over the image's edge, and nothing else.

A shape is what its rings enclose by the even-odd rule, here as in training, where Ultralytics fills polygons with
OpenCV's `fillPoly`. So no repair changes which pixels of the image an object covers; only its description gets simpler.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from segsweep.core.clipping import clip
from segsweep.core.crossings import find_crossings
from segsweep.core.geometry import Part, Ring, area
from segsweep.core.untangling import untangle
from segsweep.dataset.cleaning.actions import Action
from segsweep.dataset.cleaning.soundness import FLAT_SHARE, Look, look
from segsweep.dataset.records import Instance

CLIPPED = "shapes cut at the edge of the image"
OUTSIDE = "objects outside the image removed"
UNTANGLED = "outlines that cross themselves taken apart"
TANGLED = "outlines that cross themselves too often to be taken apart left as they are"
POINTS_REMOVED = "repeated points and points on a straight line removed"
WOUND = "holes wound against their outline"
FLAT_PARTS = "parts without area removed"
FLAT = "objects without area removed"
DUPLICATES = "duplicate objects removed"
NOT_NUMBERS = "objects with coordinates that are no numbers removed"

_ROUNDING = 1e-6  # of the image's side: what label files keep; a point this far outside lies on the edge
_WHOLE = (0.0, 0.0, 1.0, 1.0)


def clean_instances(
    instances: Sequence[Instance], size: tuple[int, int], name: str
) -> tuple[tuple[Instance, ...], tuple[Action, ...]]:
    """Mend the shapes of one image.

    Whatever needs no repair is found out for all rings of the image at once and passes untouched.

    Args:
        instances: As annotated.
        size: Width and height of the image, pixels; for what is told.
        name: Of the image.

    Returns:
        What remains, and one action for each thing done; `object 0` is the first of `instances`.
    """
    if not instances:
        return (), ()
    with np.errstate(over="ignore", invalid="ignore"):  # coordinates may be anything
        return _clean(instances, size, name)


def _clean(
    instances: Sequence[Instance], size: tuple[int, int], name: str
) -> tuple[tuple[Instance, ...], tuple[Action, ...]]:
    found = look(instances)
    kept: list[Instance] = []
    actions: list[Action] = []
    seen: dict[tuple[object, ...], list[Instance]] = {}
    for index, (one, is_sound) in enumerate(zip(instances, found.sound.tolist(), strict=True)):
        log = _Log(name, f"object {index}", size)
        mended = one if is_sound else _mend(one, log)
        actions += log.actions
        if mended is None:
            continue
        key = (mended.category, mended.crowd, len(mended.parts), *_box(mended, one, found, index))
        twins = seen.setdefault(key, [])
        if any(_is_same(mended, twin) for twin in twins):
            actions.append(Action(name, f"object {index}", DUPLICATES, ""))
            continue
        twins.append(mended)
        kept.append(mended)
    return tuple(kept), tuple(actions)


@dataclass
class _Log:
    """What is done to one instance."""

    image: str
    record: str
    size: tuple[int, int]
    actions: list[Action] = field(default_factory=list)

    def add(self, rule: str, detail: str = "") -> None:
        self.actions.append(Action(self.image, self.record, rule, detail))

    def px(self, share: float) -> str:
        """An area, given as a share of the image."""
        return f"{share * self.size[0] * self.size[1]:.1f} pixels"


def _mend(instance: Instance, log: _Log) -> Instance | None:
    if not all(np.isfinite(ring).all() for part in instance.parts for ring in part.rings):
        log.add(NOT_NUMBERS)
        return None
    parts = _without_needless_points(instance.parts, log)
    parts = _untangled(parts, log)
    if not parts:
        log.add(FLAT)
        return None
    inside = _clipped(parts, log)
    if not inside:
        log.add(OUTSIDE, log.px(sum(map(_part_area, parts))))
        return None
    return Instance(instance.category, _wound(inside, log), instance.crowd)


def _without_needless_points(parts: Sequence[Part], log: _Log) -> list[Part]:
    before = sum(len(ring) for part in parts for ring in part.rings)
    thin = [Part(_needed(part.exterior), tuple(map(_needed, part.holes))) for part in parts]
    removed = before - sum(len(ring) for part in thin for ring in part.rings)
    if removed:
        log.add(POINTS_REMOVED, f"{removed} of {before} points")
    return thin


def _needed(ring: Ring) -> Ring:
    """The points where a ring turns; all that repeat or lie between two others are left out."""
    while len(ring) >= 3:
        edges = np.roll(ring, -1, axis=0) - ring
        moves = edges.any(axis=1)
        if moves.all():
            before = np.roll(edges, 1, axis=0)
            turn = before[:, 0] * edges[:, 1] - before[:, 1] * edges[:, 0]
            moves = ~((turn == 0) & ((before * edges).sum(axis=1) > 0))
            if moves.all():
                break
        ring = ring[moves]
    return ring


def _untangled(parts: Sequence[Part], log: _Log) -> list[Part]:
    found: list[Part] = []
    flat = crossed = 0
    for part in parts:
        rings = [ring for ring in part.rings if len(ring) >= 3]
        if not rings or rings[0] is not part.exterior:
            flat += 1
            continue
        is_simple = all(area(ring) > FLAT_SHARE and not len(find_crossings([ring])) for ring in rings)
        if is_simple and len(rings) == len(part.rings):
            found.append(part)
            continue
        simple = untangle(Part(rings[0], tuple(rings[1:])), FLAT_SHARE)
        if simple is None:
            log.add(TANGLED)
            found.append(part)
        elif not simple:
            flat += 1
        else:
            found += simple
            crossed += any(len(find_crossings([ring])) > 0 for ring in rings)
            flat += len(rings) < len(part.rings)
    if crossed:
        log.add(UNTANGLED, f"{log.px(sum(map(_part_area, found)))} in {len(found)} parts")
    if flat and found:
        log.add(FLAT_PARTS, f"{flat} of {len(parts)}")
    return found


def _clipped(parts: Sequence[Part], log: _Log) -> list[Part]:
    rings = [ring for part in parts for ring in part.rings]
    low, high = min(ring.min() for ring in rings), max(ring.max() for ring in rings)
    if low >= 0 and high <= 1:
        return list(parts)
    if low >= -_ROUNDING and high <= 1 + _ROUNDING:
        return [Part(part.exterior.clip(0, 1), tuple(hole.clip(0, 1) for hole in part.holes)) for part in parts]
    pieces = (piece for part in parts for piece in clip(part, _WHOLE) if _part_area(piece) > FLAT_SHARE)
    # The cut may run through a point, or on from an edge along the border.
    inside = [Part(_needed(piece.exterior), tuple(map(_needed, piece.holes))) for piece in pieces]
    if inside:
        before, after = (sum(map(_part_area, some)) for some in (parts, inside))
        log.add(CLIPPED, f"{log.px(before - after)} of {log.px(before)} lay outside")
    return inside


def _wound(parts: Sequence[Part], log: _Log) -> tuple[Part, ...]:
    """Holes turn against their outline: the shape is then the same for whoever fills by the non-zero rule."""
    turned = 0
    found = []
    for part in parts:
        against = [_signed_area(hole) * _signed_area(part.exterior) < 0 for hole in part.holes]
        turned += against.count(False)
        holes = (hole if right else hole[::-1] for hole, right in zip(part.holes, against, strict=True))
        found.append(Part(part.exterior, tuple(holes)))
    if turned:
        log.add(WOUND, f"{turned} holes")
    return tuple(found)


def _box(mended: Instance, before: Instance, found: Look, index: int) -> Iterator[bytes]:
    """Where the first outline lies: what two equal instances have in common."""
    if mended is before:
        yield found.low[index].tobytes()
        yield found.high[index].tobytes()
    else:
        yield mended.parts[0].exterior.min(axis=0).tobytes()
        yield mended.parts[0].exterior.max(axis=0).tobytes()


def _is_same(one: Instance, other: Instance) -> bool:
    """Whether two instances are the same rings, wherever each begins and whichever way it turns."""
    return all(
        len(a.rings) == len(b.rings)
        and all(np.array_equal(_canonical(p), _canonical(q)) for p, q in zip(a.rings, b.rings, strict=True))
        for a, b in zip(one.parts, other.parts, strict=True)
    )


def _canonical(ring: Ring) -> Ring:
    """The ring from its least point on, towards the lesser of that point's neighbours."""
    first = int(np.lexsort((ring[:, 1], ring[:, 0]))[0])
    turned = np.roll(ring, -first, axis=0)
    return turned if tuple(turned[1]) <= tuple(turned[-1]) else np.roll(turned[::-1], 1, axis=0)


def _part_area(part: Part) -> float:
    return area(part.exterior) - sum(area(hole) for hole in part.holes)


def _signed_area(ring: Ring) -> float:
    x, y = (ring - ring[0]).T
    return float(np.dot(x[:-1], y[1:]) - np.dot(y[:-1], x[1:])) / 2

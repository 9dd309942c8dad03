"""What a shape is made of: parts, each an outline with holes.

Coordinates are continuous: pixel `i` covers `[i, i + 1)`, x to the right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """One connected piece of a shape.

    Attributes:
        exterior: Outline, (n, 2) x and y, not closed by a repeated point.
        holes: Outlines of what is cut out of it, each (n, 2).
    """

    exterior: Ring
    holes: tuple[Ring, ...] = ()

    @property
    def rings(self) -> tuple[Ring, ...]:
        """The exterior, then the holes."""
        return (self.exterior, *self.holes)

    def scaled(self, x: float, y: float) -> Part:
        """The same piece with its coordinates multiplied."""
        factor = np.array([x, y])
        return Part(self.exterior * factor, tuple(hole * factor for hole in self.holes))


def area(ring: Ring) -> float:
    """Area inside the ring, by the shoelace formula; crossings count with their sign."""
    x, y = (ring - ring[0]).T
    return float(abs(np.dot(x[:-1], y[1:]) - np.dot(y[:-1], x[1:])) / 2)  # the last edge ends in the origin


def encloses(ring: Ring, point: Ring) -> bool:
    """Whether the point, (2,), is inside the ring by the even-odd rule."""
    start, end = ring, np.roll(ring, -1, axis=0)
    spans = (start[:, 1] > point[1]) != (end[:, 1] > point[1])
    start, end = start[spans], end[spans]
    x = start[:, 0] + (point[1] - start[:, 1]) / (end[:, 1] - start[:, 1]) * (end[:, 0] - start[:, 0])
    return bool(np.count_nonzero(x > point[0]) % 2)

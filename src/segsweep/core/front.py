"""The front of accuracy against latency: who dominates whom, how much the front covers, where it bends.

Everything works on one cost matrix, float64 of shape [models, 2], columns (-mAP, latency in ms); both are minimised.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segsweep.errors import MissingExtraError, Problem

Costs = NDArray[np.float64]
Flags = NDArray[np.bool_]

REFERENCE_MAP = 0.0
REFERENCE_SLACK = 1.1
REFERENCE_RULE = "mAP 0 and 1.1 times the latency of the slowest finalist"
KNEE_RULE = (
    "the front's point farthest from the chord between its extremes, towards the ideal point, both objectives "
    "normalised to the front's range; ties, and fronts of one or two points, go to the most accurate"
)


def cost_matrix(maps: Sequence[float], latencies_ms: Sequence[float]) -> Costs:
    """Costs of models, shape [models, 2], from accuracies (higher is better) and latencies in ms (lower is better).

    Raises:
        ValueError: The two differ in length.
    """
    if len(maps) != len(latencies_ms):
        raise ValueError(f"{len(maps)} accuracies for {len(latencies_ms)} latencies")
    # 0.0 - x instead of -x: a map of 0 becomes 0.0, not -0.0, in every file that shows it.
    return np.column_stack([0.0 - np.asarray(maps, np.float64), np.asarray(latencies_ms, np.float64)]).reshape(-1, 2)


def non_dominated(costs: Costs) -> Flags:
    """Which rows no other row dominates, shape [models].

    A row dominates another when it is no worse in every column and better in one, so that equal rows are kept together.
    A row with NaN or an infinity is a failed measurement: it is never on the front and dominates nobody.
    """
    finite = _finite(costs)
    no_worse = np.logical_and.reduce(costs[:, None, :] <= costs[None, :, :], axis=2)
    better = np.logical_or.reduce(costs[:, None, :] < costs[None, :, :], axis=2)
    dominated: Flags = np.logical_or.reduce(no_worse & better & finite[:, None], axis=0)
    return finite & ~dominated


def reference_point(costs: Costs) -> tuple[float, float]:
    """The corner that hypervolume is measured to, in cost units (-mAP, ms), by `REFERENCE_RULE`.

    Raises:
        ValueError: No row is finite.
    """
    finite = costs[_finite(costs)]
    if not len(finite):
        raise ValueError("a reference point needs at least one finite row")
    return 0.0 - REFERENCE_MAP, REFERENCE_SLACK * float(finite[:, 1].max())


def hypervolume(costs: Costs, reference: tuple[float, float]) -> float:
    """Area dominated by the rows up to the reference point, in mAP x ms; larger is better, 0.0 for no rows.

    Exact, by `moocore` (Fonseca, Paquete and Lopez-Ibanez 2006, doi:10.1109/CEC.2006.1688440). Rows with NaN or an
    infinity, and rows that do not dominate the reference, add nothing.

    Raises:
        MissingExtraError: `moocore` is not installed.
    """
    inside = costs[_finite(costs) & np.logical_and.reduce(costs < np.asarray(reference), axis=1)]
    if not len(inside):
        return 0.0
    try:
        import moocore  # noqa: PLC0415  (extra `train`; core itself imports without it)
    except ImportError as exc:
        raise MissingExtraError(
            Problem("moocore", "is needed for the hypervolume", fix="pip install 'segsweep[train]'")
        ) from exc
    return float(moocore.hypervolume(inside, ref=list(reference)))


def knee(costs: Costs) -> int | None:
    """Row of the front's knee by `KNEE_RULE`, None without a finite row.

    The distance to the chord follows Das, "On characterizing the 'knee' of the Pareto curve based on Normal-Boundary
    Intersection", Structural Optimization 18 (1999), doi:10.1007/BF01195985.
    """
    rows = np.flatnonzero(non_dominated(costs))
    if not len(rows):
        return None
    front = costs[rows]
    span = np.ptp(front, axis=0)
    if not span.all():  # one point, or copies of it
        return int(rows[0])
    normalised = (front - front.min(axis=0)) / span
    # The extremes lie at (0, 1) and (1, 0): the chord is x + y = 1 and the ideal point the origin.
    bulge = (1.0 - normalised.sum(axis=1)) / np.sqrt(2.0)
    best = np.flatnonzero(np.isclose(bulge, bulge.max(), rtol=0.0, atol=1e-12))
    return int(rows[best[np.argmin(front[best, 0])]])


def _finite(costs: Costs) -> Flags:
    finite: Flags = np.logical_and.reduce(np.isfinite(costs), axis=1)
    return finite

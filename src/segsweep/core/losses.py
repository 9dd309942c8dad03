"""What the searcher learns from: losses that can be compared across sizes and budgets.

A trial's loss is -(rungs passed + rank among its own size at the highest rung reached). Trials that got further are
always better than trials that did not; among equals, the rank within the own size at equal budget decides. A small size
so scouts for a large one: what is good for n in its own ranking is proposed for x too.
"""

from __future__ import annotations

from collections.abc import Iterable

from segsweep.core.rungs import Ranking
from segsweep.core.trials import Status, TrialRecord


def pooled_losses(records: Iterable[TrialRecord], levels: tuple[int, ...]) -> dict[str, float]:
    """Loss of every trial that has reached a rung, by trial id; smaller is better.

    Args:
        records: All trials of the run.
        levels: Milestones with the horizon as the last, ascending.

    Returns:
        Values in [-len(levels), 0]. A trial that failed before its first rung gets 0, the worst; one that has
        reported nothing comparable yet is absent.
    """
    known = list(records)
    groups: dict[tuple[str, int], Ranking] = {}  # values of a size at a level: built once, there may be thousands
    losses: dict[str, float] = {}
    for record in known:
        reached = [level for level in levels if level in record.rungs]
        if not reached:
            if record.status is Status.FAILED:
                losses[record.trial_id] = 0.0
            continue
        highest = reached[-1]
        group = groups.get((record.variant, highest))
        if group is None:
            values = (one.rungs[highest] for one in known if one.variant == record.variant and highest in one.rungs)
            group = groups[record.variant, highest] = Ranking(values)
        losses[record.trial_id] = -(levels.index(highest) + group.rank(record.rungs[highest]))
    return losses

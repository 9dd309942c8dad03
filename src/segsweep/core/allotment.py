"""Which size the next trial gets: trials x sqrt(mean cost) stays even over the sizes.

Large sizes get fewer trials, but not as few as an equal share of the bill would give them; the square root is the
allocation that minimises the summed error of several means under one budget (Neyman 1934, with equal variances).

Cost is counted in epochs x the size's nominal cost, not in measured seconds: a clock would make a resumed sweep propose
other trials than one that was never interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from segsweep.core.trials import TrialRecord
from segsweep.core.variants import Variant, nominal_epoch_cost


def next_variant(records: Iterable[TrialRecord], variants: Sequence[Variant]) -> Variant:
    """The size that is furthest behind its share.

    Args:
        records: All trials so far, running ones included.
        variants: The job's sizes; ties go to the earlier one.
    """
    known = list(records)
    finished = [record for record in known if record.status.is_final and record.epoch > 0]
    mean_epochs = sum(record.epoch for record in finished) / len(finished) if finished else 1.0

    def share(variant: Variant) -> float:
        own = [record.epoch for record in finished if record.variant == variant]
        epochs = sum(own) / len(own) if own else mean_epochs
        started = sum(record.variant == variant for record in known)
        return started * math.sqrt(epochs * nominal_epoch_cost(variant))

    return min(variants, key=share)

"""How many trials and epochs a sweep comes to, before its first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from segsweep.core.ledger import Horizon
from segsweep.core.variants import Variant, nominal_epoch_cost


def mean_epochs(horizon: Horizon) -> float:
    """Epochs of a trial that is no default, on average, if one in reduction_factor goes on at every milestone."""
    levels = horizon.levels
    spans = zip((0, *levels[:-1]), levels, strict=True)
    epochs: float = sum((end - start) / horizon.reduction_factor**i for i, (start, end) in enumerate(spans))
    return epochs


def trials_by_variant(trials: int, variants: Sequence[Variant]) -> dict[Variant, float]:
    """Trials of every size: its default, and of the rest a share by one over the root of its cost, as `allotment`.

    Args:
        trials: In all; fewer than there are sizes give defaults to the first of them.
        variants: The job's sizes.
    """
    rest = max(0, trials - len(variants))
    weights = {variant: 1 / math.sqrt(nominal_epoch_cost(variant)) for variant in variants}
    whole = sum(weights.values())
    return {variant: float(place < trials) + rest * weights[variant] / whole for place, variant in enumerate(variants)}


def epochs_by_variant(
    horizon: Horizon, trials: int, variants: Sequence[Variant], *, is_worst: bool
) -> dict[Variant, float]:
    """Epochs of every size.

    Args:
        horizon: The job's.
        trials: In all.
        variants: The job's sizes.
        is_worst: No trial is stopped, in place of what is to be expected.
    """
    counts = trials_by_variant(trials, variants)
    rest = float(horizon.max_epochs) if is_worst else mean_epochs(horizon)
    return {
        variant: min(count, 1.0) * horizon.max_epochs + max(count - 1.0, 0.0) * rest
        for variant, count in counts.items()
    }

"""Choosing one model among the finalists: by trial, by size, by a latency limit, or the knee."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from segsweep.core.front import cost_matrix, knee
from segsweep.core.variants import Variant
from segsweep.errors import ConfigError, ExportError, Problem

_NEAREST = 3


@dataclass(frozen=True)
class Candidate:
    """A model that can be chosen.

    Attributes:
        trial_id: The trial it comes from.
        variant: Its size.
        mask_map50_95: Accuracy on test; higher is better.
        latency_ms: p50 per image; lower is better.
    """

    trial_id: str
    variant: Variant
    mask_map50_95: float
    latency_ms: float

    def __str__(self) -> str:
        figures = f"mask mAP50-95 {self.mask_map50_95:.3f}, {self.latency_ms:.1f} ms an image"
        return f"{self.trial_id} ({self.variant}): {figures}"


@dataclass(frozen=True)
class Choice:
    """Which model is wanted: at most one of these; none of them means the knee of the front.

    Attributes:
        trial_id: The model of this trial.
        variant: The finalist of this size.
        max_latency_ms: The most accurate model whose p50 is at most this.

    Raises:
        ConfigError: More than one is given, or the latency is no positive number.
    """

    trial_id: str | None = None
    variant: Variant | None = None
    max_latency_ms: float | None = None

    def __post_init__(self) -> None:
        given = [name for name, value in vars(self).items() if value is not None]
        if len(given) > 1:
            raise ConfigError(Problem("export", "choose by one of them only", value=", ".join(given)))
        if self.max_latency_ms is not None and not self.max_latency_ms > 0:
            raise ConfigError(
                Problem("export", "must be a positive number of ms", "--max-latency-ms", str(self.max_latency_ms))
            )


def choose(candidates: Sequence[Candidate], choice: Choice) -> Candidate:
    """Pick the candidate that the choice means.

    A tie in accuracy under a latency limit goes to the faster, then to the earlier candidate.

    Raises:
        ExportError: No candidate fits; the message names the nearest ones with their figures.
    """
    best_first = _by_accuracy(candidates)
    if choice.trial_id is not None:
        fitting = [c for c in candidates if c.trial_id == choice.trial_id]
        problem = Problem(
            "export", "no model of this trial is at hand", "--trial", choice.trial_id, _nearest(best_first)
        )
    elif choice.variant is not None:
        fitting = [c for c in best_first if c.variant == choice.variant]
        rule = "no trial of this size was trained to the end"
        problem = Problem("export", rule, "--variant", choice.variant, _nearest(best_first))
    elif choice.max_latency_ms is not None:
        limit = choice.max_latency_ms
        fitting = [c for c in best_first if c.latency_ms <= limit]
        fastest_first = sorted((c for c in candidates if math.isfinite(c.latency_ms)), key=lambda c: c.latency_ms)
        problem = Problem("export", "no model is that fast", "--max-latency-ms", f"{limit:g}", _nearest(fastest_first))
    else:
        row = knee(cost_matrix([c.mask_map50_95 for c in candidates], [c.latency_ms for c in candidates]))
        fitting = [] if row is None else [candidates[row]]
        problem = Problem("export", "no model has both an accuracy and a latency", "--knee", "", _nearest(candidates))
    if not fitting:
        raise ExportError(problem)
    return fitting[0]


def _by_accuracy(candidates: Sequence[Candidate]) -> list[Candidate]:
    def order(candidate: Candidate) -> tuple[float, float]:
        accuracy = candidate.mask_map50_95
        return (math.inf if math.isnan(accuracy) else -accuracy, candidate.latency_ms)

    return sorted(candidates, key=order)


def _nearest(candidates: Sequence[Candidate]) -> str:
    if not candidates:
        return "there is no candidate; `segsweep status` shows how far the run is"
    return "nearest: " + "; ".join(str(c) for c in candidates[:_NEAREST])

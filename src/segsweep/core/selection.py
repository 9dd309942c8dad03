"""Choosing one model among the finalists: by trial, by size, by a latency limit, or the knee."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from segsweep.core.front import cost_matrix, knee
from segsweep.core.variants import Variant
from segsweep.errors import ExportError, Problem

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
class ByTrial:
    """The model of one trial."""

    trial_id: str


@dataclass(frozen=True)
class ByVariant:
    """The finalist of one size."""

    variant: Variant


@dataclass(frozen=True)
class ByLatency:
    """The most accurate model whose p50 is at most `max_latency_ms`."""

    max_latency_ms: float


@dataclass(frozen=True)
class ByKnee:
    """The knee of the front, see `segsweep.core.front.KNEE_RULE`."""


Choice = ByTrial | ByVariant | ByLatency | ByKnee


def choose(candidates: Sequence[Candidate], choice: Choice) -> Candidate:
    """Pick the candidate that the choice means.

    A tie in accuracy under a latency limit goes to the faster, then to the earlier candidate.

    Raises:
        ExportError: No candidate fits; the message names the nearest ones with their figures.
    """
    match choice:
        case ByTrial(trial_id):
            fitting = [c for c in candidates if c.trial_id == trial_id]
            wanted, rule, near = "--trial", "no model of this trial is at hand", _by_accuracy(candidates)
            value = trial_id
        case ByVariant(variant):
            fitting = _by_accuracy([c for c in candidates if c.variant == variant])
            wanted, rule, near = "--variant", "no trial of this size was trained to the end", _by_accuracy(candidates)
            value = variant
        case ByLatency(limit):
            fitting = _by_accuracy([c for c in candidates if c.latency_ms <= limit])
            wanted, rule = "--max-latency-ms", "no model is that fast"
            near = sorted((c for c in candidates if math.isfinite(c.latency_ms)), key=lambda c: c.latency_ms)
            value = f"{limit:g}"
        case ByKnee():
            row = knee(cost_matrix([c.mask_map50_95 for c in candidates], [c.latency_ms for c in candidates]))
            fitting = [] if row is None else [candidates[row]]
            wanted, rule, near, value = "--knee", "no model has both an accuracy and a latency", list(candidates), ""
    if not fitting:
        raise ExportError(Problem("export", rule, wanted, value, _nearest(near)))
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

"""Who is judged: of every size the best trial that was trained to the end, and the default trial beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from segsweep.core.trials import Status, TrialRecord
from segsweep.core.variants import Variant
from segsweep.errors import Problem, ReportError


@dataclass(frozen=True)
class Contender:
    """The best trial of a size.

    Attributes:
        best: COMPLETED trial with the highest mask_map50_95 on val.
        default: The size's trial with default hyperparameters if it is COMPLETED, else None; may be `best` itself.
    """

    best: TrialRecord
    default: TrialRecord | None


@dataclass(frozen=True)
class MissingVariant:
    """A size of the job that has no finalist, and why."""

    variant: Variant
    reason: str


def find_contenders(
    trials: Sequence[TrialRecord], variants: Sequence[Variant]
) -> tuple[tuple[Contender, ...], tuple[MissingVariant, ...]]:
    """The best completed trial of every size, and the sizes that have none.

    Args:
        trials: All trials of the run; of equal ones the earlier is better.
        variants: Sizes of the job.
    """
    contenders: list[Contender] = []
    missing: list[MissingVariant] = []
    for variant in variants:
        own = [trial for trial in trials if trial.variant == variant]
        judged = [trial for trial in own if is_complete(trial)]
        if not judged:
            missing.append(MissingVariant(variant, _why_none(own)))
            continue
        default = next((trial for trial in judged if trial.is_default), None)
        contenders.append(Contender(max(judged, key=lambda trial: trial.mask_map50_95 or 0.0), default))
    return tuple(contenders), tuple(missing)


def is_complete(trial: TrialRecord) -> bool:
    """Whether the trial was trained to the end and has an accuracy."""
    value = trial.mask_map50_95
    return trial.status is Status.COMPLETED and value is not None and not math.isnan(value)


def require_contenders(run_uri: str, contenders: Sequence[Contender], missing: Sequence[MissingVariant]) -> None:
    """Raise when no size has a finalist.

    Raises:
        ReportError: Says for every size what there is, and how to go on.
    """
    if contenders:
        return
    fix = "run `segsweep sweep` with the same job to go on, `segsweep status` shows how far it is"
    raise ReportError(
        [Problem(run_uri, f"no trial of size {gap.variant} was trained to the end: {gap.reason}") for gap in missing]
        + [Problem(run_uri, "there is nothing to report yet", fix=fix)]
    )


def _why_none(own: Sequence[TrialRecord]) -> str:
    if not own:
        return "none was started"
    counts = {status: sum(trial.status is status for trial in own) for status in Status}
    told = ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)
    if counts[Status.COMPLETED]:
        told += ", without a finite accuracy"
    return told

"""Valid trials and jobs to start from; a test states only what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import settings

from segsweep.config.job import Job, JobFile
from segsweep.config.search_space import parse_search_space
from segsweep.core.trials import Status, TrialRecord

# A property's time is pytest's to limit, for all its examples together.
quick = settings(max_examples=30, deadline=None)

JOB: dict[str, Any] = {
    "name": "example",
    "dataset": "bundles/example",
    "storage": "runs",
    "search_space": "space.yaml",
    "variants": ["n", "s"],
    "budget": {"max_epochs": 9, "trials": 20},
    "scheduler": {"grace_epochs": 1, "reduction_factor": 3},
    "train": {"optimizer": "SGD"},
}
SPACE: dict[str, Any] = {"lr0": {"loguniform": [1e-4, 1e-1]}, "mosaic": {"uniform": [0.0, 1.0]}}


def a_trial(number: int = 1, variant: Any = "n", **changes: Any) -> TrialRecord:
    """A pending trial named after its number."""
    facts: dict[str, Any] = {
        "trial_id": f"t{number:04d}",
        "number": number,
        "variant": variant,
        "params": {"lr0": 0.01},
        "unit": {"lr0": 0.5},
        "is_default": False,
        "directory": f"{variant}-lr0=0.01-t{number:04d}",
    }
    facts |= {"gpu_seconds": changes.get("seconds", 0.0) * changes.get("gpus", 0.0)}
    return TrialRecord(**{**facts, **changes})


def an_ended_trial(number: int, variant: Any, rungs: Mapping[int, float], **changes: Any) -> TrialRecord:
    """A trial that was stopped at the last of its rungs, or before the first."""
    facts = {"status": Status.STOPPED, "epoch": max(rungs, default=0), "rungs": dict(rungs)}
    return a_trial(number, variant, **{**facts, **changes})


def a_job(space: Mapping[str, Any] | None = None, **changes: Any) -> JobFile:
    """A validated job with its search space; `changes` replace whole top-level keys."""
    return JobFile(
        job=Job.model_validate({**JOB, **changes}), space=parse_search_space(SPACE if space is None else space, "space")
    )

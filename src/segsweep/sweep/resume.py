"""Going on with a run: what a job may change in between, and what it may not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from segsweep.config.job import JobFile, from_run
from segsweep.errors import Problem, RunError
from segsweep.storage.run_folder import RunInfo

# More of these only lets the sweep go further; everything else would compare trials that were not treated alike.
_MAY_CHANGE = (
    "budget.trials",
    "budget.gpu_hours",
    "budget.usd",
    "budget.usd_per_gpu_hour",
    "resources",
    "concurrency",
    "checkpoint_minutes",
    "max_failures",
    "hang_minutes",
)
# Places may be spelled another way; their content is compared by digest and by value.
_PLACES = ("dataset", "storage", "search_space", "augment")


def reconcile(info: RunInfo, job: JobFile, dataset_digest: str, where: str) -> list[str]:
    """Compare a job with the run it wants to go on with.

    Args:
        info: The run as it was started.
        job: The job now.
        dataset_digest: Digest of the bundle that the job names now.
        where: The job's file, for messages.

    Returns:
        What has changed and may, one line each.

    Raises:
        RunError: Something has changed that may not; every difference is shown.
    """
    # Through the model, so that a field that a newer version has added gets its default on both sides.
    started = from_run(info.job, info.search_space, info.augmentation)
    before = {**_facts(started), "dataset digest": info.dataset_digest}
    now = {**_facts(job), "dataset digest": dataset_digest}
    changed = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    allowed = {name for name in changed if _may_change(name)}
    refused = [
        Problem(
            where,
            f"the run {info.name!r} was started with {before.get(name)!r}",
            name,
            repr(now.get(name)),
            "give the job another name, or set it back",
        )
        for name in sorted(changed - allowed)
    ]
    if refused:
        raise RunError(refused)
    return [f"{name}: {before.get(name)!r} -> {now.get(name)!r}" for name in sorted(allowed)]


def _facts(job: JobFile) -> dict[str, Any]:
    facts = {**dict(_flat(job.job.model_dump(mode="json"))), **dict(_flat({"search_space": job.space.to_flat()}))}
    if job.augmentation is not None:
        # One fact, for its order matters; the offline part is the bundle's.
        facts["augmentation.online"] = job.augmentation.to_flat()["online"]
    return facts


def _may_change(name: str) -> bool:
    """Whether a dotted name may change; `search_space` alone names a file, what is below it is the space."""
    return name in _PLACES or any(name == kind or name.startswith(f"{kind}.") for kind in _MAY_CHANGE)


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", list(value) if isinstance(value, tuple) else value

"""A session of Ray: on this machine, or on the cluster whose address is set."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from segsweep.config.job import Job
from segsweep.dataset.environment import prepare_ultralytics
from segsweep.sweep.check import cluster_address


@contextmanager
def ray_session(job: Job, cache_dir: Path) -> Iterator[int]:
    """A Ray session on the cluster whose address is set, else on this machine.

    Args:
        job: The job.
        cache_dir: Every node's cache.

    Yields:
        How many trials run at once.
    """
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
        RAY_AIR_NEW_OUTPUT="0",  # the other output prints a banner whatever its verbosity
        TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",  # our own metrics.csv is written by the worker
        TUNE_DISABLE_STRICT_METRIC_CHECKING="1",  # a failed trial reports an error in place of metrics
        TUNE_DISABLE_SIGINT_HANDLER="1",  # Ctrl-C reaches us at once
        TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S="0",
    )
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what fails is told by us, once
    address = cluster_address()
    local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 256 * 2**20} if address is None else {}
    ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **local)
    before = (
        signal.signal(signal.SIGTERM, _interrupt) if threading.current_thread() is threading.main_thread() else None
    )
    try:
        concurrency = job.concurrency or capacity(job, ray.cluster_resources())
        if address is None and not any(job.resources_of(variant).gpus for variant in job.variants):
            _warm_up(min(concurrency, job.budget.trials), cache_dir)
        yield concurrency
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
        ray.shutdown()


def _warm_up(workers: int, cache_dir: Path) -> None:
    """Let workers import what trials need while the driver imports Ray Tune: seconds, on both sides.

    Ray gives its idle workers to the trials. Not where there are GPUs: an import that asks CUDA for its devices would
    fix them before Ray has said which are the trial's.
    """

    @ray.remote  # type: ignore[untyped-decorator]
    def import_training() -> None:
        prepare_ultralytics(cache_dir)
        importlib.import_module("segsweep.training.trial")

    for _ in range(workers):
        import_training.remote()


def _interrupt(signum: int, frame: object) -> None:
    """A spot notice or a polite kill ends the sweep like Ctrl-C."""
    raise KeyboardInterrupt


def capacity(job: Job, there: Mapping[str, float]) -> int:
    """Trials of the cheapest size that fit on what is there, at least one."""
    fits = []
    for variant in job.variants:
        wanted = job.resources_of(variant)
        by_gpu = there.get("GPU", 0.0) / wanted.gpus if wanted.gpus else float("inf")
        fits.append(int(min(there.get("CPU", 0.0) / wanted.cpus, by_gpu)))
    return max(1, *fits)

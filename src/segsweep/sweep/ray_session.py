"""A session of Ray: on this machine, or on the cluster whose address is set."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import ray

from segsweep.config.job import Job
from segsweep.core.packing import pack
from segsweep.storage.retrying import PATIENCE_VARIABLE
from segsweep.sweep.ray_start import cluster_address, join_cluster, start_here
from segsweep.sweep.ray_watch import ray_kept_quiet, rays_processes, watching

logger = logging.getLogger(__name__)

_ENDED = signal.SIGUSR2  # SIGTERM is Ray's while it starts, SIGUSR1 is Ray Tune's, and a shell may have SIGINT ignored

# Where S3 is, and how long it is waited for. Ray Tune itself hands the keys on; no more of them in Ray's logs, where
# every environment is written down.
_S3_PLACE = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", PATIENCE_VARIABLE)


@contextmanager
def ray_session(job: Job) -> Iterator[int]:
    """A Ray session on the cluster whose address is set, else on this machine.

    Args:
        job: The job.

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
    address = cluster_address()
    is_main = threading.current_thread() is threading.main_thread()  # only there may signals be handled
    with ray_kept_quiet(), _interrupted_by(_ENDED) if is_main else nullcontext():
        try:
            with watching(rays_processes, _end) if is_main else nullcontext():
                if address is not None:
                    join_cluster(address, runtime_env={"env_vars": s3_place(os.environ)})
                else:
                    start_here(include_dashboard=False, object_store_memory=256 * 2**20)
                with _interrupted_by(signal.SIGTERM) if is_main else nullcontext():  # now: Ray has set its own
                    yield job.concurrency or capacity(job, [node["Resources"] for node in ray.nodes() if node["Alive"]])
        finally:
            ray.shutdown()


@contextmanager
def _interrupted_by(number: signal.Signals) -> Iterator[None]:
    """A spot notice, a polite kill, or our own signal ends what the main thread does like Ctrl-C."""
    before = signal.signal(number, _interrupt)
    try:
        yield
    finally:
        signal.signal(number, before)


def _end(name: str) -> None:
    """End the session like Ctrl-C because a process of Ray is gone; told first, for Ray may not let it end in order."""
    logger.error("Ray's %s has died (killed, or out of memory); nothing is lost, the same command goes on", name)
    signal.pthread_kill(threading.main_thread().ident or 0, _ENDED)  # even where it waits in a system call


def s3_place(environment: Mapping[str, str]) -> dict[str, str]:
    """What of the driver's environment workers on other machines need to use the same S3 in the same way."""
    return {name: environment[name] for name in _S3_PLACE if name in environment}


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def capacity(job: Job, machines: Sequence[Mapping[str, float]]) -> int:
    """Trials of the cheapest size that fit on the machines at once, at least one.

    Args:
        job: The job.
        machines: What each has by Ray's names, "CPU" and "GPU".
    """
    wanted = [job.resources_of(variant) for variant in job.variants]
    there = [(int(machine.get("GPU", 0)), int(machine.get("CPU", 0))) for machine in machines]
    return max(1, *(sum(pack(*machine, one.gpus, one.cpus).trials for machine in there) for one in wanted))

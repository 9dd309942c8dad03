"""The sweep: one driver, from the job to the last trial, interrupted and resumed as often as it takes."""

from __future__ import annotations

import json
import logging
import os
import platform
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import TuneError
from rich.console import Console

import segsweep
from segsweep.config.job import Job, JobFile
from segsweep.core.ledger import Ledger
from segsweep.core.trials import Status, TrialRecord
from segsweep.dataset.manifest import read_manifest
from segsweep.dataset.naming import resolve_bundle
from segsweep.errors import InterruptedSweepError, RunError, RunLockedError, SegsweepError, StorageError
from segsweep.search.proposer import make_proposer
from segsweep.search.scheduler import LedgerScheduler, ray_asha_rule
from segsweep.search.searcher import Allowance, LedgerSearcher, ours
from segsweep.storage import layout
from segsweep.storage.lock import RunLock
from segsweep.storage.opening import open_store
from segsweep.storage.run_folder import RunFolder, RunInfo
from segsweep.sweep.check import cluster_address, require_fit
from segsweep.sweep.progress import Progress
from segsweep.sweep.resume import reconcile
from segsweep.training.task import SweepContext
from segsweep.training.trainable import trainable
from segsweep.training.weights import gather_weights

logger = logging.getLogger(__name__)

_RETRIES = 2  # of a trial whose worker died
_PACKAGES = ("ray", "hyperopt", "ultralytics", "ultralytics-opencv-headless", "torch", "albumentations", "numpy")


@dataclass(frozen=True)
class Outcome:
    """How a sweep ended.

    Attributes:
        run_uri: The run's folder.
        records: All trials.
        gpu_time_is_spent: Whether the GPU-hour budget ended it before its last trial.
    """

    run_uri: str
    records: tuple[TrialRecord, ...]
    gpu_time_is_spent: bool


def sweep(job: JobFile, where: str, cache_dir: Path, console: Console) -> Outcome:
    """Start the sweep, or go on with it where its run exists.

    Args:
        job: The job and its search space.
        where: The job's file, for messages.
        cache_dir: Every node's cache, at the same path.
        console: Where progress is shown.

    Raises:
        ConfigError, DatasetError, StorageError: The job cannot be started.
        RunError: Another driver owns the run, the job has changed in a way that a run cannot follow, or every trial
            has failed.
        InterruptedSweepError: Ctrl-C or SIGTERM; the same command goes on.
    """
    bundle_uri = resolve_bundle(job.job.dataset)
    manifest = read_manifest(bundle_uri)
    require_fit(job.job, manifest, where)
    digest = manifest.digest
    store = open_store(job.job.storage, job.job.name)
    folder = RunFolder(store)
    lost = threading.Event()

    def write(record: TrialRecord) -> None:
        # The one place that writes records: a driver that has lost the run must not touch the new owner's.
        if lost.is_set():
            raise RunLockedError(f"{store.uri}: another driver has taken the run over; this one has stopped")
        folder.write_trial(record)

    with RunLock(store, on_lost=lost.set):
        if store.exists(layout.RUN):
            for line in reconcile(folder.read_info(), job, digest, where):
                logger.info("changed since the run was started: %s", line)
        weights = gather_weights(job.job, store, where)
        folder.write_info(_info(job, bundle_uri, digest, folder))  # last: with it, there is a run to go on with
        context = SweepContext(store.uri, bundle_uri, cache_dir, job.job, weights)
        ledger = Ledger(job.job.horizon, folder.read_trials(), on_change=write)
        allowance = _allowance(job.job)
        if _has_work(ledger, allowance):
            with _session(folder):
                _run(job, context, ledger, lost, console)
        if all(record.status is Status.FAILED for record in ledger.records):
            raise RunError(f"{store.uri}: every trial failed, the first with: {ledger.records[0].error}")
        return Outcome(store.uri, ledger.records, allowance.gpu_time_is_spent(ledger))


def _run(job: JobFile, context: SweepContext, ledger: Ledger, lost: threading.Event, console: Console) -> None:
    """Let Ray Tune run until the budget is spent; trials that are cut off wait for the next session."""
    allowance = _allowance(job.job)
    searcher = LedgerSearcher(job, ledger, make_proposer(job), allowance)
    rule = ray_asha_rule(ledger) if job.job.search.policy == "plain" else None
    scheduler = LedgerScheduler(ledger, rule, lambda: lost.is_set() or allowance.gpu_time_is_spent(ledger))
    with (
        _ray(job.job) as concurrency,
        tempfile.TemporaryDirectory(prefix="segsweep-ray-") as scratch,
        Progress(ledger, allowance, console) as progress,
    ):
        tuner = tune.Tuner(
            trainable(context, lambda config: _placement(job.job, config)),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=-1,
                max_concurrent_trials=concurrency,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: ours(trial.config).trial_id,
            ),
            run_config=tune.RunConfig(
                name=job.job.name,
                storage_path=scratch,  # Ray's own state is of no use to us: the trial records are the memory
                failure_config=tune.FailureConfig(max_failures=_RETRIES),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the worker keeps its own
                callbacks=[_Narrator(ledger, progress, context.run_uri)],
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        except KeyboardInterrupt as exc:
            raise InterruptedSweepError(
                f"{context.run_uri}: stopped; nothing is lost, the same command goes on from the last epochs"
            ) from exc
        except TuneError as exc:
            # Ray wraps what our scheduler raises; the user is told what happened, not where.
            cause = _innermost_of_ours(exc)
            if cause is None:
                raise
            raise cause from exc
        finally:
            _put_to_rest(ledger, lost)


def _innermost_of_ours(error: BaseException | None) -> SegsweepError | None:
    """The first of our errors in a chain of causes."""
    while error is not None and not isinstance(error, SegsweepError):
        error = error.__cause__ or error.__context__
    return error


def _put_to_rest(ledger: Ledger, lost: threading.Event) -> None:
    """Trials that were cut off are PENDING; a courtesy to readers, resuming does not need it."""
    with suppress(StorageError, RunLockedError):
        for record in ledger.records:
            if record.status is Status.RUNNING and not lost.is_set():
                ledger.set_status(record.trial_id, Status.PENDING)


class _Narrator(tune.Callback):  # type: ignore[misc]
    """Tells the ledger what only Ray knows, and the user what has changed."""

    def __init__(self, ledger: Ledger, progress: Progress, run_uri: str) -> None:
        self._ledger = ledger
        self._progress = progress
        self._run_uri = run_uri

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray pickles this for `Tuner.restore`, which is never used; the trial records are the memory."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        trial_id = ours(trial.config).trial_id
        if not self._ledger[trial_id].status.is_final:
            self._progress.changed(self._ledger.set_status(trial_id, Status.RUNNING))

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        self._tell(ours(trial.config).trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._tell(ours(trial.config).trial_id)

    def _tell(self, trial_id: str) -> None:
        record = self._ledger[trial_id]
        self._progress.changed(record)
        if record.status is Status.FAILED:
            log = f"{self._run_uri}/{layout.trial_key(record.directory, layout.TRIAL_LOG)}"
            logger.error(
                "trial %s (%s, %s) failed after epoch %d: %s; its log is %s",
                trial_id, record.variant, dict(record.params), record.epoch, record.error, log,
            )  # fmt: skip


def _has_work(ledger: Ledger, allowance: Allowance) -> bool:
    unfinished = any(not record.status.is_final for record in ledger.records)
    return not allowance.gpu_time_is_spent(ledger) and (unfinished or not allowance.is_spent(ledger))


def _allowance(job: Job) -> Allowance:
    hours = job.budget.gpu_hours
    return Allowance(job.budget.trials, None if hours is None else hours * 3600)


def _placement(job: Job, config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    wanted = job.resources_of(ours(config).variant)
    return tune.PlacementGroupFactory([{"CPU": wanted.cpus, **({"GPU": wanted.gpus} if wanted.gpus else {})}])


@contextmanager
def _ray(job: Job) -> Iterator[int]:
    """A Ray session on the cluster whose address is set, else on this machine; yields how many trials run at once."""
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
        yield job.concurrency or capacity(job, ray.cluster_resources())
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
        ray.shutdown()


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


def _info(job: JobFile, bundle_uri: str, digest: str, folder: RunFolder) -> RunInfo:
    """The run as it is now; when and with what it was first started is kept."""
    started = _now()
    environment: Mapping[str, Any] = {"host": platform.node(), "cpus": os.cpu_count(), "platform": platform.platform()}
    versions = _versions()
    if folder.store.exists(layout.RUN):
        first = folder.read_info()
        started, environment, versions = first.created, first.environment, first.versions
    return RunInfo(
        name=job.job.name,
        job=job.job.model_dump(mode="json"),
        search_space=job.space.to_flat(),
        dataset=bundle_uri,
        dataset_digest=digest,
        created=started,
        versions=versions,
        environment=environment,
    )


@contextmanager
def _session(folder: RunFolder) -> Iterator[None]:
    """A record of this driver's session in the run's folder."""
    started = _now()
    key = layout.session_key(started.replace("-", "").replace(":", ""))
    record = {"started": started, "host": platform.node(), "pid": os.getpid(), "ended": None, "reason": None}
    folder.store.write(key, json.dumps(record).encode())
    reason = "failed"
    try:
        yield
        reason = "done"
    except InterruptedSweepError:
        reason = "interrupted"
        raise
    finally:
        folder.store.write(key, json.dumps({**record, "ended": _now(), "reason": reason}).encode())


def _versions() -> Mapping[str, str]:
    """What decides the numbers, as installed here."""
    found = {"segsweep": segsweep.__version__}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

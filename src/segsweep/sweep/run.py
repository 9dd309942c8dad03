"""The sweep: one driver, from the job to the last trial, interrupted and resumed as often as it takes."""

from __future__ import annotations

import json
import logging
import os
import platform
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from segsweep.config.job import Job, JobFile
from segsweep.core.allowance import Allowance
from segsweep.core.failures import failed_alike
from segsweep.core.ledger import Ledger
from segsweep.core.trials import Status, TrialRecord
from segsweep.dataset.bundles.manifest import read_manifest
from segsweep.dataset.bundles.naming import resolve_bundle
from segsweep.errors import DamagedRunError, InterruptedSweepError, Problem, RunError, StorageError
from segsweep.process import import_once
from segsweep.storage import layout
from segsweep.storage.lock import RunLock
from segsweep.storage.opening import open_store
from segsweep.storage.run_folder import RunFolder, RunInfo
from segsweep.sweep.check import require_fit
from segsweep.sweep.ray_session import ray_session
from segsweep.sweep.resume import reconcile
from segsweep.sweep.versions import installed_versions
from segsweep.training.task import SweepContext
from segsweep.training.weights import gather_weights

logger = logging.getLogger(__name__)


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
        DamagedRunError: Files of the run are missing or unreadable.
        InterruptedSweepError: Ctrl-C or SIGTERM; the same command goes on.
    """
    bundle_uri = resolve_bundle(job.job.dataset)
    manifest = read_manifest(bundle_uri)
    require_fit(job, manifest, where)
    digest = manifest.digest
    store = open_store(job.job.storage, job.job.name)
    folder = RunFolder(store)
    lost = threading.Event()
    lock = RunLock(store, on_lost=lost.set)

    def write(record: TrialRecord) -> None:
        lock.write(lambda plain: RunFolder(plain).write_trial(record))

    with lock:
        changed = _changes(folder, job, digest, where)
        weights = gather_weights(job.job, store, where)
        info = _info(job, bundle_uri, digest, folder)
        lock.write(lambda plain: RunFolder(plain).write_info(info))  # last: with it, there is a run to go on with
        context = SweepContext(store.uri, bundle_uri, cache_dir, job.job, weights, job.augmentation, info.created)
        ledger = Ledger(job.job.horizon, folder.read_trials(), on_change=write)
        allowance = _allowance(job.job)
        _forgive(ledger, job.job.max_failures, allowance)
        if _has_work(ledger, allowance):
            with _session(folder, changed) as noted:
                _run(job, context, ledger, lost, console, noted)
        if all(record.status is Status.FAILED for record in ledger.records):
            raise RunError(f"{store.uri}: every trial failed, the first with: {ledger.records[0].error}")
        return Outcome(store.uri, ledger.records, allowance.gpu_time_is_spent(ledger))


def _changes(folder: RunFolder, job: JobFile, digest: str, where: str) -> list[str]:
    """What the job changes in the run that it goes on with; nothing where it starts one."""
    store = folder.store
    if store.exists(layout.RUN):
        changed = reconcile(folder.read_info(), job, digest, where)
        for line in changed:
            logger.info("changed since the run was started: %s", line)
        return changed
    if any(True for _ in store.list(layout.TRIALS)):
        # Without it nobody can tell whether these trials are of the same job.
        fix = "restore it from a backup, or give the job another name"
        raise DamagedRunError(Problem(f"{store.uri}/{layout.RUN}", "is missing where trials are", fix=fix))
    return []


def _run(
    job: JobFile,
    context: SweepContext,
    ledger: Ledger,
    lost: threading.Event,
    console: Console,
    noted: dict[str, Any],
) -> None:
    """Run trials; Ray starts while this process imports Ray Tune and HyperOpt."""
    with ThreadPoolExecutor(1) as importing:
        imported = importing.submit(import_once, "segsweep.sweep.tuning")
        with ray_session(job.job) as concurrency:
            module: Any = imported.result()
            session = module.Session(job, context, ledger, _allowance(job.job), concurrency, lost, noted)
            module.run_trials(session, console)


def _forgive(ledger: Ledger, most: int, allowance: Allowance) -> None:
    """Trials whose failing alike has ended an earlier session are tried again: their cause may be mended."""
    row = failed_alike(ledger.records)
    if len(row) >= most and not allowance.gpu_time_is_spent(ledger):  # without time, why they failed is kept
        for record in row:
            ledger.set_status(record.trial_id, Status.PENDING)


def _has_work(ledger: Ledger, allowance: Allowance) -> bool:
    unfinished = any(not record.status.is_final for record in ledger.records)
    return not allowance.gpu_time_is_spent(ledger) and (unfinished or not allowance.is_spent(ledger))


def _allowance(job: Job) -> Allowance:
    hours = job.budget.most_gpu_hours
    return Allowance(job.budget.trials, None if hours is None else hours * 3600)


def _info(job: JobFile, bundle_uri: str, digest: str, folder: RunFolder) -> RunInfo:
    """The run as it is now; when and with what it was first started is kept."""
    started = _now()
    environment: Mapping[str, Any] = {"host": platform.node(), "cpus": os.cpu_count(), "platform": platform.platform()}
    versions = installed_versions()
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
        augmentation=job.augmentation.to_flat() if job.augmentation else None,
    )


@contextmanager
def _session(folder: RunFolder, changed: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A record of this driver's session in the run's folder, with what its job has changed; given: what to add."""
    started = _now()
    key = layout.session_key(started.replace("-", "").replace(":", ""))
    record = {
        "started": started,
        "host": platform.node(),
        "pid": os.getpid(),
        "changed": list(changed),
        "ended": None,
        "reason": None,
    }
    folder.store.write(key, json.dumps(record).encode())
    reason = "failed"
    noted: dict[str, Any] = {}
    try:
        yield noted
        reason = "done"
    except InterruptedSweepError:
        reason = "interrupted"
        raise
    finally:
        try:
            folder.store.write(key, json.dumps({**record, **noted, "ended": _now(), "reason": reason}).encode())
        except StorageError as exc:  # it must not hide why the session ended
            logger.warning("the session's end could not be recorded: %s", exc)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

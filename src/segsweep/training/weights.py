"""Initial weights: found once by the driver, kept in the run's folder, fetched once by every node."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from segsweep.config.job import Job
from segsweep.core.variants import Variant, weights_name
from segsweep.errors import ConfigError, NotFoundError, Problem
from segsweep.storage import layout
from segsweep.storage.files import disk_errors
from segsweep.storage.opening import open_store
from segsweep.storage.store import Store

logger = logging.getLogger(__name__)

COCO, SCRATCH = "coco", "scratch"


def missing_weights(job: Job, where: str) -> list[Problem]:
    """What the job's `weights` lack, told with what is found there; empty where nothing is missing.

    Raises:
        StorageError: The place cannot be read.
    """
    if job.weights in (COCO, SCRATCH) or job.missing_weights == SCRATCH:
        return []
    found = _found(job.weights)
    missing = [weights_name(variant) for variant in job.variants if weights_name(variant) not in found]
    if not missing:
        return []
    there = ", ".join(sorted(found)) or "no .pt file"
    fix = "put the files there, leave the sizes out of variants, or set missing_weights: scratch"
    return [Problem(where, f"lacks {', '.join(missing)}; there is {there}", "weights", job.weights, fix)]


def gather_weights(job: Job, run: Store, where: str) -> dict[str, str | None]:
    """Copy the weights of every size into the run's folder, so that a run stands on its own.

    Args:
        job: The job.
        run: The run's place. Once it holds `run.json`, its own copies are what counts: neither the place they came
            from nor a change there matters any more.
        where: The job's file, for messages.

    Returns:
        Size -> key in the run's folder; None for random weights.

    Raises:
        ConfigError: A size has no weights and the job does not say `missing_weights: scratch`.
        StorageError: The weights cannot be read or written.
    """
    if run.exists(layout.RUN):
        there = {key.rsplit("/", 1)[-1]: key for key in (info.key for info in run.list(layout.WEIGHTS))}
        return {variant: there.get(weights_name(variant)) for variant in job.variants}
    problems = missing_weights(job, where)
    if problems:
        raise ConfigError(problems)
    for info in run.list(layout.WEIGHTS):
        run.delete(info.key)  # of an attempt that did not become a run
    if job.weights == SCRATCH:
        return dict.fromkeys(job.variants)
    keys: dict[str, str | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        for variant in job.variants:
            keys[variant] = None
            path = _obtain(job, variant, Path(folder), where)
            if path is None:
                name = weights_name(variant)
                logger.warning("no %s in %s: %s starts from random weights", name, job.weights, variant)
                continue
            key = layout.weights_key(variant, hashlib.sha256(path.read_bytes()).hexdigest())
            run.upload(path, key)
            keys[variant] = key
    return keys


def node_weights(run: Store, key: str, cache_dir: Path) -> Path:
    """The node's copy of a weights file of a run, fetched once under a lock; the key holds the content's digest."""
    path = cache_dir / key
    with disk_errors(str(path.parent)):
        path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            run.download(key, path)
    return path


def _obtain(job: Job, variant: Variant, folder: Path, where: str) -> Path | None:
    path = folder / weights_name(variant)
    if job.weights == COCO:
        return _download_coco(path, where)
    try:
        open_store(job.weights).download(path.name, path)
    except NotFoundError:
        return None
    return path


def _download_coco(path: Path, where: str) -> Path:
    # A process of its own: this one has Ultralytics switched to offline for good.
    code = "import sys; from ultralytics.utils.downloads import attempt_download_asset as get; get(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, capture_output=True, text=True)
    if done.returncode or not path.exists():
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        fix = f"put {path.name} into a folder and name it: --set weights=FOLDER"
        raise ConfigError(Problem(where, f"{path.name} could not be downloaded: {reason}", "weights", COCO, fix))
    return path


def _found(uri: str) -> set[str]:
    names: Iterable[str] = (info.key for info in open_store(uri).list())
    return {name for name in names if name.endswith(".pt") and "/" not in name}

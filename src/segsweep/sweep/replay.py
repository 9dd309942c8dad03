"""One trial alone, from its record, in this process and without Ray: does it do again what it did?"""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segsweep.config.job import from_run
from segsweep.core.metrics import EPOCH_COLUMNS
from segsweep.core.trials import Status, TrialRecord
from segsweep.dataset.environment import prepare_ultralytics
from segsweep.errors import DatasetError, Problem, RunError, StorageError
from segsweep.process import import_once, keep_freed_memory
from segsweep.storage import layout
from segsweep.storage.files import disk_errors, node_error
from segsweep.storage.local import LocalStore
from segsweep.storage.opening import open_store
from segsweep.storage.run_folder import RunFolder, RunInfo
from segsweep.storage.store import Store
from segsweep.sweep.versions import installed_versions
from segsweep.training.task import SweepContext, TrialTask
from segsweep.training.weights import gather_weights

logger = logging.getLogger(__name__)

# On the CPU a repeated epoch has the same bits. On one H100 it had, too (docs/gpu.md), but a replay may meet another
# GPU or driver, whose kernels round differently: losses agree to a few percent at first, and metrics of a small
# validation split jump by more than that.
_GPU_RELATIVE, _GPU_ABSOLUTE = 0.05, 0.02
_NOT_COMPARED = ("epoch", "seconds")

Row = Mapping[str, float]


@dataclass(frozen=True)
class Difference:
    """A value that did not come again.

    Attributes:
        epoch: Its epoch.
        column: Its name in metrics.csv.
        recorded: What it was.
        found: What it is now.
    """

    epoch: int
    column: str
    recorded: float
    found: float


@dataclass(frozen=True)
class Replay:
    """What a replay saw.

    Attributes:
        trial_id: The trial.
        epochs: Epochs trained now.
        epochs_compared: Those of them that were recorded.
        tolerance: How much values may differ, in words.
        difference: The first value that differs by more; None if there is none.
        recorded_error: Why the trial failed, empty otherwise.
        error: Why it failed now, empty otherwise.
        versions: Package -> versions then and now, of those that are others.
        log: The replay's own log.
    """

    trial_id: str
    epochs: int
    epochs_compared: int
    tolerance: str
    difference: Difference | None
    recorded_error: str
    error: str
    versions: Mapping[str, tuple[str, str]]
    log: str

    @property
    def is_reproduced(self) -> bool:
        """Whether the trial did again what is recorded: the same metrics, and failing where it failed."""
        return self.difference is None and bool(self.error) == bool(self.recorded_error)

    def to_json(self) -> dict[str, Any]:
        """The schema of `segsweep replay --json`."""
        return {**vars(self), "difference": vars(self.difference) if self.difference else None} | {
            "versions": {name: list(both) for name, both in self.versions.items()},
            "reproduced": self.is_reproduced,
        }

    def to_text(self) -> str:
        """For a person: whether it reproduces, and where it first does not."""
        lines = []
        if self.difference:
            one = self.difference
            lines.append(
                f"{self.trial_id} does not reproduce: {one.column} of epoch {one.epoch} was {one.recorded:.9g} and is "
                f"{one.found:.9g} ({self.tolerance})"
            )
        elif self.epochs_compared:
            lines.append(f"{self.trial_id} reproduces {self.epochs_compared} recorded epochs ({self.tolerance})")
        if self.recorded_error and self.error:
            lines.append(f"it fails again after epoch {self.epochs}: {self.error}")
        elif self.recorded_error:
            lines.append(f"it failed with {self.recorded_error}, and does not fail now")
        elif self.error:
            lines.append(f"it fails now, after epoch {self.epochs}: {self.error}")
        for name, (then, now) in self.versions.items():
            lines.append(f"{name} was {then} and is {now}: this may be the reason")
        return "\n".join([*lines, f"log: {self.log}"])


class _EnoughError(BaseException):
    """Raised inside training when all that was asked for is trained."""


def replay(
    run: str, trial_id: str, cache_dir: Path, most_epochs: int | None, show: Callable[[Row, Row | None], None]
) -> Replay:
    """Train one trial again and compare it with its record; the run's folder is only read.

    A trial that was stopped is trained to where it was stopped, one that failed an epoch further than it came.

    Args:
        run: The run's folder or URI.
        trial_id: The trial.
        cache_dir: This node's cache; the replay's own files lie in its `replays`.
        most_epochs: Epochs to train at most; None for all.
        show: Called after every epoch with its row, and the recorded one if there is one.

    Raises:
        RunError: There is no such run or trial, or nothing of it can be replayed.
        DatasetError, StorageError: The dataset or the run cannot be read.
    """
    store = open_store(run)
    folder = RunFolder(store)
    info = folder.read_info()
    record = _find(folder, trial_id)
    recorded = folder.read_metrics(record)
    wanted = len(recorded) + (record.status is Status.FAILED)
    wanted = min(wanted, wanted if most_epochs is None else most_epochs)
    if not wanted:
        raise RunError(Problem(store.uri, "has no epoch to compare with", trial_id, record.status.value))
    place = cache_dir / layout.NODE_REPLAYS / f"{info.name}-{trial_id}"
    task = _task(info, record, store, place, cache_dir)
    is_exact = not task.uses_gpu
    rows: list[Row] = []
    differences: list[Difference] = []

    def report(row: Row) -> None:
        known = recorded[len(rows)] if len(rows) < len(recorded) else None
        rows.append(row)
        show(row, known)
        if known is not None:
            differences.extend(_differences(row, known, is_exact))
        if differences or len(rows) >= wanted:
            raise _EnoughError

    log = place / layout.trial_key(record.directory, layout.TRIAL_LOG)
    error = _train(task, report, cache_dir)
    return Replay(
        trial_id=trial_id,
        epochs=len(rows),
        epochs_compared=min(len(rows), len(recorded)),
        tolerance="all digits" if is_exact else f"within {_GPU_ABSOLUTE:g} and {_GPU_RELATIVE:.0%}, as it is on a GPU",
        difference=differences[0] if differences else None,
        recorded_error=record.error if wanted > len(recorded) else "",
        error=error,
        versions=_other_versions(info),
        log=str(log),
    )


def _find(folder: RunFolder, trial_id: str) -> TrialRecord:
    records = folder.read_trials()
    for record in records:
        if record.trial_id == trial_id:
            return record
    known = ", ".join(record.trial_id for record in records) or "none"
    raise RunError(Problem(folder.store.uri, f"has no such trial; there are: {known}", "--trial", trial_id))


def _task(info: RunInfo, record: TrialRecord, run: Store, place: Path, cache_dir: Path) -> TrialTask:
    """The trial as its worker got it, but for where it writes."""
    job = from_run(info.job, info.search_space, info.augmentation)
    key = gather_weights(job.job, run, run.uri)[record.variant]
    with disk_errors(str(place)):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    if key is not None:
        with tempfile.TemporaryDirectory(dir=place.parent) as work:
            run.download(key, Path(work, "weights.pt"))
            LocalStore(place).upload(Path(work, "weights.pt"), key)
    weights: dict[str, str | None] = {record.variant: key}
    context = SweepContext(str(place), info.dataset, cache_dir, job.job, weights, job.augmentation)
    return TrialTask(context, replace(record, status=Status.PENDING))


def _train(task: TrialTask, report: Callable[[Row], None], cache_dir: Path) -> str:
    """Train as a worker does; why it failed, or nothing."""
    prepare_ultralytics(cache_dir)
    keep_freed_memory()
    module: Any = import_once("segsweep.training.trial")  # Ultralytics, which must find the prepared environment
    try:
        module.train_trial(task, report)
    except _EnoughError:
        pass
    except (DatasetError, StorageError):
        raise
    except OSError as exc:
        raise node_error(exc, cache_dir) from exc
    except Exception as exc:  # noqa: BLE001 - the trial boundary: what a worker would tell the driver
        return f"{type(exc).__name__}: {exc}"
    return ""


def _differences(row: Row, recorded: Row, is_exact: bool) -> list[Difference]:
    found = []
    for column in (name for name in EPOCH_COLUMNS if name not in _NOT_COMPARED):
        before, now = recorded.get(column, float("nan")), row.get(column, float("nan"))
        if is_exact:
            same = f"{before:.9g}" == f"{now:.9g}"  # as metrics.csv holds them
        else:
            same = math.isclose(before, now, rel_tol=_GPU_RELATIVE, abs_tol=_GPU_ABSOLUTE)
            same |= math.isnan(before) and math.isnan(now)
        if not same:
            found.append(Difference(int(row["epoch"]), column, before, now))
    return found


def _other_versions(info: RunInfo) -> dict[str, tuple[str, str]]:
    now = installed_versions()
    return {name: (then, now[name]) for name, then in info.versions.items() if name in now and now[name] != then}

"""One trial from start to end, or from its last checkpoint to its end; restarting it is always safe.

Everything that must survive is kept in an order that a kill cannot break: best weights, checkpoint, metrics, log; see
`segsweep.training.keeping`. It is kept while the next epoch trains; an epoch after which the trial may end is reported
only when all of it is in the run's storage. A kill may thus find an epoch reported that no checkpoint knows: it is
trained again, and whoever listens has heard it.
"""

from __future__ import annotations

import csv
import io
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ultralytics.utils import LOGGER, RANK, WORLD_SIZE

from segsweep.core.metrics import EPOCH_COLUMNS
from segsweep.core.variants import architecture_name
from segsweep.dataset.augmentation.online import as_dicts
from segsweep.dataset.bundles.staging import NodeCopy, stage
from segsweep.dataset.loader import prebuild_label_cache
from segsweep.errors import NotFoundError, TrialError
from segsweep.process import release_memory
from segsweep.storage import layout
from segsweep.storage.files import disk_errors
from segsweep.storage.opening import open_store
from segsweep.storage.store import Store
from segsweep.training.checkpoint import Checkpoint
from segsweep.training.curves import draw_curves
from segsweep.training.keeping import Keeping, forget_old, node_folder
from segsweep.training.pictures import COUNTS, draw_predictions, first_images
from segsweep.training.ranks import train_in_ranks
from segsweep.training.rendezvous import Report
from segsweep.training.task import TrialTask
from segsweep.training.tensorboard import write_events
from segsweep.training.trainer import TrialTrainer, is_out_of_memory
from segsweep.training.weights import node_weights

logger = logging.getLogger(__name__)

_MOST_WORKERS = 8
_HALVES = 2  # a batch of one has no half


def train_trial(task: TrialTask, report: Report, on_batch: Callable[[], None] = lambda: None) -> None:
    """Train the trial to its horizon, reporting every epoch.

    Epochs that an earlier attempt has done are reported again first, from the checkpoint: whoever listens may not have
    heard them. Where the GPU's memory does not suffice, the epoch is trained again with half the batch and twice the
    accumulation, once; `batch` in the metrics says so. A trial over several GPUs trains in a process each.

    Args:
        task: The trial.
        report: Called with one row an epoch, in order from the first; it may raise to end the trial.
        on_batch: Called before every batch; it may raise to end the trial in the middle of an epoch.

    Raises:
        TrialError: The trial itself cannot be trained.
        DatasetError, StorageError: Nothing can be trained on this node or from this storage.
    """
    if task.ranks > 1 and RANK == -1:
        train_in_ranks(task, report, on_batch, task.ranks)
        return
    files = TrialFiles(task)
    with files.logging(), files.curves():
        copy = stage(task.context.bundle_uri, task.context.cache_dir, prebuild_label_cache)
        with files.keeping() as keeping:
            checkpoint = keeping.load(task.config_hash())
            if checkpoint is not None:
                logger.info("going on after epoch %d", checkpoint.epoch)
                files.rows = list(checkpoint.rows)
                files.write_metrics(checkpoint.rows)  # a kill may have come between the two
                for row in checkpoint.rows:
                    report(row)
                if checkpoint.epoch >= task.context.job.budget.max_epochs:
                    return
            overrides = _overrides(task, copy, files, checkpoint)
            attempt = _Attempt(task, copy, files, keeping, report, on_batch)
            batch = attempt.train(overrides, checkpoint)
            if batch is None:
                return
            # Not where the error was caught: until then it holds all that fills the memory.
            release_memory()
            logger.warning("out of memory with batch %d: trying half of it, and twice the accumulation", batch)
            attempt.train({**overrides, "batch": batch // 2}, keeping.load(task.config_hash()), is_last=True)


def follow_trial(task: TrialTask) -> None:
    """Train beside the first rank, which alone reports and keeps; both begin from the same checkpoint.

    Args:
        task: The trial.

    Raises:
        TrialError, DatasetError, StorageError: As `train_trial`.
    """
    files = TrialFiles(task)
    try:
        copy = stage(task.context.bundle_uri, task.context.cache_dir, prebuild_label_cache)
        keeping = files.keeping()
        checkpoint = keeping.load(task.config_hash())
        if checkpoint is None or checkpoint.epoch < task.context.job.budget.max_epochs:
            attempt = _Attempt(task, copy, files, keeping, lambda row: None, lambda: None)
            attempt.train(_overrides(task, copy, files, checkpoint), checkpoint)
    finally:
        shutil.rmtree(files.work_dir, ignore_errors=True)


@dataclass(frozen=True)
class _Attempt:
    """Training with one size of batch, and what it reports to."""

    task: TrialTask
    copy: NodeCopy
    files: TrialFiles
    keeping: Keeping
    report: Report
    on_batch: Callable[[], None]

    def train(self, overrides: dict[str, Any], checkpoint: Checkpoint | None, is_last: bool = False) -> int | None:
        """Train to the horizon; the size of batch that was too large for the GPU, or None."""
        task = self.task
        if RANK in (-1, 0):
            self.files.write_arguments(overrides)
        trainer = TrialTrainer(overrides, task.config_hash(), task.threads, checkpoint, self._end_epoch, self.on_batch)
        try:
            trainer.train()
        except RuntimeError as exc:
            if not is_out_of_memory(exc):
                raise
            batch = trainer.batch_at_first
            if is_last or batch < _HALVES or RANK != -1:
                size = task.record.variant
                if RANK != -1:
                    fix = f"lower train.batch or train.imgsz, or give size {size} more GPUs (resources.{size}.gpus)"
                    raise TrialError(f"out of memory with batch {batch} over {WORLD_SIZE} GPUs: {fix}") from exc
                fix = f"give size {size} more of a GPU (resources.{size}.gpus), or lower train.batch or train.imgsz"
                raise TrialError(f"out of memory with batch {batch}, the second that was tried: {fix}") from exc
            return batch
        return None

    def _end_epoch(self, trainer: TrialTrainer, row: Mapping[str, float], is_best: bool) -> None:
        self.files.rows = trainer.rows
        self.keeping.keep(trainer.checkpoint(), trainer.weights() if is_best else None)
        if row["epoch"] in self.task.context.job.horizon.levels:
            self.keeping.settle()
            self.files.draw(self.copy, trainer.args.imgsz)
        self.report(row)


@contextmanager
def _ornament(what: str) -> Iterator[None]:
    """A piece of work that the trial does not need."""
    try:
        yield
    except Exception:  # a picture is not worth a trial, whatever keeps it from being made
        logger.warning("the pictures of %s could not be made or kept: the trial goes on", what, exc_info=True)


def _overrides(task: TrialTask, copy: NodeCopy, files: TrialFiles, checkpoint: Checkpoint | None) -> dict[str, Any]:
    """Ultralytics' arguments: what decides the result, and where and on what it runs."""
    key = task.context.weights[task.record.variant]
    start: dict[str, Any] = {"model": architecture_name(task.record.variant), "pretrained": False}
    if key is not None:
        start = {"model": str(node_weights(files.store, key, task.context.cache_dir)), "pretrained": True}
    transforms = task.augmentations()
    own: dict[str, Any] = {"augmentations": as_dicts(transforms)} if transforms else {}
    if checkpoint is not None:
        own["batch"] = int(checkpoint.rows[-1]["batch"])  # half the job's if its own did not fit
    return {
        **task.arguments(),
        **start,
        **own,
        "data": str(copy.data_yaml),
        "device": ",".join(map(str, range(task.ranks))) if task.uses_gpu else "cpu",
        "amp": _amp(task.uses_gpu),
        "workers": _loader_workers(task),
        "save_dir": str(files.work_dir / "ultralytics"),
        "exist_ok": True,
        "plots": False,
        "verbose": False,
    }


def _loader_workers(task: TrialTask) -> int:
    """Processes that prepare samples; on a CPU they would take the cores that train."""
    return min(task.threads, _MOST_WORKERS) if task.uses_gpu else 0


def _amp(uses_gpu: bool) -> str | bool:
    """bf16 where the GPU has it: Ultralytics' fp16 check downloads a model, which a cluster node cannot."""
    if not uses_gpu:
        return False
    import torch  # noqa: PLC0415 - asked only where there is a GPU

    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else False


class TrialFiles:
    """A trial's directory in the run, and the local folder where its files are made.

    Args:
        task: The trial.
    """

    def __init__(self, task: TrialTask) -> None:
        self.store: Store = open_store(task.context.run_uri)
        self._directory = task.record.directory
        # A folder of its own for every attempt: runs of the same name share a node, and so may a dying worker.
        base = task.context.cache_dir / "work"
        with disk_errors(str(base)):
            base.mkdir(parents=True, exist_ok=True)
            self.work_dir = Path(tempfile.mkdtemp(prefix=f"{task.record.trial_id}-", dir=base))
        self.rows: list[dict[str, float]] = []
        self._drawn: list[dict[str, float]] = []  # rows that the curves show
        self._task = task
        self._log = self.work_dir / layout.TRIAL_LOG

    def keeping(self) -> Keeping:
        """Where the trial's state is kept."""
        context = self._task.context
        forget_old(context.cache_dir)
        root = node_folder(context.cache_dir, self.store.uri, context.created)
        return Keeping(self.store, self._directory, root, context.job.checkpoint_minutes * 60, self._describe)

    def _describe(self) -> None:
        self.write_metrics(self.rows)
        self.keep_log()

    def draw(self, copy: NodeCopy, imgsz: int) -> None:
        """Draw and keep the curves, and what the best weights predict on a few val and test images.

        Pictures are for looking at, nothing is decided by them, and none is worth a trial: one that cannot be made or
        kept is logged.
        """
        self.draw_curves()
        with _ornament("predictions"):
            best = self.work_dir / layout.TRIAL_BEST
            try:
                self.store.download(self._key(layout.TRIAL_BEST), best)
            except NotFoundError:
                return  # no weights are the best yet
            images = [image for split in COUNTS for image in first_images(copy.root, split)]
            for picture in draw_predictions(best, images, copy.manifest.classes, imgsz, self.work_dir / "predictions"):
                key = layout.prediction_name(picture.stem, picture.parent.name)
                self.store.upload(picture, self._key(key))

    def draw_curves(self) -> None:
        """Draw and keep the curves of the epochs so far, unless these have been drawn."""
        if self.rows == self._drawn:
            return
        with _ornament("curves"):
            record = self._task.record
            png = draw_curves(self.rows, f"{record.trial_id}, size {record.variant}")
            self.store.write(self._key(layout.TRIAL_CURVES), png)
            self._drawn = list(self.rows)

    @contextmanager
    def curves(self) -> Iterator[None]:
        """However the block ends, the curves show all epochs then."""
        try:
            yield
        finally:
            self.draw_curves()

    def write_arguments(self, overrides: Mapping[str, Any]) -> None:
        """Write the arguments that Ultralytics gets."""
        self.store.write(self._key(layout.TRIAL_ARGUMENTS), yaml.safe_dump(dict(overrides)).encode())

    def write_metrics(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Write metrics.csv and TensorBoard's events, whole."""
        known = list(rows)
        columns = [*EPOCH_COLUMNS, *sorted(name for name in known[0] if name.startswith("lr_pg"))]
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.9g}" for name, value in row.items()} for row in known)
        self.store.write(self._key(layout.TRIAL_METRICS), text.getvalue().encode())
        events = self.work_dir / layout.TRIAL_EVENTS
        write_events(events, known, {"variant": self._task.record.variant, **self._task.record.params})
        self.store.upload(events, self._key(layout.TRIAL_EVENTS))

    def keep_log(self) -> None:
        """Copy the log as it is now."""
        self.store.upload(self._log, self._key(layout.TRIAL_LOG))

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Everything that Ultralytics and we log in this process goes to the trial's log; an earlier log is kept."""
        if self.store.exists(self._key(layout.TRIAL_LOG)):
            self.store.download(self._key(layout.TRIAL_LOG), self._log)
        handler = logging.FileHandler(self._log, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        loggers = (LOGGER, logging.getLogger("segsweep"))
        for target in loggers:
            target.addHandler(handler)
            target.setLevel(logging.INFO)
        try:
            yield
        except Exception:
            logger.exception("the trial failed")
            raise
        finally:
            for target in loggers:
                target.removeHandler(handler)
            handler.close()
            try:
                self.keep_log()
            finally:
                shutil.rmtree(self.work_dir, ignore_errors=True)

    def _key(self, name: str) -> str:
        return layout.trial_key(self._directory, name)

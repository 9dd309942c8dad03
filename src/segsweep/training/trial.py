"""One trial from start to end, or from its last checkpoint to its end; restarting it is always safe.

Everything that must survive goes to the run's storage in an order that a kill cannot break: best weights, checkpoint,
metrics, log. It goes while the next epoch trains; an epoch after which the trial may end is reported only when all of
it is there. A kill may thus find an epoch reported that no checkpoint knows: it is trained again, and whoever listens
has heard it.
"""

from __future__ import annotations

import csv
import io
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from ultralytics.utils import LOGGER

from segsweep.core.metrics import EPOCH_COLUMNS
from segsweep.core.variants import architecture_name
from segsweep.dataset.augmentation.online import as_dicts
from segsweep.dataset.bundles.staging import NodeCopy, stage
from segsweep.dataset.loader import prebuild_label_cache
from segsweep.errors import NotFoundError
from segsweep.storage import layout
from segsweep.storage.files import disk_errors
from segsweep.storage.opening import open_store
from segsweep.storage.store import Store
from segsweep.training.checkpoint import CheckpointFolder
from segsweep.training.pictures import draw_predictions
from segsweep.training.rendezvous import Report
from segsweep.training.task import TrialTask
from segsweep.training.trainer import TrialTrainer
from segsweep.training.uploads import Uploads
from segsweep.training.weights import node_weights

logger = logging.getLogger(__name__)


def train_trial(task: TrialTask, report: Report) -> None:
    """Train the trial to its horizon, reporting every epoch.

    Epochs that an earlier attempt has done are reported again first, from the checkpoint: whoever listens may not have
    heard them.

    Args:
        task: The trial.
        report: Called with one row an epoch, in order from the first; it may raise to end the trial.
    """
    files = TrialFiles(task)
    with files.logging():
        copy = stage(task.context.bundle_uri, task.context.cache_dir, prebuild_label_cache)
        checkpoint = files.checkpoints.load(task.config_hash())
        if checkpoint is not None:
            logger.info("going on after epoch %d", checkpoint.epoch)
            files.write_metrics(checkpoint.rows)  # a kill may have come between the two
            for row in checkpoint.rows:
                report(row)
            if checkpoint.epoch >= task.context.job.budget.max_epochs:
                return
        overrides = _overrides(task, copy, files)
        files.write_arguments(overrides)

        with Uploads() as uploads:

            def end_epoch(trainer: TrialTrainer, row: Mapping[str, float], is_best: bool) -> None:
                uploads.finish()  # before this epoch's files are made: memory holds those of one
                uploads.start(files.keeping(trainer, is_best))
                if row["epoch"] in task.context.job.horizon.levels:
                    uploads.finish()
                    images = sorted((copy.root / "images" / "val").iterdir())
                    files.draw(images, trainer.args.imgsz)
                report(row)

            TrialTrainer(overrides, task.config_hash(), task.threads, checkpoint, end_epoch).train()


def _overrides(task: TrialTask, copy: NodeCopy, files: TrialFiles) -> dict[str, Any]:
    """Ultralytics' arguments: what decides the result, and where and on what it runs."""
    key = task.context.weights[task.record.variant]
    start: dict[str, Any] = {"model": architecture_name(task.record.variant), "pretrained": False}
    if key is not None:
        start = {"model": str(node_weights(files.store, key, task.context.cache_dir)), "pretrained": True}
    transforms = task.augmentations()
    own: dict[str, Any] = {"augmentations": as_dicts(transforms)} if transforms else {}
    return {
        **task.arguments(),
        **start,
        **own,
        "data": str(copy.data_yaml),
        "device": "0" if task.uses_gpu else "cpu",
        "amp": _amp(task.uses_gpu),
        "workers": min(task.threads, 8) if task.uses_gpu else 0,
        "save_dir": str(files.work_dir / "ultralytics"),
        "exist_ok": True,
        "plots": False,
        "verbose": False,
    }


def _amp(uses_gpu: bool) -> str | bool:
    """bf16 where the GPU has it: Ultralytics' fp16 check downloads a model, which a cluster node cannot.

    The GPU side is untested.
    """
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
        self.checkpoints = CheckpointFolder(self.store, self._directory, self.work_dir)
        self._log = self.work_dir / layout.TRIAL_LOG

    def keeping(self, trainer: TrialTrainer, is_best: bool) -> Callable[[], None]:
        """Work that keeps the epoch that has just ended; what it needs of the trainer is taken now."""
        weights = trainer.weights() if is_best else None
        rows = list(trainer.rows)
        state = trainer.checkpoint().to_bytes()

        def keep() -> None:
            if weights is not None:
                self.store.write(self._key(layout.TRIAL_BEST), weights)
            self.checkpoints.save(int(rows[-1]["epoch"]), state)
            self.write_metrics(rows)
            self.keep_log()

        return keep

    def draw(self, images: list[Path], imgsz: int) -> None:
        """Draw and keep what the best weights predict on images; nothing where no weights are the best yet."""
        best = self.work_dir / layout.TRIAL_BEST
        try:
            self.store.download(self._key(layout.TRIAL_BEST), best)
        except NotFoundError:
            return
        for picture in draw_predictions(best, images, imgsz, self.work_dir / "predictions"):
            self.store.upload(picture, self._key(layout.prediction_name(picture.stem)))

    def write_arguments(self, overrides: Mapping[str, Any]) -> None:
        """Write the arguments that Ultralytics gets."""
        self.store.write(self._key(layout.TRIAL_ARGUMENTS), yaml.safe_dump(dict(overrides)).encode())

    def write_metrics(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Write metrics.csv, whole."""
        known = list(rows)
        columns = [*EPOCH_COLUMNS, *sorted(name for name in known[0] if name.startswith("lr_pg"))]
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.9g}" for name, value in row.items()} for row in known)
        self.store.write(self._key(layout.TRIAL_METRICS), text.getvalue().encode())

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

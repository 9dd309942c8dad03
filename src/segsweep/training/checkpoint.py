"""Everything a trial needs to go on after an epoch as if it had never stopped.

A checkpoint holds raw and EMA weights in fp32, the optimizer, the gradient scaler, gradients that wait for the next
step, the best value, and the metrics so far. Random states are not in it: every epoch starts from states derived from
(seed, epoch), see `segsweep.training.trainer`. Loading executes no code from the file (`weights_only`).
"""

from __future__ import annotations

import io
import logging
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from segsweep.errors import NotFoundError
from segsweep.storage import layout
from segsweep.storage.store import Store

logger = logging.getLogger(__name__)

_KEPT = 2


def tensor_bytes(content: Mapping[str, Any]) -> bytes:
    """What `torch.save` would write into a file."""
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    return buffer.getvalue()


@dataclass(frozen=True)
class Checkpoint:
    """State after an epoch; tensors on the CPU.

    Attributes:
        config_hash: What the state belongs to, see `TrialTask.config_hash`.
        epoch: Epochs done.
        model: Raw weights and buffers, fp32.
        ema: Averaged weights and buffers, fp32.
        ema_updates: Number of averaging steps.
        optimizer: The optimizer's state dict.
        scaler: The gradient scaler's state dict; empty without AMP.
        gradients: Accumulated gradients by parameter name, None where no batch waits for its step.
        batches_waiting: Batches accumulated since the last optimizer step.
        best: Best objective so far, None before the first finite one.
        rows: One row of metrics an epoch.
    """

    config_hash: str
    epoch: int
    model: dict[str, torch.Tensor]
    ema: dict[str, torch.Tensor]
    ema_updates: int
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    gradients: dict[str, torch.Tensor] | None
    batches_waiting: int
    best: float | None
    rows: list[dict[str, float]]

    def to_bytes(self) -> bytes:
        """The state as it is now, in one file."""
        return tensor_bytes(vars(self))


class CheckpointFolder:
    """The checkpoints of one trial in the run's storage; the newest two are kept.

    Args:
        store: The run's place.
        directory: The trial's directory.
        work_dir: Local folder for files on their way.
    """

    def __init__(self, store: Store, directory: str, work_dir: Path) -> None:
        self._store = store
        self._directory = directory
        self._work_dir = work_dir

    def save(self, epoch: int, content: bytes) -> None:
        """Write the checkpoint of an epoch, see `Checkpoint.to_bytes`, then drop those that are no longer needed."""
        self._store.write(self._key(layout.checkpoint_name(epoch)), content)
        for key in self._keys()[:-_KEPT]:
            self._store.delete(key)

    def load(self, config_hash: str) -> Checkpoint | None:
        """The newest checkpoint that is whole and belongs to the configuration; None where there is none.

        Broken and foreign ones are skipped with a warning.
        """
        path = self._work_dir / "resume.pt"
        for key in reversed(self._keys()):
            try:
                self._store.download(key, path)
                checkpoint = Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
            except (NotFoundError, RuntimeError, ValueError, TypeError, EOFError, pickle.UnpicklingError) as exc:
                logger.warning(
                    "%s/%s is not a whole checkpoint (%s): the one before is used", self._store.uri, key, exc
                )
                continue
            finally:
                path.unlink(missing_ok=True)
            if checkpoint.config_hash == config_hash:
                return checkpoint
            logger.warning("%s/%s belongs to another configuration and is not used", self._store.uri, key)
        return None

    def _keys(self) -> list[str]:
        return [info.key for info in self._store.list(self._key(layout.TRIAL_CHECKPOINTS)) if info.key.endswith(".pt")]

    def _key(self, name: str) -> str:
        return layout.trial_key(self._directory, name)

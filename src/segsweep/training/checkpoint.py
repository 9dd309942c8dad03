"""Everything a trial needs to go on after an epoch as if it had never stopped.

A checkpoint holds raw and EMA weights in fp32, the optimizer, the gradient scaler, gradients that wait for the next
step, the best value, and the metrics so far. Random states are not in it: what an epoch draws is a function of
(seed, epoch), see `segsweep.training.samples`. The file is what `torch.save` writes, a zip archive, and the sha256 of
all before it is the archive's comment. Loading executes no code from the file (`weights_only`).
"""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from segsweep.core.metrics import OBJECTIVE
from segsweep.errors import NotFoundError
from segsweep.storage import layout
from segsweep.storage.store import Store

logger = logging.getLogger(__name__)

_KEPT = 2
_NO_COMMENT = b"\0\0"  # how a zip archive ends: the length of its comment
_DIGEST = re.compile(rb"@\0([0-9a-f]{64})$")  # 64, and the comment


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

    @property
    def best_epoch(self) -> int:
        """Epoch of the best value; 0 before the first finite one."""
        return next((int(row["epoch"]) for row in self.rows if row[OBJECTIVE] == self.best), 0)

    def to_bytes(self) -> bytes:
        """The state as it is now, in one file."""
        buffer = io.BytesIO()
        torch.save(vars(self), buffer)
        with buffer.getbuffer() as content:
            digest = hashlib.sha256(content).hexdigest().encode()
        buffer.seek(-len(_NO_COMMENT), io.SEEK_END)
        buffer.write(len(digest).to_bytes(2, "little") + digest)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Checkpoint:
        """Inverse of `to_bytes`.

        Raises:
            ValueError: The bytes are not what was written, or were written by something else.
        """
        found = _DIGEST.search(data[-66:])
        if found is None:
            raise ValueError("its end, with its sha256, is missing")
        digest = hashlib.sha256(memoryview(data)[:-66])
        digest.update(_NO_COMMENT)
        if digest.hexdigest().encode() != found[1]:
            raise ValueError("its sha256 is another")
        try:
            return cls(**torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
        except (RuntimeError, TypeError, pickle.UnpicklingError) as exc:
            raise ValueError(f"it holds something else: {exc}") from exc


class CheckpointFolder:
    """The checkpoints of one trial in one place; the newest two are kept.

    Args:
        store: The run's place, or the node's.
        directory: The trial's directory.
    """

    def __init__(self, store: Store, directory: str) -> None:
        self.store = store
        self._directory = directory

    def save(self, epoch: int, content: bytes) -> None:
        """Write the checkpoint of an epoch, see `Checkpoint.to_bytes`."""
        self.store.write(self.key(epoch), content)

    def prune(self, epoch: int, besides: int = 0) -> None:
        """Drop what is older than the newest two up to an epoch; later ones are another attempt's, and not better."""
        for older in [one for one in self.epochs() if one <= epoch][:-_KEPT]:
            if older != besides:
                self.store.delete(self.key(older))

    def load(self, epoch: int, config_hash: str) -> Checkpoint | None:
        """The checkpoint of an epoch; None, and a warning, where it is broken or belongs to something else."""
        where = f"{self.store.uri}/{self.key(epoch)}"
        try:
            checkpoint = Checkpoint.from_bytes(self.store.read(self.key(epoch)))
        except (NotFoundError, ValueError) as exc:
            logger.warning("%s is not a whole checkpoint (%s): the one before is used", where, exc)
            return None
        if checkpoint.config_hash != config_hash:
            logger.warning("%s belongs to another configuration and is not used", where)
            return None
        return checkpoint

    def epochs(self) -> list[int]:
        """Epochs of which there is a checkpoint, ascending."""
        prefix = layout.trial_key(self._directory, layout.TRIAL_CHECKPOINTS)
        found = (layout.checkpoint_epoch(info.key.removeprefix(prefix)) for info in self.store.list(prefix))
        return sorted(epoch for epoch in found if epoch is not None)

    def key(self, epoch: int) -> str:
        """Where the checkpoint of an epoch lies."""
        return layout.trial_key(self._directory, layout.checkpoint_name(epoch))

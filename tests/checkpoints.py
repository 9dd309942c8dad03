"""A checkpoint that is small enough for a test."""

from __future__ import annotations

import torch

from segsweep.core.metrics import OBJECTIVE
from segsweep.training.checkpoint import Checkpoint


def checkpoint(epoch: int) -> Checkpoint:
    """A small one; the value of an epoch is a tenth of its number."""
    return Checkpoint(
        config_hash="hash",
        epoch=epoch,
        model={"weight": torch.full((3,), float(epoch))},
        ema={"weight": torch.full((3,), epoch + 0.5)},
        ema_updates=epoch,
        optimizer={"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        scaler={},
        gradients=None,
        batches_waiting=0,
        best=epoch / 10,
        rows=[{"epoch": float(one), OBJECTIVE: one / 10} for one in range(1, epoch + 1)],
    )

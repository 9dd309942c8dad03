"""Ultralytics' segmentation trainer, made restartable and quiet.

What differs from upstream, and nothing else does:

- After every epoch it hands over one row of metrics and a complete `Checkpoint`; the extra call after the last epoch
  (from `final_eval`) does not happen.
- What an epoch shows is a function of (seed, epoch), see `segsweep.training.samples`, so that a restart at an epoch
  boundary draws the same numbers, whatever the number of loader workers. On the CPU this is exact to the bit; on a GPU
  the pictures and their order are the same, and docs/gpu.md says how far the rest was seen to be.
- Gradient accumulation is counted here, because upstream keeps the count in a local variable that a restart loses.
- Where the GPU's memory does not suffice, training ends; upstream goes on in the middle of the epoch with half the
  batch, with weights that no other run would have.
- On the CPU, SGD, Adam and AdamW take torch's fused step, and convolutions run on channels-last weights, which upstream
  has on a GPU only: the same formulas, a third of the time and a tenth less.
- Several processes train together on a CPU, too, over gloo: upstream has that on GPUs only.
- No callback of any integration runs, whatever is installed or configured.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from ultralytics.models.yolo.segment import SegmentationTrainer
from ultralytics.utils import RANK, WORLD_SIZE
from ultralytics.utils.torch_utils import unwrap_model

from segsweep.core.metrics import FROM_ULTRALYTICS, OBJECTIVE
from segsweep.errors import DivergedError
from segsweep.training.checkpoint import Checkpoint, tensor_bytes
from segsweep.training.samples import EpochBatches, seed_loader

# Called after every epoch with the state so far and whether this epoch's weights are the best.
EpochEnd = Callable[["TrialTrainer", Mapping[str, float], bool], None]

_FUSED_ON_CPU = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
# CUDA's own errors where a kernel finds no workspace.
_ALSO_MEMORY = ("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_INTERNAL_ERROR", "unable to find an engine")


class TrialTrainer(SegmentationTrainer):  # type: ignore[misc]
    """One trial's trainer.

    Args:
        overrides: Ultralytics' training arguments.
        config_hash: What checkpoints belong to.
        threads: CPU threads for torch.
        resume_from: State to go on from, None to start.
        on_epoch_end: Called with the trainer, the epoch's row, and whether it is the best so far.
        on_batch: Called before every batch; it may raise to end training there.

    Attributes:
        batch_at_first: Images a batch that training began with.
    """

    accumulate: int
    model: torch.nn.Module

    def __init__(
        self,
        overrides: dict[str, Any],
        config_hash: str,
        threads: int,
        resume_from: Checkpoint | None,
        on_epoch_end: EpochEnd,
        on_batch: Callable[[], None],
    ) -> None:
        self._config_hash = config_hash
        self._threads = threads
        self._resume_from = resume_from
        self._on_epoch_end = on_epoch_end
        self._on_batch = on_batch
        self._rows: list[dict[str, float]] = list(resume_from.rows) if resume_from else []
        self._best = resume_from.best if resume_from else None
        self._batches_waiting = 0
        self._batch_in_epoch = 0
        self._batches: EpochBatches | None = None
        self.batch_at_first = 0
        self._gradients_waiting: dict[str, torch.Tensor] = {}
        self._last_row_at = time.perf_counter()
        super().__init__(overrides=overrides)
        if self.device.type == "cpu" and RANK != -1:
            self.world_size = WORLD_SIZE

    # --- what upstream calls -------------------------------------------------------------------------------------

    def run_callbacks(self, event: str) -> None:
        """Only ours: integrations would report twice or call home."""
        if event == "on_train_epoch_start":
            self._begin_epoch()
        elif event == "on_train_batch_start":
            self._on_batch()
        elif event == "on_fit_epoch_end" and RANK in (-1, 0):
            self._end_epoch()

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Upstream's loader; that of train gives samples that are functions of (seed, epoch, index)."""
        loader = super().get_dataloader(dataset_path, batch_size, rank, mode)
        if mode == "train":
            own = bool(getattr(self.args, "augmentations", None))
            self._batches = seed_loader(loader, self.args.seed, self._threads, own)
        return loader

    def _build_train_pipeline(self) -> None:
        if self._batches is not None:  # upstream's retry: it would go on in the middle of the epoch
            raise torch.OutOfMemoryError("the GPU's memory does not suffice for a batch")
        self.batch_at_first = int(self.batch_size)  # upstream halves its own before it tries again
        super()._build_train_pipeline()
        # Upstream now calls optimizer_step after every batch; the real accumulation is counted there.
        self._nominal_accumulate = self.accumulate
        self.accumulate = 1
        self._batches_waiting = 0

    def build_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Upstream's optimizer, stepping in one pass over each tensor, as upstream has it on a GPU."""
        optimizer: torch.optim.Optimizer = super().build_optimizer(*args, **kwargs)
        if type(optimizer) in _FUSED_ON_CPU and self.device.type == "cpu":
            for group in optimizer.param_groups:
                group["fused"] = True
        return optimizer

    def setup_model(self) -> Any:
        """Upstream's model; on the CPU with channels-last weights, as upstream has them on a GPU."""
        loaded = super().setup_model()
        if self.device.type == "cpu":
            self.model = self.model.to(memory_format=torch.channels_last)
        return loaded

    def _setup_ddp(self) -> None:
        if self.device.type != "cpu":
            super()._setup_ddp()
            return
        dist.init_process_group("gloo", rank=RANK, world_size=self.world_size)
        torch.nn.parallel.DistributedDataParallel = _OnCpu  # type: ignore[assignment,misc]

    def _setup_train(self) -> None:
        super()._setup_train()
        if self._resume_from is not None:
            self._restore(self._resume_from)
            self._resume_from = None

    def optimizer_step(self) -> None:
        """Step once `accumulate` batches have been added up, as upstream does, warm-up included."""
        self._batches_waiting += 1
        if self._batches_waiting >= self._accumulate_now():
            super().optimizer_step()
            self._batches_waiting = 0
        self._batch_in_epoch += 1

    def save_model(self) -> bool:
        """Nothing: `on_epoch_end` saves what is needed."""
        return False

    def save_metrics(self, metrics: Mapping[str, float]) -> None:
        """Nothing: `on_epoch_end` writes our own metrics.csv."""

    def final_eval(self) -> None:
        """Nothing: the best epoch has been validated when it was the last."""

    def _handle_nan_recovery(self, epoch: int) -> bool:
        if self.loss is not None and not bool(self.loss.isfinite()):
            raise DivergedError(f"the training loss became NaN or infinite in epoch {epoch + 1}: the trial diverged")
        return False

    # --- an epoch ------------------------------------------------------------------------------------------------

    def _begin_epoch(self) -> None:
        # Ultralytics' select_device sets its own number of threads whenever a device is selected.
        torch.set_num_threads(self._threads)
        seed = int(np.random.SeedSequence([self.args.seed, self.epoch]).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        assert self._batches is not None
        self._batches.epoch = self.epoch
        self._batch_in_epoch = 0
        if self._gradients_waiting:
            for name, parameter in unwrap_model(self.model).named_parameters():
                if name in self._gradients_waiting:
                    parameter.grad = self._gradients_waiting[name].to(parameter.device)
            self._gradients_waiting = {}

    def _end_epoch(self) -> None:
        now = time.perf_counter()
        found = {**self.label_loss_items(self.tloss), **self.metrics}
        row = {"epoch": float(self.epoch + 1), "seconds": now - self._last_row_at, "batch": float(self.batch_size)}
        row |= {ours: float(found[theirs]) for theirs, ours in FROM_ULTRALYTICS.items()}
        row |= {name.replace("lr/pg", "lr_pg"): float(value) for name, value in self.lr.items()}
        self._last_row_at = now
        value = row[OBJECTIVE]
        is_best = not math.isnan(value) and (self._best is None or value > self._best)
        self._best = value if is_best else self._best
        self._rows.append(row)
        self._on_epoch_end(self, row, is_best)

    def _accumulate_now(self) -> int:
        """Batches an optimizer step, ramped up during warm-up (upstream's formula)."""
        batches = len(self.train_loader)
        warmup = self._get_warmup_iterations(batches)
        done = self.epoch * batches + self._batch_in_epoch
        if warmup and done <= warmup:
            return max(1, int(np.interp(done, [0, warmup], [1, self._nominal_accumulate]).round()))
        return self._nominal_accumulate

    # --- state ---------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> list[dict[str, float]]:
        """Rows of all epochs so far."""
        return self._rows

    def checkpoint(self) -> Checkpoint:
        """The state after the epoch that has just ended."""
        model = unwrap_model(self.model)
        waiting = self._batches_waiting > 0
        gradients = {n: p.grad.cpu() for n, p in model.named_parameters() if p.grad is not None} if waiting else None
        return Checkpoint(
            config_hash=self._config_hash,
            epoch=self.epoch + 1,
            model=_on_cpu(model.state_dict()),
            ema=_on_cpu(self.ema.ema.state_dict()),
            ema_updates=self.ema.updates,
            optimizer=_on_cpu(self.optimizer.state_dict()),
            scaler=_on_cpu(self.scaler.state_dict()),
            gradients=gradients,
            batches_waiting=self._batches_waiting,
            best=self._best,
            rows=self._rows,
        )

    def weights(self) -> bytes:
        """The averaged weights as a file that `YOLO(path)` loads, in fp32: what was measured is what is kept."""
        model = deepcopy(self.ema.ema).cpu().float().to(memory_format=torch.contiguous_format)
        model.criterion = None
        for parameter in model.parameters():
            parameter.requires_grad = False
        return tensor_bytes({"model": model, "ema": None, "train_args": vars(self.args), "license": "AGPL-3.0"})

    def _restore(self, state: Checkpoint) -> None:
        model = unwrap_model(self.model)
        model.load_state_dict(state.model)
        self.ema.ema.load_state_dict(state.ema)
        self.ema.updates = state.ema_updates
        self.optimizer.load_state_dict(state.optimizer)
        if state.scaler:
            self.scaler.load_state_dict(state.scaler)
        self.start_epoch = state.epoch
        self.scheduler.last_epoch = state.epoch - 1
        # Upstream clears gradients right before its loop: the ones that wait are put back when the epoch begins.
        self._gradients_waiting = state.gradients or {}
        self._batches_waiting = state.batches_waiting


class _OnCpu(DistributedDataParallel):
    """On a CPU there is no device to name; upstream names the one it has."""

    def __init__(self, module: torch.nn.Module, device_ids: object = None, **kwargs: Any) -> None:
        super().__init__(module, **kwargs)


def _on_cpu(state: Any) -> Any:
    """The state with its tensors on the CPU, where they are on a GPU: whoever loads it may have none."""
    if isinstance(state, torch.Tensor):
        return state.cpu()
    if isinstance(state, Mapping):
        return {name: _on_cpu(value) for name, value in state.items()}
    return [_on_cpu(value) for value in state] if isinstance(state, list) else state


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a GPU's memory did not suffice."""
    text = str(error)
    return (
        "out of memory" in text.lower()
        or isinstance(error, torch.OutOfMemoryError)
        or any(sign in text for sign in _ALSO_MEMORY)
    )

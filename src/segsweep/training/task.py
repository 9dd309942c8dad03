"""What a worker needs to know to train one trial, and the arguments that Ultralytics gets for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segsweep.config.augmentation import AugmentationFile, TransformSpec, is_dimension
from segsweep.config.job import Job
from segsweep.core.trials import ParamValue, TrialRecord


@dataclass(frozen=True)
class SweepContext:
    """The same for every trial of a sweep; travels to the workers once.

    Attributes:
        run_uri: The run's folder.
        bundle_uri: The dataset bundle, with its digest in the name.
        cache_dir: The node's cache, at the same path on every node.
        job: The validated job.
        weights: Size -> key of its initial weights in the run's folder, None for random weights.
        augmentation: What the job's `augment` holds, None where Ultralytics' own transforms are used.
        created: When the run was started: one that was removed and begun anew at the same place is another.
    """

    run_uri: str
    bundle_uri: str
    cache_dir: Path
    job: Job
    weights: Mapping[str, str | None]
    augmentation: AugmentationFile | None = None
    created: str = ""


@dataclass(frozen=True)
class TrialTask:
    """One trial in its sweep.

    Attributes:
        context: The sweep's part.
        record: The trial's own part.
    """

    context: SweepContext
    record: TrialRecord

    @property
    def threads(self) -> int:
        """CPU threads that torch gets in each process: the cores that were granted, shared among the GPUs."""
        return max(1, self.context.job.resources_of(self.record.variant).cpus // self.ranks)

    @property
    def uses_gpu(self) -> bool:
        """Whether the trial trains on a GPU."""
        return self.context.job.resources_of(self.record.variant).gpus > 0

    @property
    def ranks(self) -> int:
        """Processes that train together, one a GPU."""
        return self.context.job.resources_of(self.record.variant).ranks

    def arguments(self) -> dict[str, ParamValue]:
        """Ultralytics' training arguments that decide the result: the job's, the trial's, and what we fix.

        `patience` 0 switches Ultralytics' own early stopping off: the scheduler stops trials, nobody else.
        """
        return {
            **self.context.job.train,
            **{name: value for name, value in self.record.params.items() if not is_dimension(name)},
            "epochs": self.context.job.budget.max_epochs,
            "seed": self.context.job.seed,
            "patience": 0,
            "deterministic": True,
        }

    def augmentations(self) -> tuple[TransformSpec, ...]:
        """The job's transforms with the trial's values of what is searched; none where Ultralytics keeps its own."""
        return self.context.augmentation.online_with(self.record.params) if self.context.augmentation else ()

    def config_hash(self) -> str:
        """Identifies what a checkpoint belongs to: arguments, size, initial weights, data, and transforms if any."""
        parts: dict[str, Any] = {
            "arguments": self.arguments(),
            "variant": self.record.variant,
            "weights": self.context.weights[self.record.variant],
            "bundle": self.context.bundle_uri.rstrip("/").rsplit("-", 1)[-1],  # the digest: names and places may differ
        }
        if self.context.augmentation is not None:
            parts["augmentations"] = [spec.to_flat() for spec in self.augmentations()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

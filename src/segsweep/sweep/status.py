"""Where a run stands, read from its folder by anyone at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from segsweep.config.job import JobFile, from_run
from segsweep.core.trials import Status, TrialRecord
from segsweep.core.variants import VARIANTS
from segsweep.storage import layout
from segsweep.storage.lock import Owner, read_owner
from segsweep.storage.run_folder import RunFolder
from segsweep.storage.store import Store


class RunState(StrEnum):
    """State of a run as a whole."""

    RUNNING = "RUNNING"  # a driver holds the lock
    INTERRUPTED = "INTERRUPTED"  # no driver, trials left: the same sweep command goes on
    EXHAUSTED = "EXHAUSTED"  # no driver, the GPU-hours are spent: with more of them the same command goes on
    COMPLETED = "COMPLETED"  # every trial of the budget has ended


@dataclass(frozen=True)
class RunStatus:
    """Facts of `segsweep status`.

    Attributes:
        run: The run's name.
        state: See `RunState`.
        owner: The driver that holds the lock, None where nobody does.
        trials: All records; without a driver no trial is RUNNING.
        job: The job of the run.
        uri: The run's folder.
    """

    run: str
    state: RunState
    owner: Owner | None
    trials: tuple[TrialRecord, ...]
    job: JobFile
    uri: str

    def best(self) -> dict[str, TrialRecord]:
        """Best trial so far of every size that has one, by validation mask_map50_95."""
        return best_by_variant(self.trials)

    def to_text(self) -> str:
        """For a person: state, trials, best per size, budget."""
        owner = f", driven by pid {self.owner.pid} on {self.owner.host}" if self.owner else ""
        lines = [f"{self.run}: {self.state}{owner}", ""]
        lines.append(f"{'trial':<7} {'size':<4} {'status':<10} {'epoch':>5}  {'best mAP50-95 (val)':>19}")
        horizon = self.job.job.budget.max_epochs
        for record in self.trials:
            value = "-" if record.mask_map50_95 is None else f"{record.mask_map50_95:.4f}"
            tail = "  default" if record.is_default else ""
            if record.preemptions:
                tail += (
                    f"  machine lost {record.preemptions} times" if record.preemptions > 1 else "  machine lost once"
                )
            tail += f"  {record.error}" if record.error else ""
            lines.append(
                f"{record.trial_id:<7} {record.variant:<4} {record.status:<10} {record.epoch:>2}/{horizon:<2}"
                f"  {value:>19}{tail}"
            )
        lines.append("")
        for record in self.trials:
            if record.status is Status.FAILED:
                log = layout.trial_key(record.directory, layout.TRIAL_LOG)
                lines.append(f"{record.trial_id} failed: its log is {self.uri}/{log}")
                lines.append(f"  alone it runs with: segsweep replay {self.uri} --trial {record.trial_id}")
        lines += [f"best {v}: {r.trial_id} {r.mask_map50_95:.4f}" for v, r in self.best().items()]
        budget = self.to_json()["budget"]
        line = f"budget: {budget['trials_left']} of {budget['trials']} trials left to start"
        if budget["gpu_hours"] is not None:
            line += f", {budget['gpu_hours_spent']:.2f} of {budget['gpu_hours']:g} GPU-hours spent"
        if budget["usd"] is not None:
            line += f", {budget['usd_spent']:.2f} of {budget['usd']:g} USD for GPUs spent"
        return "\n".join([*lines, line])

    def to_json(self) -> dict[str, Any]:
        """The schema of `segsweep status --json`."""
        budget = self.job.job.budget
        spent = sum(record.gpu_seconds for record in self.trials) / 3600
        return {
            "run": self.run,
            "state": self.state.value,
            "owner": {"host": self.owner.host, "pid": self.owner.pid} if self.owner else None,
            "trials": [
                {
                    "trial_id": record.trial_id,
                    "variant": record.variant,
                    "status": record.status.value,
                    "epoch": record.epoch,
                    "mask_map50_95": record.mask_map50_95,
                    "error": record.error,
                    "preemptions": record.preemptions,
                }
                for record in self.trials
            ],
            "best": {variant: record.trial_id for variant, record in self.best().items()},
            "budget": {
                "trials": budget.trials,
                "trials_started": len(self.trials),
                "trials_left": max(0, budget.trials - len(self.trials)),
                "max_epochs": budget.max_epochs,
                "gpu_hours": budget.gpu_hours,
                "gpu_hours_spent": spent,
                "usd": budget.usd,
                "usd_spent": None if budget.usd_per_gpu_hour is None else spent * budget.usd_per_gpu_hour,
            },
        }


def read_status(store: Store) -> RunStatus:
    """Read a run's state.

    Raises:
        RunError: There is no run, or its records cannot be read.
    """
    folder = RunFolder(store)
    info = folder.read_info()
    owner = read_owner(store)
    alive = owner is not None and owner.is_alive()
    trials = tuple(record if alive else _at_rest(record) for record in folder.read_trials())
    job = from_run(info.job, info.search_space, info.augmentation)
    state = RunState.RUNNING if alive else _state_at_rest(job, trials)
    return RunStatus(info.name, state, owner if alive else None, trials, job, store.uri)


def best_by_variant(records: Sequence[TrialRecord]) -> dict[str, TrialRecord]:
    """Best trial of every size by validation mask_map50_95; ties go to the earlier trial."""
    best: dict[str, TrialRecord] = {}
    for record in records:
        value = record.mask_map50_95
        if value is None:
            continue
        other = best.get(record.variant)
        if other is None or other.mask_map50_95 is None or value > other.mask_map50_95:
            best[record.variant] = record
    return {variant: best[variant] for variant in VARIANTS if variant in best}


def _state_at_rest(job: JobFile, trials: Sequence[TrialRecord]) -> RunState:
    budget = job.job.budget
    if len(trials) >= budget.trials and all(record.status.is_final for record in trials):
        return RunState.COMPLETED
    spent = sum(record.gpu_seconds for record in trials) / 3600
    most = budget.most_gpu_hours
    return RunState.EXHAUSTED if most is not None and spent >= most else RunState.INTERRUPTED


def _at_rest(record: TrialRecord) -> TrialRecord:
    return replace(record, status=Status.PENDING) if record.status is Status.RUNNING else record

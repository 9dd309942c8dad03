"""A trial as Ray Tune sees it: one `step` an epoch."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from ray import tune

from segsweep.core.failures import DIVERGED
from segsweep.core.trials import TrialRecord
from segsweep.dataset.environment import prepare_ultralytics
from segsweep.errors import ConfigError, DatasetError, DivergedError, StorageError
from segsweep.process import import_once, keep_freed_memory, release_memory
from segsweep.search.scheduler import FAILURE, SWEEP_ERROR, TRIAL_ERROR
from segsweep.search.searcher import ours
from segsweep.storage.files import node_error
from segsweep.storage.opening import vouch
from segsweep.training.rendezvous import SteppedTraining
from segsweep.training.task import SweepContext, TrialTask


class SweepTrainable(tune.Trainable):  # type: ignore[misc]
    """Trains trials one after another in one worker process, each with a fresh model."""

    def setup(self, config: Mapping[str, Any], context: SweepContext) -> None:
        """Take the trial that the configuration names; it starts with its first step.

        Args:
            config: Holds the trial's record.
            context: The sweep's part of the task.
        """
        self._context = context
        self._record = ours(config)
        self._training: SteppedTraining | None = None  # not here: what is raised here looks to Ray like a dead worker

    def step(self) -> dict[str, Any]:
        """Train to the next report; what keeps a trial or the sweep from going on is said in place of metrics."""
        try:
            row = self._started().next_row()
        except (ConfigError, DatasetError, StorageError) as exc:
            return {SWEEP_ERROR: exc}
        except OSError as exc:
            # Failing the trial would burn the budget.
            return {SWEEP_ERROR: node_error(exc, self._context.cache_dir)}
        except Exception as exc:  # noqa: BLE001 - the trial boundary: one trial fails, the sweep goes on
            failure = DIVERGED if isinstance(exc, DivergedError) else type(exc).__name__
            return {TRIAL_ERROR: f"{type(exc).__name__}: {exc}", FAILURE: failure}
        if row is None:
            return {TRIAL_ERROR: "training ended before its horizon", FAILURE: "ended early"}
        return dict(row)

    def reset_config(self, new_config: Mapping[str, Any]) -> bool:
        """Go on with another trial in this process: importing torch again would cost seconds."""
        self.cleanup()
        self._training = None
        release_memory()  # or the model would live on beside the next one's
        self._record = ours(new_config)
        return True

    def cleanup(self) -> None:
        """End the trial where it waits."""
        if self._training is not None:
            self._training.stop()

    def _started(self) -> SteppedTraining:
        """The trial's training; the process is prepared for its first."""
        if self._training is None:
            prepare_ultralytics(self._context.cache_dir)
            keep_freed_memory()
            vouch()  # the driver has read the run from there
            import_once("segsweep.training.trial")  # Ultralytics, which must find the prepared environment
            self._training = self._begin(self._record)
            self._leave_on_sigterm()
        return self._training

    def _begin(self, record: TrialRecord) -> SteppedTraining:
        from segsweep.training.trial import train_trial  # noqa: PLC0415 - the driver, which loads this module, need not

        task = TrialTask(self._context, record)
        training = SteppedTraining(
            lambda report: train_trial(task, report, training.raise_if_stopped), name=record.trial_id
        )
        return training

    def _leave_on_sigterm(self) -> None:
        """A machine that is taken away says so minutes before: the newest epoch goes to the run's storage now."""
        before = signal.getsignal(signal.SIGTERM)

        def leave(number: int, frame: FrameType | None) -> None:
            self.cleanup()
            if callable(before):
                before(number, frame)
            else:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)

        if threading.current_thread() is threading.main_thread():  # only there may it be set, and Ray calls us there
            signal.signal(signal.SIGTERM, leave)


def trainable(context: SweepContext, resources: Callable[[Mapping[str, Any]], Any]) -> Any:
    """The trainable for one sweep, with the resources that each trial's size asks for."""
    return tune.with_resources(tune.with_parameters(SweepTrainable, context=context), resources)

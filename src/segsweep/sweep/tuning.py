"""The trials of one driver session under Ray Tune: it places, starts and stops them; the ledger decides."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import TuneError
from rich.console import Console

from segsweep.config.job import Job, JobFile
from segsweep.core.allowance import Allowance
from segsweep.core.failures import failed_alike
from segsweep.core.ledger import Ledger
from segsweep.core.trials import Status, TrialRecord
from segsweep.errors import InterruptedSweepError, RunError, RunLockedError, SegsweepError, StorageError
from segsweep.search.proposer import make_proposer
from segsweep.search.scheduler import LedgerScheduler, ray_asha_rule
from segsweep.search.searcher import LedgerSearcher, ours
from segsweep.storage import layout
from segsweep.storage.files import node_error
from segsweep.sweep.gauges import Gauges
from segsweep.sweep.occupancy import Occupancy
from segsweep.sweep.progress import Progress
from segsweep.sweep.watchdog import RETRIES, Watchdog
from segsweep.training.task import SweepContext
from segsweep.training.trainable import trainable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Session:
    """One driver's share of a sweep.

    Attributes:
        job: The job and its search space.
        context: What every worker needs to know.
        ledger: All trials; its changes are written before anyone acts on them.
        allowance: How much may still be spent.
        concurrency: Trials at the same time.
        lost: Set when another driver has taken the run.
        noted: What the session's record says at its end, beside when and why.
    """

    job: JobFile
    context: SweepContext
    ledger: Ledger
    allowance: Allowance
    concurrency: int
    lost: threading.Event
    noted: dict[str, Any]


def run_trials(session: Session, console: Console) -> None:
    """Let Ray Tune run until the budget is spent; trials that are cut off wait for the next session.

    Args:
        session: Ray must be up.
        console: Where progress is shown.

    Raises:
        InterruptedSweepError: Ctrl-C or SIGTERM.
        SegsweepError: What no trial could survive.
    """
    job, context, ledger, allowance = session.job, session.context, session.ledger, session.allowance
    lost = session.lost
    searcher = LedgerSearcher(job, ledger, make_proposer(job), allowance)
    rule = ray_asha_rule(ledger) if job.job.search.policy == "plain" else None
    scheduler = LedgerScheduler(
        ledger,
        rule,
        lambda: lost.is_set() or allowance.gpu_time_is_spent(ledger),
        _failure_limit(ledger, job.job.max_failures, context.run_uri),
    )
    occupancy = Occupancy(ledger, allowance, session.concurrency)
    hang_s = None if job.job.hang_minutes is None else job.job.hang_minutes * 60
    with (
        tempfile.TemporaryDirectory(prefix="segsweep-ray-") as scratch,
        Progress(ledger, allowance, console) as progress,
    ):
        tuner = tune.Tuner(
            trainable(context, lambda config: _placement(job.job, config)),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=-1,
                max_concurrent_trials=session.concurrency,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: ours(trial.config).trial_id,
            ),
            run_config=tune.RunConfig(
                name=job.job.name,
                storage_path=scratch,  # Ray's own state is of no use to us: the trial records are the memory
                failure_config=tune.FailureConfig(max_failures=RETRIES),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the worker keeps its own
                callbacks=[
                    _Narrator(ledger, progress, context.run_uri),
                    Watchdog(ledger, hang_s),
                    occupancy,
                    Gauges(job.job.name, ledger, occupancy),
                ],
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        except KeyboardInterrupt as exc:
            raise InterruptedSweepError(
                f"{context.run_uri}: stopped; nothing is lost, the same command goes on from the last epochs"
            ) from exc
        except OSError as exc:  # Ray Tune's own files
            raise node_error(exc, Path(scratch)) from exc
        except TuneError as exc:
            # Ray wraps what our scheduler raises; the user is told what happened, not where.
            cause = _innermost_of_ours(exc)
            if cause is None:
                raise
            raise cause from exc
        finally:
            _put_to_rest(ledger, lost)
            session.noted["occupancy"] = occupancy.to_json()
            logger.info(
                "%d trials at once: held for %.0f s in all; %.1f %% of the time of their places was lost to waiting",
                session.concurrency, occupancy.held_s, 100 * occupancy.idle_share,
            )  # fmt: skip


def _failure_limit(ledger: Ledger, most: int, run_uri: str) -> Callable[[], None]:
    """What ends the session when trial after trial fails for the same reason, instead of the budget."""

    def check() -> None:
        row = failed_alike(ledger.records)
        if len(row) < most:
            return
        ids = ", ".join(record.trial_id for record in reversed(row))
        raise RunError(
            f"{run_uri}: the last {len(row)} trials failed alike ({row[0].failure}): {ids}; stopped before the budget "
            f"is spent on more of them\n{_told(row[0], run_uri)}\n"
            "when its cause is mended, the same command tries them again and goes on; a higher max_failures goes on "
            "without them"
        )

    return check


def _told(record: TrialRecord, run_uri: str) -> str:
    log = f"{run_uri}/{layout.trial_key(record.directory, layout.TRIAL_LOG)}"
    return (
        f"trial {record.trial_id} ({record.variant}, {dict(record.params)}) failed after epoch {record.epoch}: "
        f"{record.error}; its log is {log}; alone it runs with: segsweep replay {run_uri} --trial {record.trial_id}"
    )


def _innermost_of_ours(error: BaseException | None) -> SegsweepError | None:
    """The first of our errors in a chain of causes."""
    while error is not None and not isinstance(error, SegsweepError):
        error = error.__cause__ or error.__context__
    return error


def _put_to_rest(ledger: Ledger, lost: threading.Event) -> None:
    """Trials that were cut off are PENDING; a courtesy to readers, resuming does not need it."""
    with suppress(StorageError, RunLockedError):
        for record in ledger.records:
            if record.status is Status.RUNNING and not lost.is_set():
                ledger.set_status(record.trial_id, Status.PENDING)


class _Narrator(tune.Callback):  # type: ignore[misc]
    """Tells the ledger what only Ray knows, and the user what has changed."""

    def __init__(self, ledger: Ledger, progress: Progress, run_uri: str) -> None:
        self._ledger = ledger
        self._progress = progress
        self._run_uri = run_uri

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray pickles this for `Tuner.restore`, which is never used; the trial records are the memory."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        trial_id = ours(trial.config).trial_id
        if not self._ledger[trial_id].status.is_final:
            self._progress.changed(self._ledger.set_status(trial_id, Status.RUNNING))

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        self._tell(ours(trial.config).trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._tell(ours(trial.config).trial_id)

    def _tell(self, trial_id: str) -> None:
        record = self._ledger[trial_id]
        self._progress.changed(record)
        if record.status is Status.FAILED:
            logger.error("%s", _told(record, self._run_uri))


def _placement(job: Job, config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    wanted = job.resources_of(ours(config).variant)
    return tune.PlacementGroupFactory([{"CPU": wanted.cpus, **({"GPU": wanted.gpus} if wanted.gpus else {})}])

"""A job sent to a cluster: it runs on the head, whatever becomes of this machine, which shows its log meanwhile."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import yaml

from segsweep.cluster.job_server import JobServer, LostServerError, RemoteJob, metadata_of
from segsweep.config.job import Job, JobFile
from segsweep.errors import ConfigError, Problem, RunError
from segsweep.storage.opening import join

COMMAND = "segsweep sweep job.yaml"  # the only one that we ever send
_PATIENCE_S = 900.0  # of a log whose server does not answer
_PAUSE_S = 5.0
_SEND_PAUSES_S = (2.0, 5.0, 10.0, 20.0, 20.0)

Write = Callable[[str], object]


def run_uri(job: Job) -> str:
    """The run's place, which tells its jobs from others."""
    return join(job.storage, job.name)


def write_package(job: JobFile, folder: Path) -> None:
    """Write what the cluster needs to know: the job with all `--set`, its space, its transforms; a few kilobytes.

    Args:
        job: The job.
        folder: An empty folder.
    """
    named = {**job.job.model_dump(mode="json", exclude_none=True), "search_space": "search_space.yaml"}
    files = {"search_space.yaml": job.space.to_flat()}
    if job.augmentation is not None:
        named["augment"] = "augment.yaml"
        files["augment.yaml"] = job.augmentation.to_flat()
    for name, content in {"job.yaml": named, **files}.items():
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))


def require_shared_places(job: Job, where: str) -> None:
    """Places must mean the same on every machine.

    Raises:
        ConfigError: Those that do not.
    """
    places = {"dataset": job.dataset, "storage": job.storage, "weights": job.weights}
    problems = [
        Problem(where, rule, field, place, "copy it to S3, or to a disk that every machine mounts at the same place")
        for field, place in places.items()
        if place not in ("coco", "scratch") and not place.startswith(("s3://", "file://", "/"))
        for rule in ["a cluster takes s3:// URIs and absolute paths: this one is a folder of your machine"]
    ]
    if problems:
        raise ConfigError(problems)


class Submission:
    """A run's jobs on one cluster.

    Args:
        server: The cluster's job server.
        job: The job.
        come_back: The command that shows the log again.
        tell: Where lines about the job go.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        server: JobServer,
        job: JobFile,
        come_back: str,
        tell: Write,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._server = server
        self._job = job
        self._run = run_uri(job.job)
        self._come_back = come_back
        self._tell = tell
        self._sleep = sleep

    def start(self) -> str:
        """Submit the job, unless one of its run is at work already.

        Returns:
            The submission id.

        Raises:
            RunError: The server does not answer.
        """
        running = self._running()
        if running is not None:
            self._tell(f"{self._run}: at work since before, as {running.job_id}")
            return running.job_id
        job_id = f"{self._job.job.name}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        with tempfile.TemporaryDirectory(prefix="segsweep-") as folder:
            write_package(self._job, Path(folder))
            self._send(job_id, Path(folder))
        self._tell(f"{self._run}: submitted as {job_id}; it goes on when this machine sleeps")
        self._tell(f"come back with: {self._come_back}")
        return job_id

    def _send(self, job_id: str, folder: Path) -> None:
        """Submit; a head that has just come up takes no job for some seconds, and an answer may be lost on its way."""
        for wait_s in (*_SEND_PAUSES_S, None):
            try:
                self._server.submit(job_id, COMMAND, folder, metadata_of(self._run))
            except LostServerError as exc:
                if any(job.job_id == job_id for job in self._jobs()):
                    return
                if wait_s is None:
                    raise self._no_answer(exc) from exc
                self._sleep(wait_s)
            else:
                return

    def latest(self) -> str:
        """Submission id of the run's latest job.

        Raises:
            RunError: There is none, or the server does not answer.
        """
        jobs = self._jobs()
        if not jobs:
            raise RunError(Problem(self._run, "this cluster knows no job of it", fix=f"start one: {self._come_back}"))
        return jobs[-1].job_id

    def follow(self, job_id: str, write: Write) -> RemoteJob:
        """Write the job's log until it has ended; a lost connection is made again, and nothing is written twice.

        Args:
            job_id: The submission id.
            write: Takes pieces of the log.

        Raises:
            RunError: The server has not answered for long, or has forgotten the job.
        """
        written, lost_s = 0, 0.0
        while True:
            try:
                for piece in _after(self._server.log(job_id), written):
                    write(piece)
                    written += len(piece)
                    lost_s = 0.0
                job = next((job for job in self._server.jobs_of(self._run) if job.job_id == job_id), None)
                if job is None:
                    rule = f"the head knows no job {job_id}: it was started anew"
                    raise RunError(Problem(self._run, rule, fix=f"go on with: {self._come_back}"))
                if job.has_ended:
                    return job
            except LostServerError as exc:
                if lost_s == 0:
                    self._tell(f"lost the head ({exc}); trying again, the job goes on meanwhile")
                if lost_s >= _PATIENCE_S:
                    raise self._no_answer(exc) from exc
            self._sleep(_PAUSE_S)
            lost_s += _PAUSE_S

    def stop(self) -> bool:
        """End the run's job as Ctrl-C would, with everything in the run's storage; whether there was one.

        Raises:
            RunError: The server does not answer.
        """
        job = self._running()
        if job is None:
            return False
        try:
            self._server.stop(job.job_id)
            while not self._ended(job.job_id):
                self._sleep(1.0)
        except LostServerError as exc:
            raise self._no_answer(exc) from exc
        return True

    def _ended(self, job_id: str) -> bool:
        return all(job.has_ended for job in self._server.jobs_of(self._run) if job.job_id == job_id)

    def _running(self) -> RemoteJob | None:
        return next((job for job in reversed(self._jobs()) if not job.has_ended), None)

    def _jobs(self) -> list[RemoteJob]:
        try:
            return self._server.jobs_of(self._run)
        except LostServerError as exc:
            raise self._no_answer(exc) from exc

    def _no_answer(self, error: LostServerError) -> RunError:
        fix = f"is the cluster up (make cluster-up)? A job that runs goes on; come back with: {self._come_back}"
        return RunError(Problem("the job server", f"does not answer: {error}", fix=fix))


def _after(pieces: Iterator[str], count: int) -> Iterator[str]:
    """A text in pieces without its first characters."""
    for piece in pieces:
        rest = piece[count:]
        count = max(count - len(piece), 0)
        if rest:
            yield rest

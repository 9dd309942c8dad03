"""Ray's job server, with what we ask of it and errors that say what to do."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from segsweep.errors import ConfigError, Problem

_RUN = "segsweep_run"  # what a job's metadata call its run
_TALKATIVE = ("ray", "ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk")
_ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


@dataclass(frozen=True)
class RemoteJob:
    """A job as the server knows it.

    Attributes:
        job_id: Its submission id.
        status: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        exit_code: Of the command; None while it runs, and where it never ran.
        message: What the server says about it.
        started: Milliseconds since 1970.
    """

    job_id: str
    status: str
    exit_code: int | None
    message: str
    started: int

    @property
    def has_ended(self) -> bool:
        """Whether it will never run again."""
        return self.status in _ENDED


class LostServerError(Exception):
    """The server does not answer, now; asking again may help."""


class JobServer(Protocol):
    """What we ask of a job server; every method raises `LostServerError` where it does not answer."""

    def jobs_of(self, run_uri: str) -> list[RemoteJob]:
        """Jobs of the run, the latest last."""

    def submit(self, job_id: str, command: str, folder: Path, metadata: Mapping[str, str]) -> None:
        """Start the command in a copy of the folder."""

    def log(self, job_id: str) -> Iterator[str]:
        """The log from its beginning, as it comes, until the job has ended."""

    def stop(self, job_id: str) -> None:
        """Ask the command to end, as SIGTERM does."""


class RayJobServer:
    """The job server of a Ray head.

    Args:
        address: Where it is now; asked again after every loss.
        stop_wait_s: How long a command that is stopped may take before it is killed.
    """

    def __init__(self, address: Callable[[], str], stop_wait_s: int = 120) -> None:
        self._address = address
        self._stop_wait_s = stop_wait_s
        if (Path.home() / ".ray" / "auth_token").exists():
            os.environ.setdefault("RAY_AUTH_MODE", "token")  # before Ray is imported: it then sends the token

    def jobs_of(self, run_uri: str) -> list[RemoteJob]:
        """See `JobServer`."""
        with self._client() as client:
            found = [job for job in client.list_jobs() if (job.metadata or {}).get(_RUN) == run_uri]
        jobs = [
            RemoteJob(
                job.submission_id,
                str(job.status.value),
                job.driver_exit_code,
                job.message or "",
                job.start_time or 0,
            )
            for job in found
            if job.submission_id
        ]
        return sorted(jobs, key=lambda job: job.started)

    def submit(self, job_id: str, command: str, folder: Path, metadata: Mapping[str, str]) -> None:
        """See `JobServer`."""
        # Ray itself kills a job that does not end within 3 seconds, too soon for checkpoints on their way to S3.
        environment = {"working_dir": str(folder), "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(self._stop_wait_s)}}
        with self._client() as client:
            client.submit_job(
                entrypoint=command, submission_id=job_id, runtime_env=environment, metadata=dict(metadata)
            )

    def log(self, job_id: str) -> Iterator[str]:
        """See `JobServer`."""
        with self._client() as client, asyncio.Runner() as runner:  # Ctrl-C ends what it waits for
            pieces = client.tail_job_logs(job_id)
            while (piece := runner.run(_next(pieces))) is not None:
                yield piece

    def stop(self, job_id: str) -> None:
        """See `JobServer`."""
        with self._client() as client:
            client.stop_job(job_id)

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """A client of the server; what goes wrong with it is told in our words.

        Raises:
            ConfigError: The server wants another token.
        """
        from aiohttp import ClientError  # noqa: PLC0415 - heavy, with Ray's job server only
        from ray.exceptions import AuthenticationError  # noqa: PLC0415
        from ray.job_submission import JobSubmissionClient  # noqa: PLC0415

        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is told by us
        address = self._address()
        try:
            yield JobSubmissionClient(address)
        except AuthenticationError as exc:
            fix = "use the ~/.ray/auth_token that the cluster was started with; `ray up` ships a new one to all nodes"
            raise ConfigError(Problem("the job server", "refuses this token, or wants one", "", address, fix)) from exc
        except (OSError, RuntimeError, ClientError) as exc:
            raise LostServerError(str(exc).strip().split("\n", 1)[0]) from exc


async def _next(pieces: AsyncIterator[str]) -> str | None:
    return await anext(pieces, None)


def metadata_of(run_uri: str) -> dict[str, str]:
    """What tells a run's jobs from others."""
    return {_RUN: run_uri}

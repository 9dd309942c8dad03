"""What `segsweep submit` does, from the cluster file to the exit code."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segsweep.cluster.cluster_file import load_cluster_file
from segsweep.cluster.job_server import JobServer, RayJobServer
from segsweep.cluster.submit import Submission, Write, require_shared_places
from segsweep.cluster.tunnel import Tunnel, head_address
from segsweep.config.job import JobFile
from segsweep.errors import RunError


@dataclass(frozen=True)
class Order:
    """A job and what is wanted of the cluster.

    Attributes:
        job: The job.
        path: Its file.
        sets: What `--set` has changed in it.
        cluster: The cluster's file; None where `address` is given.
        address: URL of a job server that can be reached already.
        wish: follow, detach, logs or stop.
    """

    job: JobFile
    path: Path
    sets: tuple[str, ...]
    cluster: Path | None
    address: str | None
    wish: str

    @property
    def command(self) -> str:
        """The command that comes back to the job."""
        place = ("--cluster", str(self.cluster)) if self.cluster else ("--address", str(self.address))
        sets = (word for text in self.sets for word in ("--set", text))
        return shlex.join(("segsweep", "submit", str(self.path), *place, *sets))


def attend(order: Order, write: Write) -> int:
    """Do what is wanted.

    Args:
        order: The job and the wish.
        write: Takes text for the terminal, line ends included.

    Returns:
        The exit code: of the sweep itself, once it has ended; 0 where it goes on without us.

    Raises:
        ConfigError: The cluster file, the job's places or the token are wrong.
        RunError: The cluster cannot be reached.
    """
    require_shared_places(order.job.job, str(order.path))
    with _server(order) as server:
        return talk(order, server, write)


def talk(order: Order, server: JobServer, write: Write) -> int:
    """As `attend`, with a job server that can be reached."""
    submission = Submission(server, order.job, order.command, lambda line: write(f"{line}\n"))
    if order.wish == "stop":
        was_there = submission.stop()
        write("stopped; nothing is lost\n" if was_there else "no job of this run is at work\n")
        write(f"next: {order.command}   goes on\n")
        return 0
    job_id = submission.latest() if order.wish == "logs" else submission.start()
    if order.wish == "detach":
        return 0
    try:
        ended = submission.follow(job_id, write)
    except KeyboardInterrupt:
        write(f"\nthe job goes on; come back with: {order.command}   (--stop ends it)\n")
        return 0
    if ended.exit_code == 0:
        return 0
    write(f"{job_id} has {_HOW[ended.status]}\nnext: {order.command}   goes on\n")
    return ended.exit_code or RunError.exit_code


_HOW = {
    "SUCCEEDED": "ended",
    "FAILED": "failed: the reason is above",
    "STOPPED": "been stopped; nothing is lost",
}


@contextmanager
def _server(order: Order) -> Iterator[JobServer]:
    if order.cluster is None:
        yield RayJobServer(lambda: str(order.address))
        return
    file = load_cluster_file(order.cluster)
    with Tunnel(head_address(file), file.ssh_user, file.private_key) as tunnel:
        yield RayJobServer(tunnel.address)

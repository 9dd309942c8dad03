"""A trial over several GPUs of one machine: a process each, which train together; the first reports and keeps.

Ultralytics reads its rank from the environment when it is first imported, so that a rank is a process of its own. The
process that Ray knows trains nothing: it starts them, hands on what the first says, and ends all of them with the
trial. They meet at a store of its own, as torchrun has them meet at an agent's: no port is chosen and lost again.

Tried with two processes on a CPU over gloo; on several GPUs, over NCCL, untested.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

from segsweep.errors import TrialError
from segsweep.training.rendezvous import Report, StopTraining
from segsweep.training.task import TrialTask

# What a rank says, beside its content.
ROW, ERROR, STOPPING, DONE = "row", "error", "stopping", "done"
# What it is told.
GO, STOP = "go", "stop"

_EVERY_S = 0.2  # how often it is asked whether the trial shall go on
_STEP_S = 120.0  # for the first rank to come to the end of its batch once it is told to stop


@dataclass
class _Rank:
    """One of the processes.

    Attributes:
        number: From 0.
        process: It.
        connection: To it.
        is_done: Whether it has trained to the end.
    """

    number: int
    process: subprocess.Popen[bytes]
    connection: Connection[Any, Any]
    is_done: bool = False

    def heard(self) -> tuple[str, Any]:
        """What it says next.

        Raises:
            TrialError: It has died.
        """
        try:
            kind, content = self.connection.recv()
        except (EOFError, ConnectionError) as exc:
            code = self.process.wait()
            raise TrialError(f"the process of GPU {self.number} died with exit code {code}: {_LOOK}") from exc
        return kind, content


_LOOK = "what it said last is in the log of the trial's worker, on the node below Ray's session folder"


def train_in_ranks(task: TrialTask, report: Report, on_batch: Callable[[], None], ranks: int) -> None:
    """Train the trial to its horizon in several processes, reporting every epoch of the first.

    Args:
        task: The trial.
        report: Called with one row an epoch; it may raise to end the trial.
        on_batch: Called a few times a second; it may raise to end the trial in the middle of an epoch.
        ranks: How many.

    Raises:
        TrialError: A process died.
        Exception: What any of them raised; what the others then wait for never comes, and they are killed.
    """
    with _started(task, ranks) as those:
        first = those[0]
        try:
            while not all(one.is_done for one in those):
                on_batch()
                for rank, kind, content in _said(those, _EVERY_S):
                    if kind == ERROR:
                        raise content
                    rank.is_done = kind == DONE
                    if kind == ROW:
                        report(content)
                        first.connection.send(GO)
        except StopTraining:
            _stop(those)
            raise


def _said(ranks: list[_Rank], most_s: float) -> Iterator[tuple[_Rank, str, Any]]:
    """What the ranks that train have to say, waited for."""
    talking = {one.connection: one for one in ranks if not one.is_done}
    for connection in wait(list(talking), most_s):
        rank = talking[connection]  # type: ignore[index]
        yield rank, *rank.heard()


def _stop(ranks: list[_Rank]) -> None:
    """Let the first rank end where it is, with its newest epoch kept; the others are needed until it has heard."""
    first = ranks[0]
    until = time.monotonic() + _STEP_S
    has_heard = False
    try:
        first.connection.send(STOP)
        while not first.is_done:
            for rank, kind, _ in _said([first] if has_heard else ranks, _EVERY_S):
                has_heard |= kind == STOPPING
                rank.is_done = kind in (DONE, ERROR)
            if not has_heard and (time.monotonic() > until or any(one.is_done for one in ranks[1:])):
                return  # it waits for somebody who is gone
    except (TrialError, OSError):
        return  # it is gone itself; what is on the node is whole


@contextmanager
def _started(task: TrialTask, count: int) -> Iterator[list[_Rank]]:
    """The ranks, none of which outlives the block or this process."""
    # A second, and only trials over several GPUs need it.
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # noqa: PLC0415

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    their_end, our_end = os.pipe()  # read by them: it ends when we do, however that is
    ranks: list[_Rank] = []
    try:
        for number in range(count):
            ours, theirs = Pipe()
            process = subprocess.Popen(
                [sys.executable, "-m", "segsweep.training.rank", str(theirs.fileno()), str(their_end)],
                env={**os.environ, **_environment(number, count, store.port)},
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), their_end),
            )
            theirs.close()
            ranks.append(_Rank(number, process, ours))
            ours.send(task)
        yield ranks
    finally:
        for rank in ranks:
            rank.process.kill()
        for rank in ranks:
            rank.process.wait()
            rank.connection.close()
        os.close(our_end)
        os.close(their_end)


def _environment(number: int, count: int, port: int) -> dict[str, str]:
    """What torch and Ultralytics look for."""
    return {
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the store is ours: the first rank need not offer one
    }

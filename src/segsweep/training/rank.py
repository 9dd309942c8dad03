"""One of the processes that train a trial over several GPUs: `python -m segsweep.training.rank CONNECTION END`.

Both are file descriptors: of the connection to the process that has started it, and of a pipe that ends with that one.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from segsweep.dataset.environment import prepare_ultralytics
from segsweep.errors import TrialError
from segsweep.process import import_once, keep_freed_memory
from segsweep.storage.opening import vouch
from segsweep.training.ranks import DONE, ERROR, GO, ROW, STOPPING
from segsweep.training.rendezvous import StopTraining


def main(connection: Connection[Any, Any], end: int, rank: int) -> None:
    """Train as a rank, and say how it goes.

    Args:
        connection: To the process that has started this one; the task comes first.
        end: File descriptor whose end is this process's, too.
        rank: From 0; the first reports.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # they reach whoever has started us, too, and that one ends us in order
    threading.Thread(target=_end_with, args=(end,), daemon=True).start()

    def report(row: Mapping[str, float]) -> None:
        connection.send((ROW, dict(row)))
        if connection.recv() != GO:
            leave()

    def on_batch() -> None:
        if connection.poll():  # between two reports there is only one thing to be told
            leave()

    def leave() -> None:
        connection.send((STOPPING, None))
        raise StopTraining

    try:
        task = connection.recv()
        prepare_ultralytics(task.context.cache_dir)
        keep_freed_memory()
        vouch()
        module: Any = import_once("segsweep.training.trial")  # Ultralytics, which must find the prepared environment
        if rank == 0:
            module.train_trial(task, report, on_batch)
        else:
            module.follow_trial(task)
    except StopTraining:
        pass
    except BaseException as exc:  # noqa: BLE001 - handed to the process that tells Ray
        connection.send((ERROR, _as_sent(exc)))
        return
    connection.send((DONE, None))


def _end_with(end: int) -> None:
    """A rank whose trial is gone would wait for the others for hours, and hold a GPU."""
    os.read(end, 1)
    os._exit(1)


def _as_sent(error: BaseException) -> BaseException:
    """The error itself, where it survives the way; what it says, where not."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:  # noqa: BLE001 - whatever an error's class does in there
        return TrialError(f"{type(error).__name__}: {error}")
    return error if isinstance(error, Exception) else TrialError(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])), int(sys.argv[2]), int(os.environ["RANK"]))

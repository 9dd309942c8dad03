"""A training loop that somebody else steps: it runs in a thread of its own and waits after every report.

Ultralytics owns its loop and Ray Tune wants to be asked for one epoch at a time. The thread gives both what they
expect, and unlike Ray's function trainables it can be ended cleanly at a report, so that a worker process is reused.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping

Row = Mapping[str, float]
Report = Callable[[Row], None]


class StopTraining(BaseException):
    """Raised inside the loop at a report when nobody wants the next epoch."""


class SteppedTraining:
    """Runs `body(report)` so that each `next_row()` returns the row of one `report` call.

    Args:
        body: The loop; it calls `report(row)` after every epoch.
        name: Of the thread.
    """

    def __init__(self, body: Callable[[Report], None], name: str) -> None:
        self._body = body
        self._rows: queue.Queue[Row | None] = queue.Queue(maxsize=1)
        self._go = threading.Semaphore(0)
        self._stopping = False
        self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def next_row(self) -> Row | None:
        """Let the loop run to its next report and return the row; None when the loop has ended or was stopped.

        Raises:
            Exception: Whatever the loop raised, once.
        """
        if self._ended:
            return None
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._go.release()
        row = self._rows.get()
        if row is None:
            self._ended = True
            if self._error is not None:
                raise self._error
        return row

    def raise_if_stopped(self) -> None:
        """For the loop to call where it may be ended in the middle of an epoch.

        Raises:
            StopTraining: Nobody wants the epoch any more.
        """
        if self._stopping:
            raise StopTraining

    def stop(self) -> None:
        """End the loop at the report where it waits, or at its next step, and wait until it has unwound."""
        self._stopping = True
        self._ended = True
        self._go.release()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._body(self._report)
        except StopTraining:
            pass
        except BaseException as exc:  # noqa: BLE001 - handed to the thread that asks for the next row
            self._error = exc
        finally:
            if not self._stopping:
                self._rows.put(None)

    def _report(self, row: Row) -> None:
        self.raise_if_stopped()  # a report on the way out must not wait for somebody who has left
        self._rows.put(row)
        self._go.acquire()
        self.raise_if_stopped()

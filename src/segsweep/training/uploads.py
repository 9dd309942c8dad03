"""Files on their way to the run's storage while the next epoch trains."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Uploads:
    """Does one piece of work at a time in a thread of its own, in the order given.

    Whoever starts the next piece waits for the one before; whoever offers it does not.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "uploads")
        self._under_way: Future[None] | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Let the work begin once everything before it is done.

        Raises:
            Exception: What the piece before raised.
        """
        self.finish()
        self._under_way = self._pool.submit(work)

    def offer(self, work: Callable[[], None]) -> None:
        """Let the work begin if nothing is under way; else it is left out, for a later piece brings what it would have.

        Raises:
            Exception: What the piece before raised.
        """
        if self._under_way is None or self._under_way.done():
            self.start(work)

    def finish(self) -> None:
        """Wait until everything is done.

        Raises:
            Exception: What the work raised, once.
        """
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def close(self) -> None:
        """Give the thread back, once it is done."""
        self._pool.shutdown()

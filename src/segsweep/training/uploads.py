"""Files on their way to the run's storage while the next epoch trains."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

logger = logging.getLogger(__name__)


class Uploads:
    """Does one piece of work at a time in a thread of its own, in the order given.

    Whoever hands over the next piece waits for the one before: storage that is slower than training slows training
    down, and memory never holds more than one epoch's files.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "uploads")
        self._under_way: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.finish()
        except Exception:
            if error is None or not isinstance(error, Exception):
                raise
            logger.warning(
                "what was under way could not be kept either", exc_info=True
            )  # what went wrong first is told
        finally:
            self._pool.shutdown()

    def start(self, work: Callable[[], None]) -> None:
        """Let the work begin once everything before it is done.

        Raises:
            Exception: What the piece before raised.
        """
        self.finish()
        self._under_way = self._pool.submit(work)

    def finish(self) -> None:
        """Wait until everything is done.

        Raises:
            Exception: What the work raised, once.
        """
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

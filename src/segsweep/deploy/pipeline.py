"""Stages that work at the same time, each in threads of its own, with bounded queues between them.

A stage waits where the next one is slower, so that the whole goes as fast as its slowest stage and memory does not
grow. Items leave in the order in which they came, also from a stage with several threads. OpenCV and onnxruntime
release the interpreter's lock while they compute, which is what makes threads worth having here.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from segsweep.deploy.durations import Durations

T = TypeVar("T")

SOURCE = "decode"  # what the source does, among the names of stages
_TICK_S = 0.05


@dataclass(frozen=True)
class Stage(Generic[T]):
    """One step of the work.

    Attributes:
        name: In the stage's times.
        workers: What is done to an item; one thread each, so that a worker needs no lock.
    """

    name: str
    workers: Sequence[Callable[[T], T]]


class Channel(Generic[T]):
    """A bounded queue whose items have tickets 0, 1, 2, ... and are taken in at their turn, whoever comes first.

    Attributes:
        dropped: Items that a later one pushed out.
        peak: The most items that ever waited.

    Args:
        bound: The most items that may wait.
        latest_wins: A full queue lets go of its oldest item, instead of making its writer wait.
    """

    def __init__(self, bound: int, latest_wins: bool = False) -> None:
        self.dropped = 0
        self.peak = 0
        self._bound = bound
        self._latest_wins = latest_wins
        self._items: deque[T] = deque()
        self._put = 0
        self._taken = 0
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, ticket: int, item: T) -> bool:
        """Add an item at its turn, waiting for room. Returns whether it was taken: nothing is after `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or (ticket == self._put and self._has_room()))
            if self._is_closed:
                return False
            if len(self._items) == self._bound:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self._put += 1
            self.peak = max(self.peak, len(self._items))
            self._changed.notify_all()
            return True

    def take(self) -> tuple[int, T] | None:
        """The next item with the ticket for what becomes of it; None when the queue is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or bool(self._items))
            if not self._items:
                return None
            ticket, self._taken = self._taken, self._taken + 1
            item = self._items.popleft()
            self._changed.notify_all()
            return ticket, item

    def close(self) -> None:
        """Take in nothing more; what waits can still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Take in nothing more and forget what waits."""
        with self._changed:
            self._items.clear()
            self.close()

    def _has_room(self) -> bool:
        return self._latest_wins or len(self._items) < self._bound


class Pipeline(Generic[T]):
    """A source and its stages, at work together.

    Attributes:
        is_interrupted: Whether Ctrl-C ended the source.

    Args:
        source: Gives items, in a thread of its own.
        stages: What is done to each, in this order; what the last one returns is let go.
        bound: The most items that may wait before each stage.
        latest_wins: The first stage gets the source's newest item, and what it was too slow for is dropped.
        halt: Set when the source shall end early; a source that pauses watches it.
        clock: Seconds; only differences are used.
    """

    def __init__(
        self,
        source: Iterable[T],
        stages: Sequence[Stage[T]],
        bound: int,
        latest_wins: bool = False,
        halt: threading.Event | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.is_interrupted = False
        self._source = source
        self._stages = stages
        self._halt = halt or threading.Event()
        self._clock = clock
        first = Channel[T](1 if latest_wins else bound, latest_wins)
        self._channels = [first, *(Channel[T](bound) for _ in stages[1:])]
        self._times = [Durations() for _ in range(1 + len(stages))]
        self._working = [len(stage.workers) for stage in stages]
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._error: BaseException | None = None

    @property
    def dropped(self) -> int:
        """Items that the first stage was too slow for."""
        return self._channels[0].dropped

    @property
    def peaks(self) -> tuple[int, ...]:
        """The most items that ever waited before each stage."""
        return tuple(channel.peak for channel in self._channels)

    @property
    def times(self) -> dict[str, Durations]:
        """How long the source and each stage worked on an item, waiting not included."""
        return dict(zip((SOURCE, *(stage.name for stage in self._stages)), self._times, strict=True))

    def stop(self) -> None:
        """Let the source end; what it has given goes through all stages."""
        self._halt.set()
        self._channels[0].close()

    def run(self, tick: Callable[[], None] = lambda: None) -> None:
        """Work until the source ends, and return when the last stage is done with its last item.

        Ctrl-C ends the source; a second one ends everything.

        Args:
            tick: Called now and then by the calling thread.

        Raises:
            BaseException: The first that the source, a stage or `tick` raised; all stages have ended by then.
            KeyboardInterrupt: The second Ctrl-C.
        """
        threads = [threading.Thread(target=self._feed, daemon=True)]
        for number, stage in enumerate(self._stages):
            threads += [threading.Thread(target=self._work, args=(number, one), daemon=True) for one in stage.workers]
        try:
            for thread in threads:
                thread.start()
            self._wait(tick)
        except KeyboardInterrupt:
            self.is_interrupted = True
            self.stop()
            self._wait(tick)
        finally:
            self._abort()
            for thread in threads:
                thread.join()
        if self._error is not None:
            raise self._error

    def _wait(self, tick: Callable[[], None]) -> None:
        while not self._done.wait(_TICK_S):
            tick()

    def _feed(self) -> None:
        channel, items = self._channels[0], iter(self._source)
        try:
            ticket = 0
            while not self._halt.is_set():
                began = self._clock()
                try:
                    item = next(items)
                except StopIteration:
                    break
                self._times[0].add(self._clock() - began)
                if not channel.put(ticket, item):
                    break
                ticket += 1
        except BaseException as exc:  # noqa: BLE001 - raised again by `run`
            self._fail(exc)
        channel.close()

    def _work(self, number: int, worker: Callable[[T], T]) -> None:
        behind = self._channels[number + 1] if number + 1 < len(self._channels) else None
        try:
            while (taken := self._channels[number].take()) is not None:
                ticket, item = taken
                began = self._clock()
                made = worker(item)
                seconds = self._clock() - began
                with self._lock:
                    self._times[1 + number].add(seconds)
                if behind is not None:
                    behind.put(ticket, made)
        except BaseException as exc:  # noqa: BLE001 - raised again by `run`
            self._fail(exc)
        with self._lock:
            self._working[number] -= 1
            is_last = self._working[number] == 0
        if is_last and behind is not None:
            behind.close()
        elif is_last:
            self._done.set()

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
        self._abort()

    def _abort(self) -> None:
        self._halt.set()
        for channel in self._channels:
            channel.abort()

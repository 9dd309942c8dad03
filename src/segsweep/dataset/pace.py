"""How far counted work has come, and when it will be done: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

_LINE_S = 30.0  # between two lines where nobody watches


@dataclass(frozen=True)
class Pace:
    """How far the work is.

    Attributes:
        done: Units done.
        total: Units in all.
        rate: Units a second, of those done since the work began; 0 where that is not known.
    """

    done: int
    total: int
    rate: float

    @property
    def eta_s(self) -> float | None:
        """Seconds until the last unit is done; None if it is not known."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None

    def left(self) -> str:
        """Rate and time left, in words."""
        if self.eta_s is None:
            return "time left not known yet"
        time_left = f"{math.ceil(self.eta_s)} s" if self.eta_s < 90 else f"{math.ceil(self.eta_s / 60)} min"
        return f"{self.rate:.1f} images/s, about {time_left} left"


class PaceShown:
    """Shows progress as it is told of it; a context.

    Args:
        verb: What is done, in the past tense.
        console: A terminal gets a bar; anything else gets a line now and then, and the last.
        clock: Seconds, monotonic.
    """

    def __init__(self, verb: str, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._verb = verb
        self._console = console
        self._clock = clock
        self._began: tuple[float, int] | None = None
        self._told_s = clock()
        left = TextColumn("{task.fields[left]}")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), left)
        self._bar = Progress(*columns, console=console, transient=True)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Take note of units done and units in all."""
        now = self._clock()
        if self._began is None:
            self._began = (now, done)
        seconds, units = now - self._began[0], done - self._began[1]
        pace = Pace(done, total, units / seconds if seconds > 0 else 0.0)
        if self._console.is_terminal:
            self._draw(pace)
        elif now - self._told_s >= _LINE_S or done == total:
            self._told_s = now
            left = "" if done == total else f", {pace.left()}"
            self._console.print(f"{self._verb} {done} of {total} images{left}", highlight=False)

    def _draw(self, pace: Pace) -> None:
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task(self._verb, total=pace.total, left="")
        self._bar.update(self._task, completed=pace.done, left=pace.left())

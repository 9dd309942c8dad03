"""A cage for one case: a folder it may write to, a clock, a bound on memory, and eyes on everything it opens.

A case that ends in anything but a result or a `SegsweepError`, takes longer or more memory than its bound, or writes
anywhere but into its cage, has found a fault.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from segsweep.errors import SegsweepError

LIMIT_S = 10.0  # of wall time, on a machine that may have other work
LIMIT_BYTES = 1 << 30  # of address space, on top of what the process has when the case begins

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events of sys.addaudithook that change the disk; of each path its place among the arguments, and that of the
# descriptor of the folder it is relative to.
_CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.mkdir": ((0, 2),),
    "os.rmdir": ((0, 1),),
    "os.remove": ((0, 1),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
}
_NEVER = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect")


class Hang(BaseException):
    """The case ran out of time; no handler of ours catches it."""


@dataclass
class Watch:
    """What the process did while a case ran.

    Attributes:
        inside: The only folder it may write to.
        writes: Paths outside it that it wrote to, made or removed.
        reads: Every path it opened to read.
        others: Programs it started, places it connected to.
    """

    inside: str
    writes: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def see(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = args
            if isinstance(path, str | bytes | os.PathLike):
                if flags & _WRITING:
                    self._changed(path, event, -1)
                else:
                    self.reads.append(os.fsdecode(path))
        elif event in _CHANGES:
            for path, folder in _CHANGES[event]:
                if not isinstance(args[path], int):
                    self._changed(args[path], event, -1 if folder is None else args[folder])
        elif event in _NEVER:
            self.others.append(f"{event} {args!r}"[:200])

    def _changed(self, path: Any, event: str, folder: int) -> None:
        name = os.fsdecode(path)
        at = Path(f"/proc/self/fd/{folder}").readlink() / name if folder >= 0 else Path(name)
        # A new name in a linked folder lies where the link leads; the name itself may be a link that is removed.
        real = os.path.realpath(at if event == "open" else at.parent)
        if event != "open":
            real = f"{real}/{at.name}"
        is_there = event == "os.mkdir" and real == self.inside  # asked for with exist_ok
        if not real.startswith(self.inside + "/") and real != os.devnull and not is_there:
            self.writes.append(f"{event} {real}")


_watch: Watch | None = None


def _hook(event: str, args: tuple[Any, ...]) -> None:
    global _watch  # noqa: PLW0603 - a hook cannot be removed, so it is told what to watch
    if _watch is not None:
        watch, _watch = _watch, None  # what the watch itself does is not its business
        try:
            watch.see(event, args)
        finally:
            _watch = watch


sys.addaudithook(_hook)


@dataclass(frozen=True)
class Result:
    """How a case ended.

    Attributes:
        value: What the action returned; None if it was refused or failed.
        refusal: The error that refused it.
        faults: What was wrong about the way it ended; empty for a good end.
        seconds: How long it took.
        reads: What it opened to read.
    """

    value: Any
    refusal: SegsweepError | None
    faults: tuple[str, ...]
    seconds: float
    reads: tuple[str, ...]


def run(action: Callable[[], Any], inside: Path, limit_s: float = LIMIT_S) -> Result:
    """Run the action in a cage.

    Args:
        action: The case.
        inside: The folder it may write to.
        limit_s: How long it may take.
    """
    value, refusal, faults = None, None, []
    started = time.perf_counter()
    with _caged(inside, limit_s) as watch:
        try:
            value = action()
        except SegsweepError as exc:
            refusal = exc
        except Hang:
            faults.append(f"hangs: more than {limit_s:g} s\n{traceback.format_exc(limit=-3)}")
        except Exception:  # noqa: BLE001 - this is what is looked for
            faults.append(f"ends in a traceback\n{traceback.format_exc(limit=-4)}")
    seconds = time.perf_counter() - started
    if not faults and seconds > limit_s:
        faults.append(f"takes {seconds:.1f} s, may take {limit_s:g}")
    faults += [f"writes outside its folder: {write}" for write in watch.writes]
    faults += [f"reaches out: {other}" for other in watch.others]
    return Result(value, refusal, tuple(faults), seconds, tuple(watch.reads))


@contextmanager
def _caged(inside: Path, limit_s: float) -> Iterator[Watch]:
    global _watch  # noqa: PLW0603 - see _hook
    watch = Watch(os.path.realpath(inside))
    before = tempfile.tempdir, sys.dont_write_bytecode, signal.signal(signal.SIGALRM, _ring)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    tempfile.tempdir = str(inside / "tmp")
    (inside / "tmp").mkdir(exist_ok=True)
    sys.dont_write_bytecode = True  # a module imported late is no write of the case
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + LIMIT_BYTES, limits[1]))
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    _watch = watch
    try:
        yield watch
    finally:
        _watch = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        tempfile.tempdir, sys.dont_write_bytecode = before[:2]
        signal.signal(signal.SIGALRM, before[2])


def _ring(number: int, frame: FrameType | None) -> None:
    raise Hang


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()

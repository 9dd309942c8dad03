"""The error tree. A user meets exactly one of these, as a message and an exit code, never as a traceback.

```
SegsweepError
├── ConfigError             exit 2   a job, search space, option or --set value breaks a rule
│   └── MissingExtraError            a command needs an optional dependency that is not installed
├── DatasetError            exit 3   a raw dataset or a bundle is missing, broken or not what was promised
├── StorageError            exit 3   bytes could not be read or written where they live
│   ├── NotFoundError                the key, folder or bucket does not exist
│   ├── AccessError                  credentials are missing, wrong or not allowed to do this
│   ├── UnreachableError             the endpoint does not answer
│   ├── NoSpaceError                 the disk is full
│   └── ConflictError                a conditional write lost: somebody else wrote first
├── RunError                exit 4   a sweep cannot start, go on or end
│   ├── RunLockedError               another driver owns the run
│   ├── DamagedRunError      exit 3  files of the run are missing, foreign or truncated
│   ├── TrialError                   one trial failed; the sweep goes on
│   │   └── DivergedError            the trial's loss became NaN or infinite: its hyperparameters do not train
│   └── InterruptedSweepError        stopped by the user or the budget; the same command goes on
├── ReportError             exit 4   a run has nothing to report, or evaluation failed
└── ExportError             exit 4   no candidate satisfies the constraint, or parity is broken
```

Every error carries `Problem`s, so that all mistakes of one input are told at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, told so that the reader can mend it.

    Attributes:
        where: File, key, URI or option, with a line or record where there is one.
        field: Dotted field, column or argument; empty when the whole of `where` is meant.
        value: What was found there, as text; empty when nothing was.
        rule: What must hold instead.
        fix: What to do next; empty when the rule says it.
    """

    where: str
    rule: str
    field: str = ""
    value: str = ""
    fix: str = ""

    def __str__(self) -> str:
        head = f"{self.where}: {self.field}" if self.field else self.where
        found = f" = {self.value}" if self.value and self.field else (f": {self.value}" if self.value else "")
        tail = f" ({self.fix})" if self.fix else ""
        return f"{head}{found}: {self.rule}{tail}"


def shortened(names: Sequence[str]) -> str:
    """The first five names, and how many more there are."""
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


class SegsweepError(Exception):
    """Base of every error a user meets.

    Args:
        problems: A sentence, one `Problem`, or several of them.
    """

    exit_code = 1

    def __init__(self, problems: str | Problem | Sequence[Problem]) -> None:
        if isinstance(problems, str):
            self.problems: tuple[Problem, ...] = ()
            message = problems
        else:
            self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
            message = "\n".join(str(problem) for problem in self.problems)
        super().__init__(message)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        # Errors cross process borders under Ray; Exception's own reduce would pass the joined message.
        return type(self), (self.problems or str(self),)


class ConfigError(SegsweepError):
    """A job, search space, option or `--set` value breaks a rule."""

    exit_code = 2


class MissingExtraError(ConfigError):
    """A command needs an optional dependency that is not installed."""


class DatasetError(SegsweepError):
    """A raw dataset or a bundle is missing, broken or not what was promised."""

    exit_code = 3


class StorageError(SegsweepError):
    """Bytes could not be read or written where they live."""

    exit_code = 3


class NotFoundError(StorageError):
    """The key, folder or bucket does not exist."""


class AccessError(StorageError):
    """Credentials are missing, wrong or not allowed to do this."""


class UnreachableError(StorageError):
    """The endpoint does not answer."""


class NoSpaceError(StorageError):
    """The disk is full."""


class ConflictError(StorageError):
    """A conditional write lost: somebody else wrote first."""


class RunError(SegsweepError):
    """A sweep cannot start, go on or end."""

    exit_code = 4


class RunLockedError(RunError):
    """Another driver owns the run."""


class DamagedRunError(RunError):
    """Files of the run are missing, foreign or truncated, and nothing that remains can replace them."""

    exit_code = 3


class TrialError(RunError):
    """One trial failed; the sweep goes on."""


class DivergedError(TrialError):
    """The trial's loss became NaN or infinite: its hyperparameters do not train."""


class InterruptedSweepError(RunError):
    """Stopped by the user or the budget; the same command goes on."""


class ReportError(SegsweepError):
    """A run has nothing to report, or evaluation failed."""

    exit_code = 4


class ExportError(SegsweepError):
    """No candidate satisfies the constraint, or parity is broken."""

    exit_code = 4

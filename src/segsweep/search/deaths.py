"""Why a worker died, from what Ray has written down about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from segsweep.core.failures import NODE_LOST, OUT_OF_MEMORY, WORKER_DIED

_EACH = "Failure # "  # begins the line above each of a trial's deaths
_ADVICE = " Some common causes include"  # of any death; longer than what it knows of this one
_LOW_MEMORY = "running low on memory"
_USED = re.compile(r"was (\S+ used / \S+) limit")
# Of a machine that was taken away, that was shut down, and that answers no more alike. Ray's own `preempted` knows
# only machines that its autoscaler has drained, which is not how a cloud takes a spot machine.
_NODE_DIED = "its node has died"
_ACTORS_NODE = "the actor's node was "  # begins how
# Of a machine whose raylet and workers are gone at once, before Ray has missed it: a worker that dies alone is told by
# its raylet.
_OUT_OF_REACH = "The actor is temporarily unavailable"


@dataclass(frozen=True)
class Death:
    """A worker's death.

    Attributes:
        error: For the trial's record, with what to do about it.
        kind: One of `core.failures`.
    """

    error: str
    kind: str


def last_death(path: str | None, variant: str) -> Death:
    """The last death that Ray has written down for a trial.

    Args:
        path: Ray's error file of the trial; None where there is none.
        variant: The trial's size.
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace") if path else ""
    except OSError:
        text = ""
    _, each, last_text = text.rpartition(_EACH)
    lines = [line.strip() for line in last_text.splitlines()[1 if each else 0 :] if line.strip()]
    memory = next((line for line in lines if _LOW_MEMORY in line), None)
    if memory is not None:
        used = _USED.search(memory)
        how_much = f" ({used[1]})" if used else ""
        fix = f"lower concurrency or train.batch, or raise resources.{variant}.cpus: fewer trials then share a machine"
        return Death(f"the machine ran out of memory{how_much} and the worker was killed: {fix}", OUT_OF_MEMORY)
    if any(_NODE_DIED in line for line in lines):
        return Death(f"its machine was lost: {lines[-1].removeprefix(_ACTORS_NODE)}", NODE_LOST)
    if any(_OUT_OF_REACH in line for line in lines):
        return Death("its machine was lost: it is out of reach", NODE_LOST)
    last = lines[-1].split(_ADVICE)[0] if lines else "no message"
    return Death(f"the worker died: {last}", WORKER_DIED)

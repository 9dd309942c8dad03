"""A driver whose workers leave a note of every epoch: `python _observed_driver.py NOTES ARGS...` is `segsweep ARGS...`.

NOTES is a file. Each epoch that was trained, and not only reported again from a checkpoint, is one line of JSON in it,
written before anything of the epoch is kept. This file's class reaches the workers because it is of `__main__`, which
Ray pickles by value.
"""

from __future__ import annotations

import sys
from typing import Any

from segsweep.cli import main
from segsweep.training import trainable
from segsweep.training.trainable import SweepTrainable

NOTES = sys.argv.pop(1)


class Observed(SweepTrainable):
    """Trains as usual."""

    notes = NOTES

    def _begin(self, record: Any) -> Any:
        # Here, for this class travels to the workers without the module around it.
        import json  # noqa: PLC0415
        import os  # noqa: PLC0415
        import time  # noqa: PLC0415

        from segsweep.training import trial  # noqa: PLC0415

        notes, plain = self.notes, trial._Attempt._end_epoch

        def noting(attempt: Any, trainer: Any, row: Any, is_best: bool) -> None:
            of = {"trial_id": attempt.task.record.trial_id, "epoch": row["epoch"], "seconds": row["seconds"]}
            line = json.dumps({**of, "at": time.time(), "pid": os.getpid()}) + "\n"
            file = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(file, line.encode())
            os.close(file)
            plain(attempt, trainer, row, is_best)

        if plain.__name__ != noting.__name__:
            trial._Attempt._end_epoch = noting  # type: ignore[method-assign,assignment]
        return super()._begin(record)


if __name__ == "__main__":
    trainable.SweepTrainable = Observed  # type: ignore[misc]
    sys.exit(main())

"""A driver whose workers meet faults: `python faulty_driver.py FAULTS ARGS...` is `segsweep ARGS...` with them.

FAULTS is a folder. Each file `<trial>-<report>-<n>` in it is one fault, met once, before the trial's report; its text
says which. This file's class reaches the workers because it is of `__main__`, which Ray pickles by value.
"""

import json
import sys
from pathlib import Path

from segsweep.cli import main
from segsweep.training import trainable
from segsweep.training.trainable import SweepTrainable

FOLDER = sys.argv.pop(1)


class Faulty(SweepTrainable):
    """Meets the faults that are planned for its trial, each once."""

    folder = FOLDER

    def step(self):
        import ctypes
        import os
        import signal
        import time

        trial_id, report = self.config["record"]["trial_id"], self._reported() + 1
        planned = sorted(Path(self.folder).glob(f"{trial_id}-{report}-*"))
        if not planned:
            return super().step()
        fault = planned[0].read_text()
        planned[0].unlink()
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "segfault":
            ctypes.string_at(0)
        if fault == "hang":
            time.sleep(3600)
        if fault == "raise":
            self._started().next_row = self._raising
        row = super().step()
        return {**row, "mask_map50_95": float("nan")} if fault == "nan" else row

    def _raising(self):
        raise RuntimeError("planted")

    def _reported(self):
        """Epochs that the driver has heard of: a worker that goes on after another starts there."""
        record = self.config["record"]
        path = Path(self._context.run_uri) / "trials" / record["directory"] / "trial.json"
        return json.loads(path.read_text())["epoch"]


if __name__ == "__main__":
    trainable.SweepTrainable = Faulty
    sys.exit(main())

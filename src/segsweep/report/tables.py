"""The report's tables as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from segsweep.report.facts import Facts, Judged


def front_csv(facts: Facts) -> bytes:
    """One row a finalist, those on the front first, fastest first; column `on_front` tells them apart.

    Further precisions follow; `on_front` and `knee` are of the fp32 finalists, `on_front_of_all` of all rows.
    """
    off = [finalist for finalist in facts.finalists if not finalist.on_front]
    front_of_all = facts.front_of_all
    rows = []
    for finalist in (*facts.front, *off):
        own = {
            "gain_over_default": finalist.gain_over_default,
            "on_front": finalist.on_front,
            "knee": finalist.trial_id == facts.knee,
        }
        rows.append({**_measured(finalist.judged), **own, "on_front_of_all": finalist.judged in front_of_all})
    for point in facts.points:
        own = {"gain_over_default": None, "on_front": False, "knee": False}
        rows.append({**_measured(point.judged), **own, "on_front_of_all": point.judged in front_of_all})
    return _csv(rows)


def _measured(judged: Judged) -> dict[str, Any]:
    """The columns that are of one model's file, whatever its precision."""
    total = judged.latency.total
    return {
        "trial_id": judged.record.trial_id,
        "variant": judged.record.variant,
        "imgsz": judged.exported.imgsz,
        "runtime": judged.latency.runtime,
        "precision": judged.exported.precision,
        "test_mask_map50_95": judged.test.mask_map50_95,
        "test_mask_map50": judged.test.mask_map50,
        "latency_p50_ms": total.p50,
        "latency_p90_ms": total.p90,
        "latency_p99_ms": total.p99,
    }


def trials_csv(facts: Facts) -> bytes:
    """One row a trial in order of proposal; hyperparameters are columns named `param.<name>`."""
    trials = facts.setting.trials
    names = sorted({name for trial in trials for name in trial.params})
    return _csv(
        [
            {
                "trial_id": trial.trial_id,
                "variant": trial.variant,
                "status": trial.status.value,
                "is_default": trial.is_default,
                "epochs_trained": trial.epoch,
                "mask_map50_95": trial.mask_map50_95,
                "best_epoch": trial.best_epoch,
                "seconds": round(trial.seconds, 3),
                "gpu_seconds": round(trial.gpu_seconds, 3),
                **{f"param.{name}": trial.params.get(name) for name in names},
                "error": trial.error,
            }
            for trial in trials
        ]
    )


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)
    return text.getvalue().encode()

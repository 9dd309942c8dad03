"""A trial's epochs as TensorBoard reads them: `tensorboard --logdir RUN/trials`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter
from tensorboardX.summary import hparams

from segsweep.core.metrics import OBJECTIVE
from segsweep.core.trials import ParamValue

_GROUPS = ("box", "mask", "train", "val", "lr")


def write_events(path: Path, rows: Iterable[Mapping[str, float]], params: Mapping[str, ParamValue]) -> None:
    """Write all epochs of a trial, and its hyperparameters for the page that compares trials.

    The file is always written from all rows, so that a trial that was interrupted has every epoch once. Epochs are
    dated back from now by what they took; while a trial waited, no time passes.

    Args:
        path: The file; its name must begin with `events.out.tfevents`.
        rows: One an epoch, in order, as `metrics.csv` has them.
        params: What distinguishes the trial.
    """
    known = list(rows)
    ends = list(accumulate(row["seconds"] for row in known))
    began = time.time() - (ends[-1] if ends else 0.0)
    writer = RecordWriter(str(path))
    try:
        writer.write(Event(wall_time=began, file_version="brain.Event:2").SerializeToString())
        for summary in hparams(dict(params), {tag(OBJECTIVE): 0.0}):
            writer.write(Event(wall_time=began, summary=summary).SerializeToString())
        for row, end in zip(known, ends, strict=True):
            summary = Summary(value=list(_scalars(row)))
            event = Event(wall_time=began + end, step=int(row["epoch"]), summary=summary)
            writer.write(event.SerializeToString())
    finally:
        writer.close()


def tag(column: str) -> str:
    """TensorBoard's name of a column: `train_box_loss` is `train/box_loss`, in the group `train`."""
    group, _, name = column.partition("_")
    return f"{group}/{name}" if group in _GROUPS else column


def _scalars(row: Mapping[str, float]) -> Iterator[Summary.Value]:
    for column, value in row.items():
        if column != "epoch":
            yield Summary.Value(tag=tag(column), simple_value=value)

"""What a comparison of models found: facts, as JSON, as a table for a terminal and for a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segsweep.deploy.agreement import Agreement
from segsweep.inference.machine import Machine
from segsweep.inference.precision import weight_precision
from segsweep.inference.predictor import RUNTIME
from segsweep.inference.timings import QUIET_CPUS, Percentiles

STAGES = ("read", "prepare", "forward", "postprocess")
COLUMNS = (*STAGES, "total")
UNSTEADY_RATIO = 1.2  # of the largest to the smallest median of a configuration's rounds
UNSTEADY, DISTURBED, UNREPEATABLE = "unsteady", "disturbed", "unrepeatable"
FLAG_TEXT = {
    UNSTEADY: "medians of its rounds differ by more than 20 %: measure again",
    DISTURBED: f"other processes kept more than {QUIET_CPUS} CPUs busy meanwhile",
    UNREPEATABLE: "its rounds did not find the same objects",
}


@dataclass(frozen=True)
class Configuration:
    """What is compared: a model file, as the user named it and as it was found, with a number of threads."""

    model: str
    path: Path
    threads: int

    def __str__(self) -> str:
        return _named(self.model, self.threads)


@dataclass(frozen=True)
class ProcessRun:
    """What one process measured.

    Attributes:
        samples_ms: One row an image: read, prepare, forward, postprocess, and all of it by the wall clock.
        runtime: What executed the network.
        runtime_version: Its version.
        provider: Its execution provider or device.
        canvas: Height and width of the network's input in pixels.
        loading_ms: From the file to a model that is ready, with imports of its runtime.
        peak_memory_bytes: Resident memory of the process at its peak.
        load_before: Load average at the start.
        load_after: Load average at the end.
        others_cpus: CPUs that other processes kept busy meanwhile.
    """

    samples_ms: tuple[tuple[float, float, float, float, float], ...]
    runtime: str
    runtime_version: str
    provider: str
    canvas: tuple[int, int]
    loading_ms: float
    peak_memory_bytes: int
    load_before: float | None
    load_after: float | None
    others_cpus: float | None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProcessRun:
        """Inverse of `dataclasses.asdict`.

        Raises:
            KeyError, TypeError, ValueError: The mapping is no such run.
        """
        rows = tuple((float(a), float(b), float(c), float(d), float(e)) for a, b, c, d, e in data["samples_ms"])
        height, width = data["canvas"]
        return cls(**{**data, "samples_ms": rows, "canvas": (int(height), int(width))})


@dataclass(frozen=True)
class Measured:
    """A configuration's rounds together.

    Attributes:
        model: As the user named it.
        file: The model file.
        threads: Threads pinned.
        size_bytes: Of the file.
        runtime: What executed the network.
        runtime_version: Its version.
        provider: Its execution provider or device.
        precision: Of its weights when it runs, e.g. `fp32`.
        canvas: Height and width of the network's input in pixels.
        samples: Images timed, over all rounds.
        ms: Percentiles by `COLUMNS`, each taken by itself, so that they need not add up.
        round_p50_ms: Median total of each round by itself.
        loading_ms: The median over the rounds.
        peak_memory_bytes: The largest of the rounds.
        load_before: Load average of the machine before each round.
        load_after: The same after each.
        others_cpus: CPUs that other processes kept busy, the worst round.
        agreement: With the reference; None where the reference failed.
        flags: Keys of `FLAG_TEXT`: why not to trust the figures.
    """

    model: str
    file: str
    threads: int
    size_bytes: int
    runtime: str
    runtime_version: str
    provider: str
    precision: str
    canvas: tuple[int, int]
    samples: int
    ms: Mapping[str, Percentiles]
    round_p50_ms: tuple[float, ...]
    loading_ms: float
    peak_memory_bytes: int
    load_before: tuple[float | None, ...]
    load_after: tuple[float | None, ...]
    others_cpus: float | None
    agreement: Agreement | None
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """All of it.

    Attributes:
        out: The folder of results.
        reference: The model that the others are compared with.
        conf: A score must be above this, 0-1.
        rounds: Fresh processes for each configuration.
        images: The images that were compared on.
        classes: Class names by index, those of every model.
        machine: Where it was.
        measured: Each configuration that ran, in the order of the command line.
        failed: Each that did not: `model`, `threads` and `error`.
        broken: Each image that was left out: `file_name` and `error`.
    """

    out: Path
    reference: str
    conf: float
    rounds: int
    images: tuple[str, ...]
    classes: tuple[str, ...]
    machine: Machine
    measured: tuple[Measured, ...]
    failed: tuple[dict[str, Any], ...]
    broken: tuple[dict[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """For `--json` and `compare.json`."""
        return {"schema": 1, **asdict(self), "out": str(self.out)}

    def to_text(self) -> str:
        """For a terminal."""
        about_model = ("model", "runtime", "weights", "input px")
        totals = ("p50 ms", "p90", "p99")
        head = (*about_model, "threads", *totals, *STAGES, "memory MB", "file MB", "same", "IoU")
        table = [head, *(_cells(one) for one in self.measured)]
        widths = [max(len(row[column]) for row in table) for column in range(len(head))]
        lines = [
            "  ".join(
                cell.ljust(width) if column < len(about_model) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        ]
        lines += [
            f"{_named(one.model, one.threads)}: {flag}: {FLAG_TEXT[flag]}"
            for one in self.measured
            for flag in one.flags
        ]
        lines += [f"{_named(one['model'], one['threads'])}: failed: {one['error']}" for one in self.failed]
        lines += [f"{len(self.broken)} images could not be read"] if self.broken else []
        about = f"{len(self.images)} images, {self.rounds} rounds, {self.machine}"
        meaning = f"`same`: share of the objects of {self.reference} that are found, `IoU`: of their masks"
        return "\n".join([*lines, f"{about}; stages are medians in ms; {meaning}", f"look at {self.out}"])

    def to_csv(self) -> str:
        """One row a configuration."""
        rows = [_row(one) for one in self.measured]
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


def pool(
    configuration: Configuration, runs: Sequence[ProcessRun], digests: Sequence[str], agreement: Agreement | None
) -> Measured:
    """The rounds of one configuration; percentiles are linear between ranks, over the samples of all rounds.

    Args:
        configuration: What was measured.
        runs: Its rounds, at least one.
        digests: Of the objects that each round found.
        agreement: With the reference.
    """
    samples = np.concatenate([np.asarray(run.samples_ms, np.float64) for run in runs])
    medians = tuple(round(float(np.median(np.asarray(run.samples_ms)[:, -1])), 3) for run in runs)
    others = [run.others_cpus for run in runs if run.others_cpus is not None]
    flags = {
        UNSTEADY: max(medians) > UNSTEADY_RATIO * min(medians),
        DISTURBED: bool(others) and max(others) > QUIET_CPUS,
        UNREPEATABLE: len(set(digests)) > 1,
    }
    return Measured(
        model=configuration.model,
        file=str(configuration.path),
        threads=configuration.threads,
        size_bytes=configuration.path.stat().st_size,
        runtime=runs[0].runtime,
        runtime_version=runs[0].runtime_version,
        provider=runs[0].provider,
        # Ultralytics makes float32 of a checkpoint's weights, whatever they are in the file.
        precision=weight_precision(configuration.path) if runs[0].runtime == RUNTIME else "fp32",
        canvas=runs[0].canvas,
        samples=len(samples),
        ms={name: _percentiles(samples[:, column]) for column, name in enumerate(COLUMNS)},
        round_p50_ms=medians,
        loading_ms=round(float(np.median([run.loading_ms for run in runs])), 1),
        peak_memory_bytes=max(run.peak_memory_bytes for run in runs),
        load_before=tuple(run.load_before for run in runs),
        load_after=tuple(run.load_after for run in runs),
        others_cpus=round(max(others), 2) if others else None,
        agreement=agreement,
        flags=tuple(flag for flag, is_raised in flags.items() if is_raised),
    )


def _named(model: str, threads: int) -> str:
    return f"{model}, {threads} thread{'s' if threads > 1 else ''}"


def _percentiles(samples_ms: Any) -> Percentiles:
    return Percentiles(*(round(float(value), 3) for value in np.percentile(samples_ms, [50, 90, 99])))


def _cells(one: Measured) -> tuple[str, ...]:
    total = one.ms["total"]
    share = None if one.agreement is None else one.agreement.matched_share
    iou = None if one.agreement is None else one.agreement.mean_mask_iou
    return (
        *(one.model, one.runtime, one.precision, "x".join(map(str, one.canvas)), str(one.threads)),
        *(f"{value:.1f}" for value in (total.p50, total.p90, total.p99)),
        *(f"{one.ms[stage].p50:.1f}" for stage in STAGES),
        *(f"{one.peak_memory_bytes / 1e6:.0f}", f"{one.size_bytes / 1e6:.1f}"),
        *("-" if share is None else f"{100 * share:.1f} %", "-" if iou is None else f"{iou:.3f}"),
    )


def _row(one: Measured) -> dict[str, Any]:
    row = asdict(one)
    ms, agreement = row.pop("ms"), row.pop("agreement") or {}
    row |= {f"{name}_{key}_ms": value for name, spread in ms.items() for key, value in spread.items()}
    row |= {key: agreement.get(key) for key in Agreement.__dataclass_fields__}
    return {key: " ".join(map(str, value)) if isinstance(value, tuple) else value for key, value in row.items()}

"""What a latency is: the plan of a measurement, one round of it, and the figures of all rounds together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segsweep.inference.predictor import RUNTIME

DEFINITION = (
    "one image, batch 1, end to end from the decoded image in memory: letterbox, network, NMS and masks at the image's "
    "own resolution; reading the file is not included"
)
STAGES = ("prepare", "forward", "postprocess")
# Others keeping more than this many CPUs busy while a process measures make its figures doubtful.
QUIET_CPUS = 0.25


@dataclass(frozen=True)
class LatencyPlan:
    """How much is measured.

    Attributes:
        threads: Threads of the network, of OpenCV and of NumPy.
        rounds: Fresh processes for each model.
        samples: Images timed in a process.
        warmup: Images before them that are not counted.
        max_seconds: A process stops taking samples after this long, but not before 5.
    """

    threads: int
    rounds: int = 3
    samples: int = 40
    warmup: int = 5
    max_seconds: float = 20.0


@dataclass(frozen=True)
class Percentiles:
    """Of one stage or of the total, in ms."""

    p50: float
    p90: float
    p99: float


@dataclass(frozen=True)
class Latency:
    """What was measured for one model, with its conditions.

    Attributes:
        total: End to end.
        stages: `prepare`, `forward` and `postprocess`; each taken by itself, so that they need not add up.
        samples: Images counted, over all rounds.
        round_p50_ms: p50 of each round by itself; their spread is the noise.
        canvas: Height and width of the network's input in pixels.
        batch: Images at a time.
        runtime: What executed the network.
        runtime_version: Its version.
        provider: Its execution provider.
        threads: Threads pinned.
        load_before: Load average of the machine at the first process.
        load_after: Load average of the machine after the last process.
        others_cpus: CPUs that other processes kept busy, the worst round; None where the system does not tell.
    """

    total: Percentiles
    stages: Mapping[str, Percentiles]
    samples: int
    round_p50_ms: tuple[float, ...]
    canvas: tuple[int, int]
    batch: int
    runtime: str
    runtime_version: str
    provider: str
    threads: int
    load_before: float | None
    load_after: float | None
    others_cpus: float | None

    @property
    def is_quiet(self) -> bool:
        """Whether nobody else was measurably busy meanwhile; True where the system does not tell."""
        return self.others_cpus is None or self.others_cpus <= QUIET_CPUS

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready mapping."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Latency:
        """Inverse of `to_json`.

        Raises:
            KeyError, TypeError: The mapping is not a latency.
        """
        known = {field.name: data[field.name] for field in fields(cls)}
        known["total"] = Percentiles(**known["total"])
        known["stages"] = {stage: Percentiles(**known["stages"][stage]) for stage in STAGES}
        known["round_p50_ms"] = tuple(known["round_p50_ms"])
        known["canvas"] = tuple(known["canvas"])
        return cls(**known)


@dataclass(frozen=True)
class Round:
    """What one process measured.

    Attributes:
        samples_ms: One row an image: prepare, forward, postprocess.
        canvas: Height and width of the network's input in pixels.
        runtime_version: Version of onnxruntime.
        provider: Its execution provider.
        load_before: Load average at the start.
        load_after: Load average at the end.
        others_cpus: CPUs that other processes kept busy meanwhile.
    """

    samples_ms: tuple[tuple[float, float, float], ...]
    canvas: tuple[int, int]
    runtime_version: str
    provider: str
    load_before: float | None
    load_after: float | None
    others_cpus: float | None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Round:
        """Inverse of `dataclasses.asdict`.

        Raises:
            KeyError, TypeError, ValueError: The mapping is not a round.
        """
        rows = tuple((float(a), float(b), float(c)) for a, b, c in data["samples_ms"])
        height, width = data["canvas"]
        return cls(**{**data, "samples_ms": rows, "canvas": (height, width)})


def pool(rounds: Sequence[Round], plan: LatencyPlan) -> Latency:
    """One model's rounds as one latency; percentiles are linear between ranks, over the samples of all rounds."""
    samples = np.concatenate([np.asarray(done.samples_ms, np.float64) for done in rounds])
    others = [done.others_cpus for done in rounds if done.others_cpus is not None]
    return Latency(
        total=_percentiles(samples.sum(axis=1)),
        stages={stage: _percentiles(samples[:, column]) for column, stage in enumerate(STAGES)},
        samples=len(samples),
        round_p50_ms=tuple(round(float(np.median(np.asarray(done.samples_ms).sum(axis=1))), 3) for done in rounds),
        canvas=rounds[0].canvas,
        batch=1,
        runtime=RUNTIME,
        runtime_version=rounds[0].runtime_version,
        provider=rounds[0].provider,
        threads=plan.threads,
        load_before=rounds[0].load_before,
        load_after=rounds[-1].load_after,
        others_cpus=round(max(others), 2) if others else None,
    )


def _percentiles(samples_ms: NDArray[np.float64]) -> Percentiles:
    return Percentiles(*(round(float(value), 3) for value in np.percentile(samples_ms, [50, 90, 99])))

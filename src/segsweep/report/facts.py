"""The facts of a report, frozen: what `facts.json` holds and everything else is drawn from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from segsweep.core.front import cost_matrix, hypervolume, knee, non_dominated, reference_point
from segsweep.core.selection import Candidate
from segsweep.core.trials import TrialRecord
from segsweep.core.variants import Variant
from segsweep.inference.export import ExportedModel
from segsweep.inference.timings import Latency
from segsweep.report.evaluate import Evaluation
from segsweep.report.finalists import Contender, MissingVariant

SCHEMA = 1


@dataclass(frozen=True)
class Judged:
    """One trial's measurements.

    Attributes:
        record: The trial.
        test: Its accuracy on test.
        weights_sha256: Of its best weights.
        exported: Its ONNX file.
        latency: Of that file.
    """

    record: TrialRecord
    test: Evaluation
    weights_sha256: str
    exported: ExportedModel
    latency: Latency


@dataclass(frozen=True)
class Finalist:
    """One size's best model.

    Attributes:
        judged: Its measurements.
        default_trial: The default trial that it is compared with; None when that was not trained to the end.
        gain_over_default: mask_map50_95 on test minus the default trial's; 0.0 for the default itself, None without.
        on_front: Whether no other finalist is at least as accurate and as fast, and better in one.
    """

    judged: Judged
    default_trial: str | None
    gain_over_default: float | None
    on_front: bool

    @property
    def trial_id(self) -> str:
        """The trial."""
        return self.judged.record.trial_id

    @property
    def variant(self) -> Variant:
        """Its size."""
        return self.judged.record.variant

    def to_json(self) -> dict[str, Any]:
        """The entry under `finalists` in `facts.json`."""
        judged, latency = self.judged, self.judged.latency
        return {
            "trial_id": self.trial_id,
            "variant": self.variant,
            "imgsz": judged.exported.imgsz,
            "runtime": latency.runtime,
            "precision": judged.exported.precision,
            "test_mask_map50": judged.test.mask_map50,
            "test_mask_map50_95": judged.test.mask_map50_95,
            "latency_ms": asdict(latency.total),
            "gain_over_default": self.gain_over_default,
            "on_front": self.on_front,
            "default_trial": self.default_trial,
            "val_mask_map50_95": judged.record.mask_map50_95,
            "params": dict(judged.record.params),
            "test": judged.test.to_json(),
            "timing": {name: value for name, value in latency.to_json().items() if name != "total"},
            "weights_sha256": judged.weights_sha256,
            "onnx_sha256": judged.exported.sha256,
            "onnx_bytes": judged.exported.size_bytes,
            "opset": judged.exported.opset,
        }


@dataclass(frozen=True)
class Point:
    """A finalist in a further precision, a further point of the chart.

    Attributes:
        judged: Its measurements, of the exported file itself.
        difference: mask_map50_95 on test minus that of the fp32 finalist.
    """

    judged: Judged
    difference: float

    def to_json(self) -> dict[str, Any]:
        """The entry under `further_points` in `facts.json`."""
        judged, latency = self.judged, self.judged.latency
        return {
            "trial_id": judged.record.trial_id,
            "variant": judged.record.variant,
            "imgsz": judged.exported.imgsz,
            "runtime": latency.runtime,
            "precision": judged.exported.precision,
            "test_mask_map50": judged.test.mask_map50,
            "test_mask_map50_95": judged.test.mask_map50_95,
            "difference_to_fp32": self.difference,
            "latency_ms": asdict(latency.total),
            "test": judged.test.to_json(),
            "timing": {name: value for name, value in latency.to_json().items() if name != "total"},
            "onnx_sha256": judged.exported.sha256,
            "onnx_bytes": judged.exported.size_bytes,
            "calibration_images": judged.exported.calibration_images,
        }


@dataclass(frozen=True)
class Setting:
    """What a report is about, before anything is measured.

    Attributes:
        run: The run's name.
        run_uri: Where it is.
        dataset: URI of the bundle.
        dataset_digest: sha256 of its content.
        classes: Its class names.
        device: The machine that latency is measured on.
        protocol: How accuracy and latency are measured, and by which rules front, knee and hypervolume are taken.
        trials: All trials of the run.
        missing: Sizes without a finalist.
        milestones: Epochs at which the sweep stopped trials.
        max_epochs: Horizon of a trial in epochs.
        created: When the report was made, UTC, ISO 8601.
        version: Version of segsweep.
    """

    run: str
    run_uri: str
    dataset: str
    dataset_digest: str
    classes: tuple[str, ...]
    device: str
    protocol: Mapping[str, Any]
    trials: tuple[TrialRecord, ...]
    missing: tuple[MissingVariant, ...]
    milestones: tuple[int, ...]
    max_epochs: int
    created: str
    version: str


@dataclass(frozen=True)
class Facts:
    """Everything a report says.

    Attributes:
        setting: What it is about.
        finalists: The best of every size, smallest size first.
        knee: Trial of the knee; None only without a finite figure.
        hypervolume: Area under the front, mAP x ms.
        reference_point: Its corner: mAP, ms.
        points: The finalists in further precisions; front, knee and hypervolume are without them.
    """

    setting: Setting
    finalists: tuple[Finalist, ...]
    knee: str | None
    hypervolume: float
    reference_point: tuple[float, float]
    points: tuple[Point, ...] = ()

    @property
    def all_judged(self) -> tuple[Judged, ...]:
        """Everything that is a point of the chart: finalists, then further precisions."""
        return (*(one.judged for one in self.finalists), *(point.judged for point in self.points))

    @property
    def front_of_all(self) -> tuple[Judged, ...]:
        """The front of all precisions together, fastest first."""
        every = self.all_judged
        costs = cost_matrix([one.test.mask_map50_95 for one in every], [one.latency.total.p50 for one in every])
        kept = [one for one, on_front in zip(every, non_dominated(costs), strict=True) if on_front]
        return tuple(sorted(kept, key=lambda one: one.latency.total.p50))

    @property
    def front(self) -> tuple[Finalist, ...]:
        """Finalists on the front, fastest first."""
        kept = [finalist for finalist in self.finalists if finalist.on_front]
        return tuple(sorted(kept, key=lambda finalist: finalist.judged.latency.total.p50))

    def to_json(self) -> dict[str, Any]:
        """The content of `facts.json`."""
        about = self.setting
        return {
            "schema": SCHEMA,
            "run": about.run,
            "run_uri": about.run_uri,
            "dataset": about.dataset,
            "dataset_digest": about.dataset_digest,
            "classes": list(about.classes),
            "device": about.device,
            "protocol": dict(about.protocol),
            "trials": [_trial_json(trial) for trial in about.trials],
            "finalists": [finalist.to_json() for finalist in self.finalists],
            "variants_without_finalist": [asdict(gap) for gap in about.missing],
            "front": [finalist.trial_id for finalist in self.front],
            "knee": self.knee,
            "further_points": [point.to_json() for point in self.points],
            "front_of_all_precisions": [
                {"trial_id": one.record.trial_id, "precision": one.exported.precision} for one in self.front_of_all
            ],
            "hypervolume": self.hypervolume,
            "reference_point": list(self.reference_point),
            "milestones": list(about.milestones),
            "max_epochs": about.max_epochs,
            "created": about.created,
            "segsweep_version": about.version,
        }

    def to_bytes(self) -> bytes:
        """`facts.json`, strict JSON.

        Raises:
            ValueError: A figure is NaN or infinite.
        """
        return (json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n").encode()

    def to_text(self) -> str:
        """For a terminal."""
        counts = f"{len(self.front)} of {len(self.finalists)} finalists on the front"
        lines = [f"{self.setting.run}: {counts}, on {self.setting.device}", ""]
        lines.append(f"{'size':<5}{'trial':<9}{'mAP50-95':>9}{'mAP50':>8}{'p50 ms':>9}{'p90':>8}{'p99':>8}{'gain':>9}")
        for finalist in self.finalists:
            test, total = finalist.judged.test, finalist.judged.latency.total
            gain = "-" if finalist.gain_over_default is None else f"{finalist.gain_over_default:+.3f}"
            marks = ["front"] * finalist.on_front + ["knee"] * (finalist.trial_id == self.knee)
            lines.append(
                f"{finalist.variant:<5}{finalist.trial_id:<9}{test.mask_map50_95:>9.3f}{test.mask_map50:>8.3f}"
                f"{total.p50:>9.1f}{total.p90:>8.1f}{total.p99:>8.1f}{gain:>9}  {', '.join(marks)}".rstrip()
            )
        front_of_all = self.front_of_all
        for point in self.points:
            one, total = point.judged, point.judged.latency.total
            lines.append(
                f"{one.record.variant:<5}{one.record.trial_id:<9}{one.test.mask_map50_95:>9.3f}"
                f"{one.test.mask_map50:>8.3f}{total.p50:>9.1f}{total.p90:>8.1f}{total.p99:>8.1f}{'':>9}  "
                f"{one.exported.precision}{', front of all precisions' if one in front_of_all else ''}"
            )
        lines += [f"{gap.variant:<5}no finalist: {gap.reason}" for gap in self.setting.missing]
        reference = f"mAP {self.reference_point[0]:g}, {self.reference_point[1]:.1f} ms"
        lines += [
            "",
            f"masks on test; gain over the default hyperparameters; hypervolume {self.hypervolume:.3f} to {reference}",
        ]
        return "\n".join(lines)


def assemble(
    setting: Setting,
    contenders: Sequence[Contender],
    judged: Mapping[str, Judged],
    defaults: Mapping[str, Evaluation],
    further: Sequence[Judged] = (),
) -> Facts:
    """Put measurements together.

    Args:
        setting: What the report is about.
        contenders: One a size, at least one.
        judged: Measurements of the contenders' best trials, by trial id.
        defaults: Accuracy on test of default trials that are not a best trial, by trial id.
        further: Measurements of best trials in further precisions.
    """
    finals = [judged[contender.best.trial_id] for contender in contenders]
    costs = cost_matrix([one.test.mask_map50_95 for one in finals], [one.latency.total.p50 for one in finals])
    reference = reference_point(costs)
    row = knee(costs)
    finalists = tuple(
        Finalist(one, *_gain(contender, one, defaults), on_front=bool(on_front))
        for contender, one, on_front in zip(contenders, finals, non_dominated(costs), strict=True)
    )
    return Facts(
        setting,
        finalists,
        knee=None if row is None else finalists[row].trial_id,
        hypervolume=hypervolume(costs, reference),
        reference_point=reference,
        points=tuple(
            Point(one, one.test.mask_map50_95 - judged[one.record.trial_id].test.mask_map50_95) for one in further
        ),
    )


def candidates(judged: Sequence[Judged]) -> list[Candidate]:
    """What can be chosen among these."""
    return [
        Candidate(one.record.trial_id, one.record.variant, one.test.mask_map50_95, one.latency.total.p50)
        for one in judged
    ]


def _gain(contender: Contender, best: Judged, defaults: Mapping[str, Evaluation]) -> tuple[str | None, float | None]:
    default = contender.default
    if default is None:
        return None, None
    if default.trial_id == contender.best.trial_id:
        return default.trial_id, 0.0
    return default.trial_id, best.test.mask_map50_95 - defaults[default.trial_id].mask_map50_95


def _trial_json(trial: TrialRecord) -> dict[str, Any]:
    data = trial.to_json()
    return {
        "trial_id": trial.trial_id,
        "variant": trial.variant,
        "params": data["params"],
        "epochs_trained": trial.epoch,
        "status": trial.status.value,
        "mask_map50_95": trial.mask_map50_95,
        "is_default": trial.is_default,
        "best_epoch": trial.best_epoch,
        "rungs": data["rungs"],
        "seconds": trial.seconds,
        "gpu_seconds": trial.gpu_seconds,
        "directory": trial.directory,
        "error": trial.error,
    }

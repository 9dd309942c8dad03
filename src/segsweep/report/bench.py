"""The bench: where a run's models are evaluated, exported and timed, every result kept on this node.

Results lie under `<cache>/reports/<run>/<trial>/`, named by what they depend on (weights, dataset, protocol, image
size, device), so that a second report, or an export after a report, measures nothing twice and a killed one loses at
most the measurement it was in.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import segsweep
from segsweep.core.trials import TrialRecord
from segsweep.dataset.bundles.staging import NodeCopy
from segsweep.errors import DamagedRunError, NotFoundError, Problem, ReportError
from segsweep.inference.export import ExportedModel, Parity, export_onnx, measure_parity
from segsweep.inference.forms import FP32, INT8, PLAIN, STRIDE, Form
from segsweep.inference.latency import measure_interleaved
from segsweep.inference.likeness import Likeness, measure_likeness
from segsweep.inference.machine import available_cpus, this_machine
from segsweep.inference.quantization import calibration_images, lower_precision
from segsweep.inference.timings import Latency, LatencyPlan
from segsweep.report.evaluate import PROTOCOL, Evaluation, EvaluationPlan, evaluate
from segsweep.report.facts import Judged
from segsweep.storage import layout
from segsweep.storage.files import disk_errors, written_whole
from segsweep.storage.run_folder import REMEDY, RunFolder

Progress = Callable[[str], None]

SPLIT = "test"
_TIMED_IMAGES = 16
_PARITY_IMAGES = 8


@dataclass(frozen=True)
class Instruments:
    """What measures; tests pass cheap ones.

    Attributes:
        evaluate: See `segsweep.report.evaluate.evaluate`.
        export: See `segsweep.inference.export.export_onnx`.
        time: See `segsweep.inference.latency.measure_interleaved`.
        parity: See `segsweep.inference.export.measure_parity`.
        lower: See `segsweep.inference.quantization.lower_precision`.
        likeness: See `segsweep.inference.likeness.measure_likeness`.
    """

    evaluate: Callable[[Path, Path, EvaluationPlan, Progress], Evaluation] = evaluate
    export: Callable[[Path, Path, int, Form, Mapping[str, Any]], ExportedModel] = export_onnx
    time: Callable[[Mapping[str, Path], Sequence[Path], LatencyPlan, Progress], dict[str, Latency]] = (
        measure_interleaved
    )
    parity: Callable[[Path, Path, Sequence[Path], int], Parity] = measure_parity
    lower: Callable[[ExportedModel, Path, str, Sequence[Path], Mapping[str, Any]], ExportedModel] = lower_precision
    likeness: Callable[[Path, Path, Sequence[Path], int], Likeness] = measure_likeness


@dataclass(frozen=True)
class ReportOptions:
    """How a report measures.

    Attributes:
        threads: CPU threads of a timed model, and of evaluation on a CPU.
        rounds: Fresh processes each model is timed in.
        samples: Images timed in each.
        warmup: Images before them that are not counted.
        device: Where accuracy is evaluated, as torch names it; `auto` is the first GPU where there is one.
        precisions: Of the exported finalists that a report measures; fp32 is always among them.
    """

    threads: int = field(default_factory=available_cpus)
    rounds: int = 3
    samples: int = 40
    warmup: int = 5
    device: str = "auto"
    precisions: tuple[str, ...] = (FP32,)

    @property
    def latency_plan(self) -> LatencyPlan:
        """The same, for the timing."""
        return LatencyPlan(self.threads, self.rounds, self.samples, self.warmup)


@dataclass(frozen=True)
class Bench:
    """Measures trials of one run on one dataset; see the module.

    Attributes:
        run: The run's folder.
        copy: The dataset on this node.
        folder: Where results are kept.
        default_imgsz: Image size of trials that do not search it, in pixels.
        options: How to measure.
        instruments: What measures.
        progress: Told before each measurement.
    """

    run: RunFolder
    copy: NodeCopy
    folder: Path
    default_imgsz: int
    options: ReportOptions
    instruments: Instruments
    progress: Progress

    def imgsz(self, record: TrialRecord) -> int:
        """Side of the trial's square input, in pixels."""
        asked = int(record.params.get("imgsz", self.default_imgsz))
        return -(-asked // STRIDE) * STRIDE

    def test_images(self) -> list[Path]:
        """The test split's images, in order of name.

        Raises:
            ReportError: There is none.
        """
        images = self._images(SPLIT)
        if not images:
            raise ReportError(Problem(str(self.copy.root), "the split must hold images to report on", SPLIT))
        return images

    def has_weights(self, record: TrialRecord) -> bool:
        """Whether the trial has best weights."""
        return self.run.store.exists(layout.trial_key(record.directory, layout.TRIAL_BEST))

    def weights(self, record: TrialRecord) -> Path:
        """The trial's best weights on this node.

        Raises:
            DamagedRunError: The trial has none, or they are truncated or no weights at all.
        """
        key = layout.trial_key(record.directory, layout.TRIAL_BEST)
        path = self.folder / record.trial_id / layout.TRIAL_BEST
        version = path.with_suffix(".version")
        found = next((info.version for info in self.run.store.list(key) if info.key == key), None)
        if found is None:
            raise DamagedRunError(Problem(f"{self.run.store.uri}/{key}", "is missing", fix=REMEDY))
        with disk_errors(str(path)):
            if path.exists() and version.exists() and version.read_text() == found:
                return path
            path.parent.mkdir(parents=True, exist_ok=True)
            version.unlink(missing_ok=True)
        try:
            self.run.store.download(key, path)
        except NotFoundError as exc:
            raise ReportError(Problem(f"{self.run.store.uri}/{key}", "vanished while it was read")) from exc
        if not zipfile.is_zipfile(path):  # as torch writes it; the directory is at its end
            raise DamagedRunError(Problem(f"{self.run.store.uri}/{key}", "is not a whole file of weights", fix=REMEDY))
        self._keep(version, found.encode())
        return path

    def evaluation(self, record: TrialRecord, form: Form = PLAIN) -> Evaluation:
        """The trial's accuracy on test.

        Args:
            record: The trial.
            form: Of the plain form its weights are evaluated, of another one the exported file. NMS is outside for
                it: with NMS inside, what the protocol wants is dropped already.

        Raises:
            ReportError: It has no weights, or evaluation failed.
        """
        outside = replace(form, nms=False)
        weights = self.weights(record) if outside == PLAIN else self.exported(record, outside).path
        plan = EvaluationPlan(
            SPLIT, self.imgsz(record), self.copy.manifest.classes, self.options.threads, self.options.device
        )
        depends = {
            "weights": sha256_of(weights),
            "dataset": self.copy.manifest.digest,
            "protocol": dict(PROTOCOL),
            "plan": {**asdict(plan), "threads": None},
        }

        def measure() -> dict[str, Any]:
            self.progress(f"evaluating {_named(record, outside)} on {SPLIT}")
            return self.instruments.evaluate(weights, self.copy.data_yaml, plan, self.progress).to_json()

        return Evaluation.from_json(self._once(record.trial_id, "evaluation", depends, measure))

    def exported(self, record: TrialRecord, form: Form = PLAIN) -> ExportedModel:
        """The trial's ONNX file on this node.

        Raises:
            ReportError: It has no weights.
            ExportError: They cannot be exported, or not in this precision.
        """
        weights = self.weights(record)
        imgsz = self.imgsz(record)
        out = weights.with_name(f"model-{imgsz}{form.suffix}.onnx")
        about = {"trial": record.trial_id, "dataset_digest": self.copy.manifest.digest}
        depends: dict[str, Any] = {"weights": sha256_of(weights), "imgsz": imgsz, "form": asdict(form), "about": about}
        if form.precision == FP32:

            def export() -> dict[str, Any]:
                self.progress(f"exporting {_named(record, form)} to ONNX")
                return asdict(self.instruments.export(weights, out, imgsz, form, about))

        else:
            base = self.exported(record, replace(form, precision=FP32))
            train = calibration_images(self._images("train")) if form.precision == INT8 else []
            depends |= {"fp32": base.sha256, "calibration": [path.name for path in train]}

            def export() -> dict[str, Any]:
                calibrated = f", calibrating on {len(train)} train images" if train else ""
                self.progress(f"converting {record.trial_id} ({record.variant}) to {form}{calibrated}")
                return asdict(self.instruments.lower(base, out, form.precision, train, about))

        def measure() -> dict[str, Any]:
            return {**export(), "path": ""}

        data = self._once(record.trial_id, "export", depends, measure)
        if not out.exists() or sha256_of(out) != data["sha256"]:
            data = measure()  # somebody cleaned up
        return ExportedModel(**{**data, "path": out})

    def latencies(self, models: Mapping[str, ExportedModel]) -> dict[str, Latency]:
        """Latency of models by name, all measured together, so that they can be compared.

        A timing that others disturbed is not kept: the next report or export times again.

        Raises:
            ReportError: A model could not be timed.
        """
        images = self.test_images()[:_TIMED_IMAGES]
        plan = self.options.latency_plan
        depends = {
            "models": {name: model.sha256 for name, model in sorted(models.items())},
            "images": [path.name for path in images],
            "dataset": self.copy.manifest.digest,
            "plan": asdict(plan),
            "machine": asdict(this_machine()),
        }

        def measure() -> dict[str, Any]:
            paths = {name: model.path for name, model in models.items()}
            measured = self.instruments.time(paths, images, plan, self.progress)
            return {name: latency.to_json() for name, latency in measured.items()}

        kept = self._once("latency", "latency", depends, measure)
        latencies = {name: Latency.from_json(data) for name, data in kept.items()}
        if not all(latency.is_quiet for latency in latencies.values()):
            self._result("latency", "latency", depends).unlink(missing_ok=True)
        return latencies

    def parity(self, record: TrialRecord) -> Parity:
        """How far the trial's weights and its ONNX file are apart on test images.

        Raises:
            ExportError: A file cannot be read.
        """
        exported, weights = self.exported(record), self.weights(record)
        images = self.test_images()[:_PARITY_IMAGES]
        depends = {"onnx": exported.sha256, "dataset": self.copy.manifest.digest, "images": len(images)}

        def measure() -> dict[str, Any]:
            self.progress(f"comparing torch and ONNX Runtime on {len(images)} test images")
            return asdict(self.instruments.parity(weights, exported.path, images, self.options.threads))

        return Parity(**self._once(record.trial_id, "parity", depends, measure))

    def likeness(self, record: TrialRecord, form: Form) -> Likeness:
        """What the trial's file of a form finds of what its plain file finds, in all test images.

        Raises:
            ExportError, ConfigError: A file cannot be read.
        """
        plain, other = self.exported(record), self.exported(record, form)
        images = self.test_images()
        depends = {"plain": plain.sha256, "other": other.sha256, "dataset": self.copy.manifest.digest}

        def measure() -> dict[str, Any]:
            self.progress(f"comparing {form} with the plain file on {len(images)} test images")
            return asdict(self.instruments.likeness(plain.path, other.path, images, self.options.threads))

        return Likeness(**self._once(record.trial_id, "likeness", depends, measure))

    def judge(self, records: Sequence[TrialRecord]) -> dict[str, Judged]:
        """Evaluate, export and time trials in the plain form, by trial id.

        Raises:
            ReportError, ExportError: See the single steps.
        """
        judged = self.judge_forms([(record, PLAIN) for record in records])
        return {record.trial_id: one for record, one in zip(records, judged, strict=True)}

    def judge_forms(self, wanted: Sequence[tuple[TrialRecord, Form]]) -> list[Judged]:
        """Evaluate, export and time trials in the given forms; the timing comes last, when nothing else runs.

        Args:
            wanted: Each once.

        Raises:
            ReportError, ExportError: See the single steps.
        """
        tests = [self.evaluation(record, form) for record, form in wanted]
        names = [f"{record.trial_id}{form.suffix}" for record, form in wanted]
        models = [self.exported(record, form) for record, form in wanted]
        latencies = self.latencies(dict(zip(names, models, strict=True)))
        return [
            Judged(record, test, sha256_of(self.weights(record)), model, latencies[name])
            for (record, _), test, model, name in zip(wanted, tests, models, names, strict=True)
        ]

    def _images(self, split: str) -> list[Path]:
        """The split's images, in order of name."""
        paths = [self.copy.root / file.path for file in self.copy.manifest.files]
        return sorted(path for path in paths if path.parent.parts[-2:] == ("images", split))

    def _once(
        self, place: str, kind: str, depends: Mapping[str, Any], measure: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """The kept result that depends on exactly this, else a new one, kept."""
        path = self._result(place, kind, depends)
        try:
            kept: dict[str, Any] = json.loads(path.read_bytes())["result"]
        except (OSError, ValueError, KeyError, TypeError):
            kept = measure()
            self._keep(path, json.dumps({"depends": depends, "result": kept}, indent=1).encode())
        return kept

    def _result(self, place: str, kind: str, depends: Mapping[str, Any]) -> Path:
        """Where the result that depends on exactly this is kept."""
        everything = json.dumps({"segsweep": segsweep.__version__, **depends}, sort_keys=True)
        return self.folder / place / f"{kind}-{hashlib.sha256(everything.encode()).hexdigest()[:16]}.json"

    def _keep(self, path: Path, data: bytes) -> None:
        with disk_errors(str(path)), written_whole(path) as file:
            file.write(data)


def _named(record: TrialRecord, form: Form) -> str:
    about = "" if form == PLAIN else f", {form}"
    return f"{record.trial_id} ({record.variant}{about})"


def sha256_of(path: Path) -> str:
    """Digest of a file's content."""
    with disk_errors(str(path)), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""A report, from a run's folder to files: stage, judge, write."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import segsweep
from segsweep.config.job import JobFile, from_run
from segsweep.core.front import KNEE_RULE, REFERENCE_RULE
from segsweep.core.trials import TrialRecord
from segsweep.dataset.bundles.staging import NodeCopy, stage
from segsweep.dataset.environment import prepare_ultralytics
from segsweep.errors import DamagedRunError, Problem
from segsweep.inference.forms import wanted_forms
from segsweep.inference.machine import this_machine
from segsweep.inference.timings import DEFINITION
from segsweep.report.bench import SPLIT, Bench, Instruments, Progress, ReportOptions
from segsweep.report.charts import draw_front
from segsweep.report.evaluate import PROTOCOL, PROTOCOL_TEXT
from segsweep.report.facts import Facts, Setting, assemble
from segsweep.report.finalists import find_contenders, require_contenders
from segsweep.report.page import render_page
from segsweep.report.pictures import find_pictures
from segsweep.report.tables import front_csv, trials_csv
from segsweep.storage import layout
from segsweep.storage.files import disk_errors, written_whole
from segsweep.storage.opening import open_store
from segsweep.storage.run_folder import RunFolder, RunInfo

logger = logging.getLogger(__name__)

_DEFAULT_IMGSZ = 640  # Ultralytics' own


def _stage(bundle_uri: str, cache_dir: Path) -> NodeCopy:
    """The node's copy of the bundle, its label cache built if this is the first use of it."""
    prepare_ultralytics(cache_dir)
    from segsweep.dataset.loader import prebuild_label_cache  # noqa: PLC0415  (imports Ultralytics)

    return stage(bundle_uri, cache_dir, prebuild_label_cache)


@dataclass(frozen=True)
class Tools:
    """What reaches outside; tests pass cheap ones.

    Attributes:
        stage: Returns the node's copy of a bundle.
        instruments: Measure a model.
        progress: Told what happens.
    """

    stage: Callable[[str, Path], NodeCopy] = _stage
    instruments: Instruments = field(default_factory=Instruments)
    progress: Progress = logger.info


@dataclass(frozen=True)
class Study:
    """A run opened for judging.

    Attributes:
        info: The run.
        job: Its job.
        trials: Its trials, in order of proposal.
        bench: Measures them.
    """

    info: RunInfo
    job: JobFile
    trials: tuple[TrialRecord, ...]
    bench: Bench

    def facts(self) -> Facts:
        """Judge the best trial of every size, in every precision that the options name.

        Raises:
            ConfigError: A precision is unknown.
            ReportError: No trial was trained to the end, or a measurement failed.
            ExportError: A model cannot be exported.
        """
        uri = self.bench.run.store.uri
        forms = wanted_forms(self.bench.options.precisions)
        contenders, missing = find_contenders(self.trials, self.job.job.variants)
        require_contenders(uri, contenders, missing)
        yardsticks = [c.default for c in contenders if c.default and c.default.trial_id != c.best.trial_id]
        defaults = {record.trial_id: self.bench.evaluation(record) for record in yardsticks}
        best = [contender.best for contender in contenders]
        measured = self.bench.judge_forms([(record, form) for form in forms for record in best])
        judged = {one.record.trial_id: one for one in measured[: len(best)]}
        setting = Setting(
            run=self.info.name,
            run_uri=uri,
            dataset=self.info.dataset,
            dataset_digest=self.info.dataset_digest,
            classes=self.bench.copy.manifest.classes,
            device=str(this_machine()),
            protocol=_protocol(self.bench.options),
            trials=self.trials,
            missing=missing,
            milestones=self.job.job.horizon.milestones,
            max_epochs=self.job.job.budget.max_epochs,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            version=segsweep.__version__,
        )
        return assemble(setting, contenders, judged, defaults, measured[len(best) :])


def open_study(
    run_uri: str, cache_dir: Path, options: ReportOptions | None = None, tools: Tools | None = None
) -> Study:
    """Read a run and stage its dataset.

    Args:
        run_uri: `<storage>/<name>` of the job.
        cache_dir: The node's cache; results are kept there.
        options: How to measure.
        tools: What measures.

    Raises:
        RunError: There is no run.
        DamagedRunError: Its records are unreadable.
        DatasetError, StorageError: Its dataset cannot be staged.
    """
    tools = tools or Tools()
    run = RunFolder(open_store(run_uri))
    info = run.read_info()
    job = from_run(info.job, info.search_space, info.augmentation)
    trials = tuple(run.read_trials())
    key = hashlib.sha256(run.store.uri.encode()).hexdigest()[:12]
    bench = Bench(
        run=run,
        copy=tools.stage(info.dataset, cache_dir),
        folder=cache_dir / layout.NODE_REPORTS / f"{info.name}-{key}",
        default_imgsz=int(job.job.train.get("imgsz", _DEFAULT_IMGSZ)),
        options=options or ReportOptions(),
        instruments=tools.instruments,
        progress=tools.progress,
    )
    return Study(info, job, trials, bench)


def build_report(
    run_uri: str,
    out: Path,
    cache_dir: Path,
    options: ReportOptions | None = None,
    tools: Tools | None = None,
) -> Facts:
    """Write `index.html`, `facts.json`, `front.csv`, `trials.csv` and `front.png`, each whole or not at all.

    Args:
        run_uri: `<storage>/<name>` of the job.
        out: Folder to write to; made if missing.
        cache_dir: The node's cache; results are kept there, so that the next report measures only what is new.
        options: How to measure.
        tools: What measures.

    Raises:
        RunError: There is no run.
        DamagedRunError: Files of it are missing or unreadable; every one is named.
        ReportError: No trial was trained to the end, or a measurement failed.
        ExportError: A model cannot be exported.
        DatasetError, StorageError: The dataset cannot be staged, or `out` not be written.
    """
    study = open_study(run_uri, cache_dir, options, tools)
    run = study.bench.run
    curves = read_curves(run, study.trials)  # first: what is missing is told before hours are spent
    facts = study.facts()
    study.bench.progress("drawing")
    pictures = {one.trial_id: find_pictures(run, one.judged.record) for one in facts.finalists}
    files = {
        layout.REPORT_FACTS: facts.to_bytes(),
        layout.REPORT_FRONT: front_csv(facts),
        layout.REPORT_TRIALS: trials_csv(facts),
        layout.REPORT_PICTURE: draw_front(facts),
        layout.REPORT_PAGE: render_page(facts, curves, pictures),
    }
    with disk_errors(str(out)):
        for name, data in files.items():
            with written_whole(out / name) as file:
                file.write(data)
    return facts


def read_curves(run: RunFolder, trials: Sequence[TrialRecord]) -> dict[str, list[dict[str, float]]]:
    """Every trial's epochs, by its id.

    Raises:
        DamagedRunError: Some are missing or unreadable; every file is named.
    """
    curves: dict[str, list[dict[str, float]]] = {}
    problems: list[Problem] = []
    for record in trials:
        try:
            curves[record.trial_id] = run.read_metrics(record)
        except DamagedRunError as exc:
            problems += exc.problems
    if problems:
        raise DamagedRunError(problems)
    return curves


def _protocol(options: ReportOptions) -> Mapping[str, Any]:
    return {
        "accuracy": {"split": SPLIT, "text": PROTOCOL_TEXT, **PROTOCOL},
        "selection": "of every size the COMPLETED trial with the highest mask mAP50-95 on val",
        "gain_over_default": "on test, finalist minus the size's trial with Ultralytics' default hyperparameters",
        "latency": {"text": DEFINITION, **asdict(options.latency_plan)},
        "knee": KNEE_RULE,
        "reference_point": REFERENCE_RULE,
        "hypervolume": "area that the front dominates up to the reference point, mAP x ms",
    }

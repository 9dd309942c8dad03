"""The chosen model, packaged: ONNX in the wanted forms, weights, model card, and how far the files agree."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segsweep.core.selection import Choice, choose
from segsweep.core.trials import TrialRecord
from segsweep.deploy.artefacts import Artefacts, gather
from segsweep.deploy.card import CardFacts, render_card
from segsweep.errors import ExportError, Problem
from segsweep.inference.export import MASK_IOU_TOLERANCE, SCORE_TOLERANCE, UNPAIRED_TOLERANCE, Parity
from segsweep.inference.forms import PLAIN, Form, all_file_names
from segsweep.inference.machine import this_machine
from segsweep.report.bench import ReportOptions
from segsweep.report.build import Study, Tools, open_study
from segsweep.report.facts import Judged, candidates
from segsweep.storage import layout
from segsweep.storage.files import disk_errors, folder_beside


@dataclass(frozen=True)
class Wanted:
    """What is to be packaged.

    Attributes:
        choice: Which model, by the figures of its plain form.
        forms: As which files, the plain form first; see `segsweep.inference.forms.wanted_forms`.
    """

    choice: Choice
    forms: tuple[Form, ...] = (PLAIN,)


@dataclass(frozen=True)
class Package:
    """What was packaged.

    Attributes:
        out: The folder.
        artefacts: The model files and their measurements.
        parity: How far torch and ONNX Runtime are apart.
        why: How it was chosen, in words.
    """

    out: Path
    artefacts: Artefacts
    parity: Parity
    why: str

    @property
    def judged(self) -> Judged:
        """Measurements of the plain file."""
        return self.artefacts.files[0].judged

    def to_json(self) -> dict[str, Any]:
        """For `segsweep export --json`."""
        judged = self.judged
        return {
            "out": str(self.out),
            "trial_id": judged.record.trial_id,
            "variant": judged.record.variant,
            "choice": self.why,
            "imgsz": judged.exported.imgsz,
            "precision": judged.exported.precision,
            "test_mask_map50": judged.test.mask_map50,
            "test_mask_map50_95": judged.test.mask_map50_95,
            "latency_ms": asdict(judged.latency.total),
            "onnx_sha256": judged.exported.sha256,
            "weights_sha256": judged.weights_sha256,
            "artefacts": self.artefacts.to_json(),
            "parity": _parity_json(self.parity),
        }

    def to_text(self) -> str:
        """For a terminal."""
        judged, total = self.judged, self.judged.latency.total
        record = judged.record
        table = ["", self.artefacts.to_text(), ""] if len(self.artefacts.files) > 1 else []
        return "\n".join(
            [
                f"{record.trial_id}, size {record.variant}, {self.why}",
                f"mask mAP50-95 {judged.test.mask_map50_95:.3f} and mAP50 {judged.test.mask_map50:.3f} on test, "
                f"{total.p50:.1f} ms an image (p90 {total.p90:.1f}, p99 {total.p99:.1f})",
                f"{self.out / layout.PACKAGE_ONNX}: {judged.exported.size_bytes / 1e6:.1f} MB, "
                f"{judged.exported.imgsz} px, {judged.exported.precision}",
                *table,
                f"read {self.out / layout.PACKAGE_CARD} for conditions and limits",
            ]
        )


def export_choice(
    run_uri: str,
    out: Path,
    wanted: Wanted,
    cache_dir: Path,
    options: ReportOptions | None = None,
    tools: Tools | None = None,
) -> Package:
    """Write the chosen model's folder: `model.onnx`, `model.pt`, `README.md`, `parity.json`, and other forms.

    Candidates are the finalists of a report; whatever a report on this node has measured is not measured again. A
    trial that is named may be any trial with weights, also one that was stopped; it is judged by itself. Files of other
    forms that an earlier export has left in the folder are removed: they may be of another model.

    Args:
        run_uri: `<storage>/<name>` of the job.
        out: Folder to write to; made if missing. Either all files are written or none.
        wanted: Which model, as which files.
        cache_dir: The node's cache.
        options: How to measure.
        tools: What measures.

    Raises:
        ExportError: No model fits the choice; the nearest ones are named. Or torch and ONNX Runtime disagree.
        ReportError: No trial was trained to the end, or a measurement failed.
        RunError, DatasetError, StorageError: The run, its dataset or `out` cannot be used.
    """
    study = open_study(run_uri, cache_dir, options, tools)
    judged, why, finalists = _chosen(study, wanted.choice)
    parity = study.bench.parity(judged.record)
    if not parity.holds:
        raise ExportError(
            Problem(
                judged.record.trial_id,
                f"torch and ONNX Runtime must agree: scores within {SCORE_TOLERANCE:g}, mean mask IoU at least "
                f"{MASK_IOU_TOLERANCE:g}, at most {100 * UNPAIRED_TOLERANCE:g} % of the objects found by one alone",
                "parity",
                f"scores differ by {parity.score_max_abs_difference:.2g}, mean mask IoU {parity.mask_iou_mean}, "
                f"{parity.instances} pairs and {parity.unpaired} alone",
                "nothing was written; please report it with the versions of torch and onnxruntime",
            )
        )
    bench = study.bench
    artefacts = gather(bench, judged, finalists, wanted.forms)
    about = (study.info, bench.run.store.uri, bench.copy.manifest.classes)
    card = render_card(CardFacts(*about, artefacts, parity, why, str(this_machine())))
    told = {**_parity_json(parity), "artefacts": artefacts.to_json()}
    texts = {
        layout.PACKAGE_CARD: card,
        layout.PACKAGE_PARITY: json.dumps(told, indent=1) + "\n",
    }
    models = {file.file_name: file.judged.exported.path for file in artefacts.files}
    _write(out, {**models, layout.PACKAGE_WEIGHTS: bench.weights(judged.record)}, texts)
    return Package(out, artefacts, parity, why)


def _chosen(study: Study, choice: Choice) -> tuple[Judged, str, Sequence[Judged]]:
    """The model, why it is the one, and the finalists that it was chosen from."""
    if choice.trial_id is not None:
        record = _named(study, choice.trial_id)
        return study.bench.judge([record])[record.trial_id], "named by its trial", ()
    facts = study.facts()
    finalists = [finalist.judged for finalist in facts.finalists]
    chosen = choose(candidates(finalists), choice)
    if choice.variant is not None:
        why = f"the best trial of size {choice.variant}"
    elif choice.max_latency_ms is not None:
        why = f"the most accurate finalist within {choice.max_latency_ms:g} ms (p50)"
    else:
        why = "the knee of the front"
    return next(one for one in finalists if one.record.trial_id == chosen.trial_id), why, finalists


def _named(study: Study, trial_id: str) -> TrialRecord:
    """The trial's record; it must have weights.

    Raises:
        ExportError: There is no such trial, or it has none; the trials that have are named.
    """
    bench = study.bench
    having = [trial for trial in study.trials if bench.has_weights(trial)]
    for trial in having:
        if trial.trial_id == trial_id:
            return trial
    known = any(trial.trial_id == trial_id for trial in study.trials)
    rule = "the trial has no weights yet" if known else "the run has no such trial"
    best = sorted(having, key=lambda trial: -(trial.mask_map50_95 or 0.0))[:3]
    told = [f"{trial.trial_id} ({trial.variant}): {trial.mask_map50_95 or 0.0:.3f} on val" for trial in best]
    fix = f"nearest: {'; '.join(told)}" if told else "no trial has weights; `segsweep status` shows how far the run is"
    raise ExportError(Problem("export", rule, "--trial", trial_id, fix))


def _write(out: Path, models: Mapping[str, Path], texts: Mapping[str, str]) -> None:
    """All files or none: they are complete beside the folder before the first one gets its name."""
    with disk_errors(str(out)), folder_beside(out / layout.PACKAGE_ONNX) as staged:
        for name, path in models.items():
            shutil.copyfile(path, staged / name)
        for name, text in texts.items():
            (staged / name).write_text(text, encoding="utf-8")
        blocked = [out / name for name in (*models, *texts) if (out / name).is_dir()]
        if blocked:
            raise ExportError([Problem(str(path), "a folder is in the way of the file") for path in blocked])
        for name in (*models, *texts):
            (staged / name).replace(out / name)
        for name in all_file_names() - set(models):
            (out / name).unlink(missing_ok=True)


def _parity_json(parity: Parity) -> dict[str, Any]:
    return {
        "schema": 1,
        **asdict(parity),
        "holds": parity.holds,
        "tolerance": {
            "score_max_abs_difference": SCORE_TOLERANCE,
            "mask_iou_mean": MASK_IOU_TOLERANCE,
            "unpaired_share": UNPAIRED_TOLERANCE,
        },
        "compared": "torch fp32 and onnxruntime fp32 on the same letterboxed test images",
    }

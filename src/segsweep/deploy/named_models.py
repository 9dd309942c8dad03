"""Models as a user names them for an evaluation: ONNX files, folders of `segsweep export`, checkpoints, whole runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from segsweep.deploy.model_file import find_model, is_run, model_label, told_apart
from segsweep.errors import ConfigError, Problem
from segsweep.inference.export import export_onnx
from segsweep.inference.forms import STRIDE
from segsweep.report.build import open_study
from segsweep.report.finalists import find_contenders, require_contenders
from segsweep.storage import layout


def exported_models(named: Sequence[str], imgsz: int, cache_dir: Path, tell: Callable[[str], None]) -> dict[str, Path]:
    """The ONNX file of everything that is named, by a label that no other has.

    A run is the best completed trial of each of its sizes, by val. Checkpoints are exported in fp32 first, and kept in
    the cache by their content: what is evaluated is what would be shipped.

    Args:
        named: Files, folders, and runs' folders or URIs.
        imgsz: Longest side of a checkpoint's input in pixels; rounded up to a multiple of 32.
        cache_dir: The node's cache.
        tell: Told before work that takes its time.

    Raises:
        ConfigError: Something named does not exist or is no model; all at once.
        ExportError: A checkpoint is no YOLOv8-seg model.
        RunError, ReportError, DatasetError, StorageError: A run cannot be used.
    """
    found: list[tuple[str, Path]] = []
    problems = [] if imgsz > 0 else [Problem("--imgsz", "must be at least 1", value=str(imgsz))]
    for name in named:
        try:
            found += [*_of_run(name, cache_dir)] if is_run(name) else [_of_file(Path(name), imgsz, cache_dir, tell)]
        except ConfigError as exc:
            problems += exc.problems
    if problems:
        raise ConfigError(problems)
    return told_apart(found)


def _of_run(uri: str, cache_dir: Path) -> list[tuple[str, Path]]:
    study = open_study(uri, cache_dir)
    contenders, missing = find_contenders(study.trials, study.job.job.variants)
    require_contenders(uri, contenders, missing)
    best = [contender.best for contender in contenders]
    return [(f"{record.variant}-{record.trial_id}", study.bench.exported(record).path) for record in best]


def _of_file(named: Path, imgsz: int, cache_dir: Path, tell: Callable[[str], None]) -> tuple[str, Path]:
    if named.suffix.lower() != ".pt":
        return model_label(named), find_model(named)
    if not named.is_file():
        raise ConfigError(Problem(str(named), "does not exist or is no file", "MODEL"))
    side = -(-imgsz // STRIDE) * STRIDE
    with named.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    out = cache_dir / layout.NODE_EXPORTS / f"{digest}-{side}.onnx"
    if not out.exists():
        tell(f"exporting {named} at {side} px to ONNX")
        export_onnx(named, out, side)
    return named.stem, out

"""The files that one model is packaged as, beside each other and beside the run's other finalists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from segsweep.core.front import cost_matrix, non_dominated
from segsweep.core.trials import TrialRecord
from segsweep.inference.forms import PLAIN, Form
from segsweep.inference.likeness import Likeness
from segsweep.report.bench import Bench
from segsweep.report.facts import Judged

_HEAD = ("file", "MB", "mAP50-95", "to fp32", "p50 ms", "ratio", "same objects", "IoU", "")


@dataclass(frozen=True)
class Artefact:
    """A model file of the package.

    Attributes:
        judged: Its measurements; with NMS inside, the accuracy is that of the same file with NMS outside.
        likeness: Its objects beside those of the plain file; None of the plain file itself.
    """

    judged: Judged
    likeness: Likeness | None = None

    @property
    def file_name(self) -> str:
        """Its name in the package."""
        return self.judged.exported.form.file_name


@dataclass(frozen=True)
class Artefacts:
    """All files of the package, timed in turns with each other and with the finalists.

    Attributes:
        files: The plain file first.
        finalists: Best models of other sizes, as plain files; none where the model was named by its trial.
    """

    files: tuple[Artefact, ...]
    finalists: tuple[Judged, ...] = ()

    def is_on_front(self) -> tuple[bool, ...]:
        """Of each file, whether neither another one nor a finalist is better."""
        costs = cost_matrix(
            [one.test.mask_map50_95 for one in self._points()], [one.latency.total.p50 for one in self._points()]
        )
        return tuple(bool(one) for one in non_dominated(costs)[: len(self.files)])

    def verdicts(self) -> list[str]:
        """Which file beats what the plain file does not, in accuracy and, in every round, in speed; in words."""
        plain = self.files[0].judged
        worth_telling = [plain, *(one for one in self.finalists if not _beats(plain, one))]
        return [
            f"{_named(file.judged)} beats {_named(other)}: mask mAP50-95 {file.judged.test.mask_map50_95:.3f} against "
            f"{other.test.mask_map50_95:.3f}, {file.judged.latency.total.p50:.1f} ms against "
            f"{other.latency.total.p50:.1f} ms"
            for file in self.files[1:]
            for other in worth_telling
            if _beats(file.judged, other)
        ]

    def to_json(self) -> list[dict[str, Any]]:
        """For `--json` and `parity.json`: one mapping a file."""
        plain = self.files[0].judged
        return [
            {
                "file": file.file_name,
                **{name: getattr(file.judged.exported, name) for name in ("precision", "dynamic", "nms", "imgsz")},
                "sha256": file.judged.exported.sha256,
                "size_bytes": file.judged.exported.size_bytes,
                "calibration_images": file.judged.exported.calibration_images,
                "test_mask_map50": file.judged.test.mask_map50,
                "test_mask_map50_95": file.judged.test.mask_map50_95,
                "test_box_map50_95": file.judged.test.box_map50_95,
                "difference_to_fp32": file.judged.test.mask_map50_95 - plain.test.mask_map50_95,
                "latency_ms": asdict(file.judged.latency.total),
                "latency_ratio": file.judged.latency.total.p50 / plain.latency.total.p50,
                "likeness": None if file.likeness is None else asdict(file.likeness),
                "on_front": on_front,
            }
            for file, on_front in zip(self.files, self.is_on_front(), strict=True)
        ]

    def rows(self) -> list[tuple[str, ...]]:
        """Cells by file and finalist, below a head: file, MB, accuracy, its difference, ms, its ratio, likeness."""
        plain = self.files[0].judged
        rows: list[tuple[str, ...]] = [_HEAD]
        for file, on_front in zip(self.files, self.is_on_front(), strict=True):
            like = file.likeness
            alike = ("-", "-")
            if like is not None:
                iou = "-" if like.mask_iou_mean is None else f"{like.mask_iou_mean:.3f}"
                alike = (f"{like.shared}/{like.objects}, {like.added} more", iou)
            rows.append((file.file_name, *_figures(file.judged, plain), *alike, "front" if on_front else ""))
        rows += [(_named(one), *_figures(one, plain), "-", "-", "") for one in self.finalists]
        return rows

    def to_text(self) -> str:
        """For a terminal."""
        rows = self.rows()
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
        lines = [
            "  ".join(
                cell.rjust(width) if 0 < column < 6 else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, *self.verdicts()])

    def _points(self) -> list[Judged]:
        return [*(file.judged for file in self.files), *self.finalists]


def gather(bench: Bench, chosen: Judged, finalists: Sequence[Judged], forms: Sequence[Form]) -> Artefacts:
    """Make and measure the files.

    Args:
        bench: Measures.
        chosen: The model, in its plain form.
        finalists: The run's finalists, the model perhaps among them; they are timed again where forms are compared.
        forms: What is wanted, the plain form first.

    Raises:
        ReportError, ExportError: A file cannot be made or measured.
    """
    if tuple(forms) == (PLAIN,):
        return Artefacts((Artefact(chosen),))
    others = [one.record for one in finalists if one.record.trial_id != chosen.record.trial_id]
    wanted: list[tuple[TrialRecord, Form]] = [(chosen.record, form) for form in forms]
    judged = bench.judge_forms([*wanted, *((record, PLAIN) for record in others)])
    files = [
        Artefact(one, None if form == PLAIN else bench.likeness(chosen.record, form))
        for one, form in zip(judged, forms, strict=False)
    ]
    return Artefacts(tuple(files), tuple(judged[len(forms) :]))


def _beats(one: Judged, other: Judged) -> bool:
    """Whether it is at least as accurate, and faster in its slowest round than the other in its fastest."""
    is_faster = max(one.latency.round_p50_ms) < min(other.latency.round_p50_ms)
    return one.test.mask_map50_95 >= other.test.mask_map50_95 and is_faster


def _figures(one: Judged, plain: Judged) -> tuple[str, ...]:
    difference = one.test.mask_map50_95 - plain.test.mask_map50_95
    p50 = one.latency.total.p50
    return (
        f"{one.exported.size_bytes / 1e6:.1f}",
        f"{one.test.mask_map50_95:.4f}",
        "-" if one is plain else f"{difference:+.4f}",
        f"{p50:.1f}",
        f"{p50 / plain.latency.total.p50:.2f}",
    )


def _named(one: Judged) -> str:
    return f"{one.record.variant} at {one.exported.form}"

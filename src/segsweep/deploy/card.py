"""The model card: figures, conditions, limits, how to use, how to reproduce."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

import segsweep
from segsweep.deploy.artefacts import Artefacts
from segsweep.inference.export import PARITY_THRESHOLDS, Parity
from segsweep.inference.forms import FP16, FP32, INT8, STRIDE
from segsweep.inference.likeness import LIKENESS_THRESHOLDS
from segsweep.inference.metadata import INSIDE
from segsweep.inference.timings import DEFINITION, STAGES
from segsweep.report.evaluate import PROTOCOL_TEXT
from segsweep.report.facts import Judged
from segsweep.storage import layout
from segsweep.storage.run_folder import RunInfo


@dataclass(frozen=True)
class CardFacts:
    """What a card tells.

    Attributes:
        info: The run.
        run_uri: Where it is.
        classes: Class names of the dataset, in order.
        artefacts: The model files and their measurements.
        parity: How far torch and ONNX Runtime are apart.
        why: How it was chosen, in words.
        device: The machine it was timed on.
    """

    info: RunInfo
    run_uri: str
    classes: tuple[str, ...]
    artefacts: Artefacts
    parity: Parity
    why: str
    device: str

    @property
    def judged(self) -> Judged:
        """Measurements of the plain file."""
        return self.artefacts.files[0].judged


def render_card(facts: CardFacts) -> str:
    """`README.md` of the model's folder, Markdown with the front matter of a model hub."""
    return (
        "\n".join(line for part in (_front_matter, _figures, _files, _use, _limits, _reproduce) for line in part(facts))
        + "\n"
    )


def _front_matter(facts: CardFacts) -> list[str]:
    record = facts.judged.record
    return [
        "---",
        "license: agpl-3.0",
        "library_name: ultralytics",
        "pipeline_tag: image-segmentation",
        "tags: [instance-segmentation, yolov8, onnx, segsweep]",
        "---",
        "",
        f"# YOLOv8{record.variant}-seg, {_plain(facts.info.name)}",
        "",
        f"Instance segmentation of {_listed(facts.classes)}. Trial {record.trial_id} of the sweep "
        f"`{_plain(facts.info.name)}`, {facts.why}.",
        "",
    ]


def _figures(facts: CardFacts) -> list[str]:
    judged, parity = facts.judged, facts.parity
    test, latency = judged.test, judged.latency
    stages = ", ".join(f"{stage} {latency.stages[stage].p50:.2f}" for stage in STAGES)
    iou = "no instance was found"
    if parity.mask_iou_mean is not None:
        iou = f"mask IoU {parity.mask_iou_mean:.4f} on average and {parity.mask_iou_min:.4f} at worst"
        iou += f" over {parity.instances} instances"
    masks = (test.mask_map50_95, test.mask_map50, test.mask_precision, test.mask_recall)
    boxes = (test.box_map50_95, test.box_map50, test.box_precision, test.box_recall)
    times = (latency.total.p50, latency.total.p90, latency.total.p99)
    lines = [
        "## Figures",
        "",
        "| on test | mAP50-95 | mAP50 | precision | recall |",
        "|---|---|---|---|---|",
        f"| masks | {' | '.join(f'{value:.4f}' for value in masks)} |",
        f"| boxes | {' | '.join(f'{value:.4f}' for value in boxes)} |",
        "",
        "| latency, ms an image | p50 | p90 | p99 |",
        "|---|---|---|---|",
        f"| end to end | {' | '.join(f'{ms:.2f}' for ms in times)} |",
        "",
        f"- Accuracy: {test.images} test images with {test.instances} instances. {PROTOCOL_TEXT}",
        f"- Latency: {DEFINITION}. {_plain(facts.device)}; {latency.runtime} {latency.runtime_version}, "
        f"{latency.provider}, {judged.exported.precision}, {judged.exported.imgsz} px, batch {latency.batch}, "
        f"{latency.threads} pinned threads, {latency.samples} samples; p50 of the stages: {stages} ms.",
        f"- Parity of model.onnx with model.pt on {parity.images} test images: raw outputs differ by at most "
        f"{parity.raw_max_abs_difference:.2g} (scores {parity.score_max_abs_difference:.2g}), {iou} "
        f"(confidence above {PARITY_THRESHOLDS.conf}). See {layout.PACKAGE_PARITY}.",
        "",
    ]
    if len(test.classes) > 1:
        lines += ["| class | test instances | mask mAP50-95 | mask mAP50 |", "|---|---|---|---|"]
        lines += [
            f"| {_plain(item.name)} | {item.instances} | {item.mask_map50_95:.4f} | {item.mask_map50:.4f} |"
            for item in test.classes
        ]
        lines.append("")
    return lines


def _files(facts: CardFacts) -> list[str]:
    """The files beside each other, where there is more than one."""
    artefacts = facts.artefacts
    if len(artefacts.files) < 2:
        return []
    head, *rows = ([_plain(cell) for cell in row] for row in artefacts.rows())
    lines = ["## Files", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    thresholds = f"confidence {INSIDE.conf:g}, IoU {INSIDE.iou:g}, at most {INSIDE.max_det} objects"
    forms = [file.judged.exported.form for file in artefacts.files]
    notes = [
        "Mask mAP50-95 on test by the protocol above, every file run by onnxruntime in its own precision "
        f"({layout.PACKAGE_ONNX}: its weights, by torch); all were timed in turns on the machine above. `same "
        f"objects`: how many of the objects of {layout.PACKAGE_ONNX} above confidence {LIKENESS_THRESHOLDS.conf:g} the "
        "file finds in the test images, and how many others; `IoU`: of their masks, on average. Lines without a file "
        "are the best models of other sizes, `front`: none of the others is better in both.",
        *(f"{verdict} (p50, and in every round)." for verdict in artefacts.verdicts()),
    ]
    if any(form.precision == FP16 for form in forms):
        notes.append(
            "fp16 halves the file; inputs and outputs are float32. It is for GPUs: x86 CPUs compute it in fp32, no "
            "faster."
        )
    if any(form.precision == INT8 for form in forms):
        images = max(file.judged.exported.calibration_images for file in artefacts.files)
        notes.append(
            f"int8: static quantisation, uint8 activations with ranges from {images} train images, evenly spread over "
            "the split and letterboxed as in use, 7-bit weights with a scale a channel. What follows the last "
            "convolutions is float."
        )
    if any(form.dynamic for form in forms):
        notes.append(
            f"Dynamic shapes: sides that are multiples of {STRIDE} pixels; figures are for "
            f"{facts.judged.exported.imgsz} px. The batch is the caller's, but 1 where NMS is inside."
        )
    if any(form.nms for form in forms):
        notes.append(
            f"NMS inside ({thresholds}): `output0` is [1, {INSIDE.max_det}, 6 + 32], corners x1, y1, x2, y2 in input "
            "pixels, score, class, mask coefficients, zeros where there is no object. The accuracy is that of the "
            "same file with NMS outside."
        )
    return [*lines, "", *(f"- {note}" for note in notes), ""]


def _use(facts: CardFacts) -> list[str]:
    imgsz, classes = facts.judged.exported.imgsz, len(facts.classes)
    return [
        "## Use",
        "",
        "```python",
        "# pip install 'segsweep[edge]': onnxruntime, numpy and OpenCV, no torch",
        "from pathlib import Path",
        "import cv2",
        "from segsweep.inference.predictor import Predictor",
        "",
        f'found = Predictor(Path("{layout.PACKAGE_ONNX}"), threads=2)(cv2.imread("image.jpg"))',
        "found.boxes, found.scores, found.classes, found.masks",
        "```",
        "",
        f"`{layout.PACKAGE_WEIGHTS}` loads with `ultralytics.YOLO`. Without segsweep, `{layout.PACKAGE_ONNX}` takes "
        f"`images`, float32 [1, 3, {imgsz}, {imgsz}], RGB in 0-1, letterboxed on grey 114, and gives `output0` "
        f"[1, 4 + {classes} + 32, anchors] (centre x, centre y, width, height in input pixels; class scores; mask "
        f"coefficients) and `output1` [1, 32, {imgsz // 4}, {imgsz // 4}] (prototypes). NMS is not inside.",
        "",
    ]


def _limits(facts: CardFacts) -> list[str]:
    record, latency = facts.judged.record, facts.judged.latency
    lines = [
        "## Limits",
        "",
        f"- It knows {_listed(facts.classes)} as they look in the training images, and nothing else. Accuracy on "
        "images of another kind is unknown: evaluate it there before relying on it.",
        "- The latency is that of one machine: another device, image size, runtime or thread count gives another.",
        "- Confidences are not calibrated; choose the threshold on your own images.",
    ]
    if not latency.is_quiet:
        lines.append(
            f"- Other processes kept {latency.others_cpus} CPUs busy while it was timed: the latency is too high."
        )
    if record.status.value != "COMPLETED":
        lines.append(
            f"- The trial is {record.status.value} after {record.epoch} epochs: it was not trained to the end."
        )
    return [
        *lines,
        "- Licence: AGPL-3.0, as Ultralytics' code and weights that it derives from. Whoever offers it over a network "
        "offers the source too.",
        "",
    ]


def _reproduce(facts: CardFacts) -> list[str]:
    record, info = facts.judged.record, facts.info
    versions = ", ".join(f"{name} {version}" for name, version in sorted(info.versions.items()))
    run = shlex.quote(facts.run_uri)
    params = json.dumps(dict(record.params)) if record.params else "Ultralytics' defaults"
    return [
        "## Reproduce",
        "",
        "```",
        f"segsweep replay {run} --trial {record.trial_id}",
        f"segsweep export {run} --out model --trial {record.trial_id}{_flags(facts)}",
        "```",
        "",
        f"- Dataset: `{_plain(info.dataset)}`, sha256 `{info.dataset_digest}`",
        f"- Hyperparameters: {params}; best of {record.epoch} epochs: {record.best_epoch}",
        f"- Training: {json.dumps(dict(info.job.get('train', {})))}, seed {info.job.get('seed', 0)}, "
        f"weights {_plain(str(info.job.get('weights', 'coco')))}",
        f"- Versions: {versions}; exported by segsweep {segsweep.__version__}, opset {facts.judged.exported.opset}",
        *(f"- {file.file_name}: sha256 `{file.judged.exported.sha256}`" for file in facts.artefacts.files),
        f"- {layout.PACKAGE_WEIGHTS}: sha256 `{facts.judged.weights_sha256}`",
    ]


def _flags(facts: CardFacts) -> str:
    """Options of `segsweep export` that make the same files."""
    forms = [file.judged.exported.form for file in facts.artefacts.files[1:]]
    if not forms:
        return ""
    plain = [FP32] if not (forms[0].dynamic or forms[0].nms) else []
    precisions = ",".join([*plain, *(form.precision for form in forms)])
    return f" --precision {precisions}" + " --dynamic" * forms[0].dynamic + " --nms" * forms[0].nms


def _listed(names: tuple[str, ...]) -> str:
    shown = [_plain(name) for name in names[:10]]
    return ", ".join(shown) + (f" and {len(names) - 10} more classes" if len(names) > 10 else "")


def _plain(text: str) -> str:
    """One line of text that Markdown does not read as markup."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in " ".join(text.split()))

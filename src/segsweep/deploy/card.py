"""The model card: figures, conditions, limits, how to use, how to reproduce."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

import segsweep
from segsweep.inference.export import PARITY_THRESHOLDS, Parity
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
        judged: The model's measurements.
        parity: How far torch and ONNX Runtime are apart.
        why: How it was chosen, in words.
        device: The machine it was timed on.
    """

    info: RunInfo
    run_uri: str
    classes: tuple[str, ...]
    judged: Judged
    parity: Parity
    why: str
    device: str


def render_card(facts: CardFacts) -> str:
    """`README.md` of the model's folder, Markdown with the front matter of a model hub."""
    return (
        "\n".join([*_front_matter(facts), *_figures(facts), *_use(facts), *_limits(facts), *_reproduce(facts)]) + "\n"
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
        f"segsweep export {run} --out model --trial {record.trial_id}",
        "```",
        "",
        f"- Dataset: `{_plain(info.dataset)}`, sha256 `{info.dataset_digest}`",
        f"- Hyperparameters: {params}; best of {record.epoch} epochs: {record.best_epoch}",
        f"- Training: {json.dumps(dict(info.job.get('train', {})))}, seed {info.job.get('seed', 0)}, "
        f"weights {_plain(str(info.job.get('weights', 'coco')))}",
        f"- Versions: {versions}; exported by segsweep {segsweep.__version__}, opset {facts.judged.exported.opset}",
        f"- {layout.PACKAGE_ONNX}: sha256 `{facts.judged.exported.sha256}`",
        f"- {layout.PACKAGE_WEIGHTS}: sha256 `{facts.judged.weights_sha256}`",
    ]


def _listed(names: tuple[str, ...]) -> str:
    shown = [_plain(name) for name in names[:10]]
    return ", ".join(shown) + (f" and {len(names) - 10} more classes" if len(names) > 10 else "")


def _plain(text: str) -> str:
    """One line of text that Markdown does not read as markup."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in " ".join(text.split()))

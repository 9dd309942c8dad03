"""An evaluation as one HTML file: nothing is fetched, everything is inside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import segsweep
from segsweep.core import theme
from segsweep.core.average_precision import OperatingPoint
from segsweep.core.markup import definitions, document, number, picture, section, table
from segsweep.deploy.evaluation import PROTOCOL, ClassFigures, Evaluated, Figures, ImageScore
from segsweep.deploy.precision_chart import Line, draw_curves
from segsweep.deploy.second_evaluator import NAME
from segsweep.deploy.side_by_side import Pair

_STYLE = """
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 16px;
  margin-top: 12px; }
.charts img { display: block; width: 100%; height: auto; max-width: 560px; }
.confusion td { border: 1px solid #fff; text-align: center; padding: 8px 10px; min-width: 46px; }
.confusion th { border: 0; padding: 6px 10px; text-align: center; }
.confusion tbody th { text-align: right; position: sticky; left: 0; background: #fff; }
.confusion { margin-bottom: 20px; min-width: 0; } .confusion table { width: auto; }
.confusion caption { text-align: left; color: #66727f; font-size: 13px; padding-bottom: 4px; }
.pair { margin: 20px 0; } .pair figcaption { color: #66727f; font-size: 13px; margin-top: 6px;
  overflow-wrap: anywhere; }
.pair div { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: 8px; }
.pair img { display: block; width: 100%; height: auto; border-radius: 6px; background: #f4f6f8; }
td.name { white-space: normal; overflow-wrap: anywhere; min-width: 13ch; max-width: 26ch; }
tr.top td { background: #f0f9f7; }
"""

_GAP = 1e-3  # of the two judges, from which on it is told
_BESIDE = 4  # classes, up to which two matrices find room beside each other
_NAMED_CLASSES = 12  # in a chart; with more of them names hide the curves


def render_page(evaluated: Evaluated, pairs: Mapping[str, Sequence[Pair]]) -> bytes:
    """`index.html`.

    Args:
        evaluated: What the page says.
        pairs: Of every model, by label, its worst and then its best images, drawn.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    sections = [
        _header(evaluated),
        _models_section(evaluated),
        _cityscapes_section(evaluated),
        _curves_section(evaluated),
        *(_model_section(one, evaluated, pairs.get(one.label, ())) for one in evaluated.models),
        _protocol_section(evaluated),
        _reproduce_section(evaluated),
    ]
    footer = (
        f"segsweep {escape(segsweep.__version__)}, AGPL-3.0. The same facts as data: evaluation.json; truth and "
        "predictions for other evaluators: ground_truth.json and predictions.json of every model."
    )
    body = f"<main>\n{''.join(sections)}\n<footer>{footer}</footer>\n</main>"
    return document(f"{evaluated.options.split} of {evaluated.dataset}", theme.STYLE + _STYLE, body).encode()


def _header(evaluated: Evaluated) -> str:
    split, count = evaluated.options.split, len(evaluated.names)
    words = f"{evaluated.images} images, {evaluated.objects} objects, {count} class{'es' if count > 1 else ''}"
    told = [f"{one.label}: {remark}." for one in evaluated.models for remark in one.remarks]
    told += [
        f"The two judges differ by up to {one.largest_gap:.4f} on {one.label}: doubt its figures."
        for one in evaluated.models
        if one.largest_gap > _GAP
    ]
    if split != "test":
        told.append(f"These are images of {split}, which training or selection may have seen: expect less on new ones.")
    warnings = "".join(f'<p class="warn">{escape(text)}</p>' for text in told)
    return (
        f'<p class="eyebrow">segsweep evaluate</p><h1>{escape(f"{split} of {evaluated.dataset}")}</h1>'
        f'<p class="note">{escape(words)}</p><p class="lead">{_lead(evaluated)}</p>{warnings}'
    )


def _lead(evaluated: Evaluated) -> str:
    if not evaluated.objects:
        return "The split holds no object: there is nothing to find."
    best = max(evaluated.models, key=lambda one: one.mask_map50_95)
    ends = best.mask_map50_95_interval
    within = "" if ends is None else f", 95 % interval {ends[0]:.3f} to {ends[1]:.3f}"
    figure = f"mask mAP50-95 <b>{best.mask_map50_95:.3f}</b>{within}"
    name = f"<b>{escape(best.label)}</b>"
    if len(evaluated.models) == 1:
        return f"{name}: {figure}."
    return f"Of {len(evaluated.models)} models, {name} is the most accurate: {figure}."


def _models_section(evaluated: Evaluated) -> str:
    best = max((one.mask_map50_95 for one in evaluated.models), default=0.0)
    accuracy, points = [], []
    for one in evaluated.models:
        ends, other, sizes = one.mask_map50_95_interval, one.second.mask["map50_95"], one.second.mask
        kind = ' class="top"' if len(evaluated.models) > 1 and one.mask_map50_95 == best else ""
        cells = [
            "x".join(str(side) for side in dict.fromkeys(one.imgsz)),
            _digits(one.mask_map50_95),
            "-" if ends is None else f"{_digits(ends[0])} to {_digits(ends[1])}",
            _digits(other),
            _digits(None if other is None else abs(one.mask_map50_95 - other), 4),
            *(_digits(value) for value in (one.mask_map50, one.box_map50_95, one.box_map50)),
        ]
        accuracy.append(_row(kind, one.label, cells))
        values = [
            *(value for at in (one.operating_point, one.box_operating_point) for value in _point(at)),
            *(sizes[size] for size in ("map_small", "map_medium", "map_large")),
        ]
        points.append(_row(kind, one.label, [_digits(value) for value in values]))
    head = ["model", "#px", "#mask mAP50-95", "#95 % interval", f"#{NAME}", "#gap", "#mask mAP50"]
    shown = table([*head, "#box mAP50-95", "#box mAP50"], accuracy)
    head = ["model", "#mask precision", "#recall", "#from score", "#box precision", "#recall", "#from score"]
    note = (
        "Precision and recall at IoU 0.5, from the score on that gives the best F1. Small, medium and large: mask "
        "mAP50-95 by the second judge, of objects below 32 x 32 pixels, below 96 x 96, and above."
    )
    shown += f'<p class="note"></p><p class="note">{escape(note)}</p>'
    shown += table([*head, "#small", "#medium", "#large"], points)
    note = f"The second judge, {NAME}, gets the same predictions; the gap is between its mask mAP50-95 and ours."
    return section("Models", note, shown)


def _row(kind: str, label: str, cells: Sequence[str]) -> str:
    return f'<tr{kind}><td class="name">{escape(label)}</td>{"".join(number(cell) for cell in cells)}</tr>'


def _point(point: OperatingPoint) -> tuple[float, float, float]:
    return point.precision, point.recall, point.conf


def _cityscapes_section(evaluated: Evaluated) -> str:
    judged = [(one.label, one.cityscapes) for one in evaluated.models if one.cityscapes is not None]
    if not judged:
        return ""
    head = [
        "model",
        "#AP",
        "#AP50%",
        *(f"#{name} {which}" for name in judged[0][1].classes for which in ("AP", "AP50%")),
    ]
    rows = []
    for label, one in judged:
        values = (one.ap, one.ap50, *(value for each in one.classes.values() for value in each))
        rows.append(_row("", label, [_digits(value) for value in values]))
    note = (
        "The same predictions before Cityscapes' own evaluation of instances (cityscapesscripts), against the original "
        "labels at their own size: objects below 100 pixels, groups and void do not count against a model. The mean is "
        "over the classes of the dataset that Cityscapes evaluates."
    )
    return section("Cityscapes' own metric", note, table(head, rows))


def _curves_section(evaluated: Evaluated) -> str:
    if not evaluated.objects:
        return ""
    charts = [
        ("Masks, IoU 0.5", [Line(one.label, one.mask_curves.iou50) for one in evaluated.models]),
        ("Masks, mean over IoU 0.50:0.95", [Line(one.label, one.mask_curves.iou50_95) for one in evaluated.models]),
        ("Boxes, IoU 0.5", [Line(one.label, one.box_curves.iou50) for one in evaluated.models]),
        ("Boxes, mean over IoU 0.50:0.95", [Line(one.label, one.box_curves.iou50_95) for one in evaluated.models]),
    ]
    note = (
        "As COCO draws them: precision at 101 recalls, made to fall, mean over the classes. The number beside a name "
        "is the mean of its curve: the mAP50 at IoU 0.5, the mAP50-95 over all of them."
    )
    return section("Precision and recall", note, _charts(charts))


def _charts(charts: Sequence[tuple[str, Sequence[Line]]]) -> str:
    drawn = "".join(
        picture(draw_curves(title, lines), f"precision against recall: {title}", title, "image/svg+xml")
        for title, lines in charts
    )
    return f'<div class="charts">{drawn}</div>'


def _model_section(one: Figures, evaluated: Evaluated, pairs: Sequence[Pair]) -> str:
    parts = []
    if len(evaluated.names) > 1 and one.classes:
        parts += ["<h3>Classes</h3>", _class_table(one.classes), _class_charts(one)]
    parts += ["<h3>What is taken for what</h3>", _confusions(one, evaluated.names)]
    if pairs:
        shown = [*zip(one.worst, pairs, strict=False), *zip(one.best, pairs[len(one.worst) :], strict=False)]
        parts.append(_pairs_html("The worst images", shown[: len(one.worst)], one))
        parts.append(_pairs_html("The best images", shown[len(one.worst) :], one))
    return section(one.label, "", "".join(parts))


def _class_table(classes: Sequence[ClassFigures]) -> str:
    head = ["class", "#objects", "#mask mAP50-95", "#mask mAP50", "#precision", "#recall"]
    head += ["#box mAP50-95", "#box mAP50", "#precision", "#recall"]
    rows = []
    for one in classes:
        masks = (one.mask_map50_95, one.mask_map50, one.mask_precision, one.mask_recall)
        boxes = (one.box_map50_95, one.box_map50, one.box_precision, one.box_recall)
        cells = [str(one.objects), *(_digits(value) for value in (*masks, *boxes))]
        rows.append(_row("", one.name, cells))
    return table(head, rows)


def _class_charts(one: Figures) -> str:
    named = len(one.classes) <= _NAMED_CLASSES

    def lines(which: str) -> list[Line]:
        classes = [Line(each.name if named else "", getattr(each.mask_curves, which)) for each in one.classes]
        return [*classes, Line("mean of the classes", getattr(one.mask_curves, which), strong=True)]

    charts = [("Masks, IoU 0.5", lines("iou50")), ("Masks, mean over IoU 0.50:0.95", lines("iou50_95"))]
    return _charts(charts)


def _confusions(one: Figures, names: Sequence[str]) -> str:
    conf, iou = PROTOCOL["confusion_conf"], PROTOCOL["confusion_iou"]
    note = (
        f"Objects by what is true (across) and what was predicted (down), from score {conf} on, paired above IoU "
        f"{iou}, whatever the class. Background across: found where nothing is; background down: not found. The "
        "darker, the more of its column."
    )
    matrices = "".join(
        _confusion(title, matrix, names)
        for title, matrix in (("Masks", one.mask_confusion), ("Boxes", one.box_confusion))
    )
    kind = "charts" if len(names) <= _BESIDE else ""
    return f'<p class="note">{escape(note)}</p><div class="{kind}">{matrices}</div>'


def _confusion(title: str, matrix: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    labels = [*names, "background"]
    last = len(names)
    columns = [sum(row[column] for row in matrix) for column in range(len(labels))]
    shown = [index for index in range(len(labels)) if index == last or sum(matrix[index]) + columns[index] > 0]
    head = "".join(f'<th scope="col">{escape(labels[column])}</th>' for column in shown)
    rows = []
    for row in shown:
        cells = ""
        for column in shown:
            share = matrix[row][column] / max(columns[column], 1)
            colour = "11,110,95" if row == column else "178,73,13"
            ink = "#fff" if share > 0.6 else theme.INK if matrix[row][column] else theme.FAINT
            style = f"background:rgba({colour},{0.9 * share:.2f});color:{ink}"
            told = f"{labels[column]} as {labels[row]}: {100 * share:.0f} %"
            text = "" if row == column == last else str(matrix[row][column])
            cells += f'<td style="{style}" title="{escape(told)}">{text}</td>'
        rows.append(f'<tr><th scope="row">{escape(labels[row])}</th>{cells}</tr>')
    return (
        f'<div class="scroll confusion" tabindex="0"><table><caption>{title}: predicted down, true across</caption>'
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _pairs_html(title: str, shown: Sequence[tuple[ImageScore, Pair]], one: Figures) -> str:
    if not shown:
        return ""
    figures = "".join(
        f'<figure class="pair"><div>{picture(pair.truth, f"truth of {image.file}", "truth")}'
        f"{picture(pair.found, f'what {one.label} found in {image.file}', 'found')}</div>"
        f"<figcaption>{escape(image.file)}: F1 {image.f1:.2f}</figcaption></figure>"
        for image, pair in shown
    )
    note = (
        f"The truth first, then what was found from score {one.operating_point.conf:.2f} on, where F1 is best. F1 is "
        "the image's own, mean over IoU 0.50:0.95."
    )
    return f'<h3>{title}</h3><p class="note">{escape(note)}</p>{figures}'


def _protocol_section(evaluated: Evaluated) -> str:
    options = evaluated.options
    words = {
        "Predictions": f"Scores above {PROTOCOL['conf']}, suppression of boxes of one class at IoU "
        f"{PROTOCOL['nms_iou']}, at most {PROTOCOL['max_det']} objects an image; a box may be of several classes. "
        f"Input: a {PROTOCOL['input']}.",
        "Truth": f"Masks at {PROTOCOL['mask_resolution']}; a true box is {PROTOCOL['true_box']}.",
        "Classes": f"{_sentence(PROTOCOL['classes'])}. The mean is over those that occur in the split.",
        "Average precision": f"{PROTOCOL['average_precision']}.",
        "Interval": f"{_sentence(PROTOCOL['interval'])}, {options.resamples} draws, seed {options.seed}."
        if options.resamples
        else "Left out.",
        "Operating point": f"{_sentence(PROTOCOL['operating_point'])}.",
        "Confusion": f"{PROTOCOL['confusion']}. Score {PROTOCOL['confusion_conf']}, IoU {PROTOCOL['confusion_iou']}.",
        "Images shown": f"By {PROTOCOL['image_score']}.",
        "Dataset": f"{evaluated.dataset}, sha256 {evaluated.digest}",
        **{f"Model {one.label}": f"{one.path}, sha256 {one.sha256}" for one in evaluated.models},
    }
    return section("How it was measured", "", definitions(words))


def _reproduce_section(evaluated: Evaluated) -> str:
    command = evaluated.options.command
    if not command:
        return ""
    note = "The same files give the same figures. Predictions do not depend on the number of threads by design."
    return section("Do it again", note, f"<pre>{escape(command)}</pre>")


def _digits(value: float | None, count: int = 3) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.{count}f}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"

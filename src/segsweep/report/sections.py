"""The report's sections: each turns facts into one piece of HTML, empty where there is nothing to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from segsweep.core.markup import number, picture, section, table
from segsweep.core.trials import TrialRecord
from segsweep.inference.timings import STAGES
from segsweep.report.charts import PRECISION_MARKERS, Curves, curves_figure, front_figure, gain_figure, short
from segsweep.report.facts import Facts, Finalist
from segsweep.report.markup import chart, size_badge

Pictures = Mapping[str, Sequence[tuple[str, bytes]]]

_STAGE_WORDS = {"prepare": "letterbox", "forward": "network", "postprocess": "NMS and masks"}


def front_section(facts: Facts) -> str:
    """The chart that the report is about."""
    reference_map, reference_ms = facts.reference_point
    caption = (
        f"Accuracy on {facts.finalists[0].judged.test.images} test images that no trial saw; latency on "
        f"{facts.setting.device}, batch 1, end to end. Up and to the left is better. The line is the front, grey is "
        f"dominated, the ring is the knee. Hypervolume {facts.hypervolume:.3f} (mAP x ms) up to mAP {reference_map:g} "
        f"and {reference_ms:.1f} ms."
    )
    if facts.points:
        present = {point.judged.exported.precision for point in facts.points}
        shown = [f"{name} {look}" for name, (_, _, look) in PRECISION_MARKERS.items() if name in present]
        caption += (
            f" Circles are fp32, {', '.join(shown)}; the dotted line is the front of all precisions. Front, knee and "
            "hypervolume are of fp32 alone."
        )
    return section("The front", "", f'{chart("front", front_figure(facts))}<p class="note">{escape(caption)}</p>')


def finalists_section(facts: Facts) -> str:
    """One row a size, also for the sizes that have no finalist."""
    head = ["size", "trial", "#mAP50-95", "#mAP50", "#p50 ms", "#p90", "#p99", "#gain over default", ""]
    rows = [_finalist_row(one, facts) for one in facts.finalists]
    for gap in facts.setting.missing:
        told = f'<td colspan="8">no finalist: {escape(gap.reason)}</td>'
        rows.append(f'<tr class="off"><td>{size_badge(gap.variant)}</td>{told}</tr>')
    return section("Finalists", "The best completed trial of every size. Masks, on test.", table(head, rows))


def precisions_section(facts: Facts) -> str:
    """Finalists in further precisions beside fp32; nothing where only fp32 was measured."""
    if not facts.points:
        return ""
    front_of_all = facts.front_of_all
    order = {one.trial_id: place for place, one in enumerate(facts.finalists)}
    rows = []
    for one in sorted(facts.all_judged, key=lambda one: order[one.record.trial_id]):
        difference = next((f"{point.difference:+.3f}" for point in facts.points if point.judged is one), "-")
        cells = f"<td>{size_badge(one.record.variant)}</td><td>{escape(one.exported.precision)}</td>"
        cells += number(f"{one.test.mask_map50_95:.3f}") + number(difference)
        cells += "".join(number(f"{value:.1f}") for value in (one.latency.total.p50, one.latency.total.p90))
        badge = '<span class="badge">front</span>' if one in front_of_all else ""
        cells += number(f"{one.exported.size_bytes / 1e6:.1f}") + f"<td>{badge}</td>"
        rows.append(f'<tr class="{"" if one in front_of_all else "off"}">{cells}</tr>')
    calibrated = max(one.exported.calibration_images for one in facts.all_judged)
    note = "The same models in other precisions, as exported, by the same protocol, all timed in turns. "
    note += f"int8 was calibrated on {calibrated} train images. " if calibrated else ""
    note += "Front: of all precisions together."
    head = ["size", "precision", "#mAP50-95", "#to fp32", "#p50 ms", "#p90", "#MB", ""]
    return section("Precisions", note, table(head, rows))


def gains_section(facts: Facts) -> str:
    """Default hyperparameters beside the best trial."""
    compared = [one for one in facts.finalists if one.gain_over_default is not None]
    if not compared:
        return ""
    note = "Hollow: Ultralytics' default hyperparameters. Filled: the best trial, chosen on val. Both on test."
    return section("What the search gained", note, chart("gains", gain_figure(facts), 90 + 44 * len(compared)))


def timing_section(facts: Facts) -> str:
    """Stage split of every finalist, to one scale."""
    splits = [(one, [one.judged.latency.stages[stage].p50 for stage in STAGES]) for one in facts.finalists]
    longest_ms = max(sum(split) for _, split in splits)
    bars = []
    for one, split in splits:
        parts = "".join(
            f'<i class="{stage}" style="width:{100 * ms / longest_ms:.2f}%" title="{_STAGE_WORDS[stage]}"></i>'
            for stage, ms in zip(STAGES, split, strict=True)
        )
        told = " + ".join(f"{ms:.1f}" for ms in split)
        bars.append(f'{size_badge(one.variant)}<div class="bar">{parts}</div><span class="note">{told} ms</span>')
    keys = "".join(f'<i class="{stage}"></i>{_STAGE_WORDS[stage]}' for stage in STAGES)
    html = f'<p class="note key">{keys}</p><div class="bars">{"".join(bars)}</div>'
    return section("Where the time goes", "p50 of every stage.", html)


def curves_section(facts: Facts, curves: Curves) -> str:
    """Learning curves of all trials with the rungs."""
    figure = curves_figure(facts, curves)
    if not figure["data"]:
        return ""
    note = (
        "Every trial on validation images. Dashed lines are the rungs, where trials that lag behind their own size are "
        "stopped. Pale curves were stopped, dotted ones are default hyperparameters. Validation during training "
        "compares masks at a quarter of the resolution, on padded rectangles: its values are not those of the test."
    )
    return section("Learning curves", note, chart("curves", figure))


def pictures_section(facts: Facts, pictures: Pictures) -> str:
    """What the finalists see."""
    parts = []
    for one in facts.finalists:
        shown = "".join(
            picture(jpeg, f"predictions of {one.trial_id} on {name}", name)
            for name, jpeg in pictures.get(one.trial_id, ())
        )
        if shown:
            title = f"{size_badge(one.variant)} {escape(one.trial_id)}"
            parts.append(f'<h3>{title}</h3><div class="pictures">{shown}</div>')
    return (
        section(
            "Predictions",
            "On validation images: the truth on the left, on the right what is found above confidence 0.45.",
            "".join(parts),
        )
        if parts
        else ""
    )


def classes_section(facts: Facts) -> str:
    """Accuracy class by class; nothing for a single class."""
    if len(facts.setting.classes) < 2:
        return ""
    by_name = [{item.name: item for item in one.judged.test.classes} for one in facts.finalists]
    rows = []
    for name in facts.setting.classes:
        found = [items.get(name) for items in by_name]
        instances = next((item.instances for item in found if item), 0)
        values = "".join(number(f"{item.mask_map50_95:.3f}" if item else "-") for item in found)
        rows.append(f"<tr><td>{escape(name)}</td>{number(str(instances))}{values}</tr>")
    head = ["class", "#instances", *(f"#{one.variant}" for one in facts.finalists)]
    return section("Classes", "Mask mAP50-95 on test, where the class occurs.", table(head, rows))


def trials_section(facts: Facts) -> str:
    """Every trial with what became of it."""
    head = ["trial", "size", "status", "#epochs", "#mAP50-95 (val)", "#at epoch", "#minutes", "hyperparameters"]
    return section("Trials", "", table(head, [_trial_row(trial, facts) for trial in facts.setting.trials]))


def _finalist_row(one: Finalist, facts: Facts) -> str:
    total, test = one.judged.latency.total, one.judged.test
    is_knee = one.trial_id == facts.knee
    badges = '<span class="badge knee">knee</span>' if is_knee else ""
    badges += f'<span class="badge">{"front" if one.on_front else "dominated"}</span>'
    cells = f"<td>{size_badge(one.variant)}</td><td>{escape(one.trial_id)}</td>"
    cells += "".join(number(f"{value:.3f}") for value in (test.mask_map50_95, test.mask_map50))
    cells += "".join(number(f"{value:.1f}") for value in (total.p50, total.p90, total.p99))
    cells += f'<td class="number">{_gain(one.gain_over_default)}</td><td>{badges}</td>'
    kind = "knee" if is_knee else "" if one.on_front else "off"
    return f'<tr class="{kind}">{cells}</tr>'


def _gain(gain: float | None) -> str:
    if gain is None:
        return '<span title="the default trial was not trained to the end">-</span>'
    kind = "up" if gain > 0 else "down" if gain < 0 else ""
    return f'<span class="{kind}">{gain:+.3f}</span>'


def _trial_row(trial: TrialRecord, facts: Facts) -> str:
    words = ", ".join(f"{name} {short(value)}" for name, value in trial.params.items())
    if trial.is_default:
        words = f"defaults: {words}" if words else "defaults"
    if trial.error:
        words += f"; {trial.error}"
    status = trial.status.value
    accuracy = "-" if trial.mask_map50_95 is None else f"{trial.mask_map50_95:.3f}"
    return (
        f"<tr><td>{escape(trial.trial_id)}</td><td>{size_badge(trial.variant)}</td>"
        f'<td class="status {status}">{status.lower()}</td>{number(f"{trial.epoch} / {facts.setting.max_epochs}")}'
        f"{number(accuracy)}{number(str(trial.best_epoch or '-'))}{number(f'{trial.seconds / 60:.1f}')}"
        f'<td class="wide">{escape(words)}</td></tr>'
    )

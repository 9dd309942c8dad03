"""The page of an inspection: one file that fetches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import PurePath

import segsweep
from segsweep.core.markup import document, section, table
from segsweep.dataset.augmentation.preview import Preview
from segsweep.dataset.inspection.facts import Cluster, Fault, Finding, Inspection
from segsweep.dataset.inspection.text import copies_told, counted, training_told
from segsweep.dataset.pages.pieces import bars, figures, places, split_table
from segsweep.dataset.pages.shots import Shots
from segsweep.dataset.pages.style import STYLE

_MOST_FAULTS = 200


def inspect_page(facts: Inspection, shots: Shots) -> bytes:
    """`--html FILE`.

    Args:
        facts: What was found.
        shots: Its pictures.
    """
    name = PurePath(facts.source).name or facts.source
    sections = [
        _header(facts, name),
        _findings(facts.findings),
        _counts(facts),
        _distributions(facts),
        _copies(facts, shots),
        _contact_sheets(facts, shots),
        _worst(shots),
        _faults(facts.faults),
    ]
    body = f"""<main>
{"".join(sections)}
<footer>segsweep {escape(segsweep.__version__)}, AGPL-3.0. The same facts as data: segsweep inspect --json.</footer>
</main>"""
    return document(f"{name}: inspected", STYLE, body).encode("utf-8", "replace")


def headline(facts: Inspection) -> str:
    """What the reader should take away, in a sentence or two."""
    counts = {kind: sum(one.severity == kind for one in facts.findings) for kind in ("fault", "warning")}
    faults, warnings = counts["fault"], counts["warning"]
    if faults:
        kinds = "one kind of fault" if faults == 1 else f"{faults} kinds of faults"
        return f"segsweep prepare would refuse it for {kinds}; {_warnings(warnings)}."
    return f"segsweep prepare would take it; {_warnings(warnings)}."


def _warnings(count: int) -> str:
    return "nothing else stands out" if not count else f"{counted(count, 'thing')} to look at"


def _header(facts: Inspection, name: str) -> str:
    words = (
        f"{facts.format}, {counted(facts.images, 'image')}, {counted(facts.objects, 'object')} of "
        f"{counted(len(facts.classes), 'class')}, from {facts.source}"
    )
    kind = "alarm" if facts.training.refuses or facts.training.dropped else "warn"
    return (
        f'<p class="eyebrow">segsweep inspect</p><h1>{escape(name)}</h1><p class="note">{escape(words)}</p>'
        f'<p class="lead">{escape(headline(facts))}</p>'
        f'<p class="{kind}">{escape(training_told(facts))}</p>'
    )


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return section("Findings", "Nothing was found that training or prepare would stumble over.", "")
    rows = []
    for one in findings:
        badge = f'<span class="badge {one.severity}">{one.severity}</span>'
        rows.append(
            f"<tr><td>{badge}</td>"
            f'<td class="what">{escape(one.rule)}{places(one.examples, one.count)}</td>'
            f'<td class="number" data-head="count">{one.count:,}</td>'
            f'<td class="wide" data-head="training">{escape(one.training or "-")}</td>'
            f'<td class="wide" data-head="prepare">{escape(one.prepare)}</td></tr>'
        )
    note = "What is the matter, what Ultralytics does with it when trained on the dataset as it is, what prepare does."
    head = ["", "what", "#count", "training would", "prepare"]
    html = table(head, rows).replace("<table>", '<table class="findings">', 1).replace(" tall", "", 1)
    return section("Findings", note, html)


def _counts(facts: Inspection) -> str:
    splits = facts.splits
    totals = {"images": [one.images for one in splits], "without an object": [one.background for one in splits]}
    classes = {one.name: [split.objects[one.name] for split in splits] for one in facts.classes}
    note = "Objects of each class in the splits as given, and their shares."
    html = split_table([one.name or "unsplit" for one in splits], totals, classes)
    return section("Splits and classes", note, html)


def _distributions(facts: Inspection) -> str:
    classes = sorted(facts.classes, key=lambda one: -one.objects)
    blocks = [
        bars("Objects of a class", [(one.name, one.objects) for one in classes]) if len(classes) > 1 else "",
        bars("Objects in an image", [(one.label, one.count) for one in facts.objects_per_image]),
        bars("Size of objects, px", [(one.label, one.count) for one in facts.object_sizes]),
        bars("Image sizes", [(one.label, one.count) for one in facts.sizes]),
    ]
    note = (
        "The size of an object is the square root of its area, in an image whose longest side is 640 pixels. Below 4 "
        "it is smaller than one cell of the model's mask grid."
    )
    return section("Distributions", note, f'<div class="facts">{"".join(blocks)}</div>')


def _copies(facts: Inspection, shots: Shots) -> str:
    told = copies_told(facts.copies, facts.images)
    if not told:
        return ""
    claims = "".join(f"<p>{escape(text)}</p>" for text in told)
    shown = "".join(
        f"<h3>{escape(_cluster_title(cluster))}</h3>{figures(pictures, 'pair')}" for cluster, pictures in shots.clusters
    )
    total = len(facts.copies.by_picture) + len(facts.copies.by_name)
    more = f'<p class="note">{total - len(shots.clusters)} more in --json.</p>' if total > len(shots.clusters) else ""
    return section("Copies of one scene", "Each with what it stands on.", claims + shown + more)


def _cluster_title(cluster: Cluster) -> str:
    evidence = "named as copies" if cluster.apart_bits is None else f"{cluster.apart_bits} of 64 bits apart"
    where = " and ".join(split or "no split" for split in cluster.splits)
    warning = "leak: " if len(cluster.splits) > 1 else ""
    return f"{warning}{len(cluster.images)} images in {where}, {evidence}"


def _contact_sheets(facts: Inspection, shots: Shots) -> str:
    counts = {one.name: one for one in facts.classes}
    sheets = []
    for name, pictures in shots.classes.items():
        count = counts[name]
        title = f"{name}: {counted(count.objects, 'object')} in {counted(count.images, 'image')}"
        sheets.append(f"<h3>{escape(title)}</h3>{figures(pictures, 'sheet')}")
    if not sheets:
        return ""
    left_out = len(facts.examples) - len(shots.classes)
    more = f'<p class="note">{left_out} more classes are not shown.</p>' if left_out > 0 else ""
    note = "The largest object of images drawn at random; outlines of the others in grey."
    return section("Contact sheets", note, "".join(sheets) + more)


def _worst(shots: Shots) -> str:
    return _sheet(
        "Worst overlaps", "Pairs of objects, by the share of the smaller one that both cover.", shots.overlaps
    ) + _sheet("Smallest objects", "Size: square root of the area at 640 pixels.", shots.smallest)


def _sheet(title: str, note: str, pictures: Sequence[Preview]) -> str:
    return section(title, note, figures(pictures, "sheet")) if pictures else ""


def _faults(faults: Sequence[Fault]) -> str:
    if not faults:
        return ""
    rows = [
        f'<tr><td class="place">{escape(one.where)}</td><td class="wide">{escape(one.rule)}</td>'
        f'<td class="place">{escape(one.value)}</td><td class="wide">{escape(one.training or "-")}</td></tr>'
        for one in faults[:_MOST_FAULTS]
    ]
    more = len(faults) - _MOST_FAULTS
    note = "Everything that cannot be used, with file and line." + (f" {more:,} more in --json." if more > 0 else "")
    return section("Every fault", note, table(["where", "must be", "found", "training"], rows))

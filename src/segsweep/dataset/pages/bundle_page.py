"""The page of a bundle: what each split got, how true it is to its source, what was done on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import segsweep
from segsweep.core.markup import definitions, document, number, section, table
from segsweep.dataset.augmentation.preview import Preview
from segsweep.dataset.bundles.manifest import Manifest
from segsweep.dataset.inspection.text import counted
from segsweep.dataset.pages.pieces import figures, places, split_table
from segsweep.dataset.pages.style import STYLE

_COPIES = "augmented copies"


def bundle_page(manifest: Manifest, previews: Sequence[Preview]) -> str:
    """`index.html` beside a bundle's manifest; the same manifest gives the same page.

    Args:
        manifest: Of the bundle.
        previews: What augmentation does to its pictures; none if nothing is augmented.
    """
    sections = [
        _header(manifest),
        _splits(manifest),
        _fidelity(manifest),
        _cleaning(manifest),
        _small(manifest),
        _augmentation(previews),
        section("Parameters", "", definitions(_parameters(manifest))),
    ]
    body = f"""<main>
{"".join(sections)}
<footer>segsweep {escape(segsweep.__version__)}, AGPL-3.0. The same facts as data: manifest.json; every repair:
cleaning.csv.</footer>
</main>"""
    return document(f"{manifest.name}: bundle", STYLE, body)


def headline(manifest: Manifest) -> str:
    """What the reader should take away, in a sentence or two."""
    fidelity = manifest.fidelity
    images = sum(split.images for split in manifest.splits.values())
    said = f"{counted(images, 'image')} at {manifest.imgsz} px"
    if not fidelity.objects:
        return f"{said}, without an object."
    lost = f"{fidelity.lost:,} of them lost" if fidelity.lost else "none of them lost"
    return (
        f"{said}. {counted(fidelity.objects, 'object')}, {lost}; their shapes agree with the source to "
        f"{_iou(fidelity.mean_iou)} on average, {_iou(fidelity.min_iou)} at worst."
    )


def _header(manifest: Manifest) -> str:
    words = f"{counted(len(manifest.classes), 'class')}, from {manifest.source.uri} ({manifest.source.format})"
    return (
        f'<p class="eyebrow">segsweep bundle</p><h1>{escape(manifest.directory)}</h1>'
        f'<p class="note">{escape(words)}</p><p class="lead">{escape(headline(manifest))}</p>'
    )


def _splits(manifest: Manifest) -> str:
    splits = manifest.splits.values()
    totals = {
        "images": [one.images for one in splits],
        _COPIES: [one.copies for one in splits],
        "without an object": [one.background for one in splits],
    }
    totals = {title: counts for title, counts in totals.items() if title == "images" or any(counts)}
    classes = {name: [one.instances.get(name, 0) for one in splits] for name in manifest.classes}
    note = "Objects of each class, and the share that each split got of it."
    if _COPIES in totals:
        note += " Augmented copies count like any other image."
    return section("What each split got", note, split_table(list(manifest.splits), totals, classes))


def _fidelity(manifest: Manifest) -> str:
    fidelity = manifest.fidelity
    if not fidelity.objects:
        return ""
    facts = definitions(
        {
            "Objects": f"{fidelity.objects:,}",
            "Mean IoU": _iou(fidelity.mean_iou),
            "Minimum": _iou(fidelity.min_iou),
            "Lost": f"{fidelity.lost:,}",
        }
    )
    rows = [
        f'<tr><td class="place">{escape(one.image)}</td>{number(str(one.object))}<td>{escape(one.category)}</td>'
        f"{number(_iou(one.iou))}</tr>"
        for one in fidelity.worst
    ]
    worst = f"<h3>Worst objects</h3>{table(['image', '#object', 'class', '#IoU'], rows)}" if rows else ""
    note = (
        "Intersection over union of each shape as written with its shape in the source, rasterised at the size of the "
        "source image. Small shapes lose most: a pixel is a large part of them."
    )
    return section("Fidelity", note, facts + worst)


def _cleaning(manifest: Manifest) -> str:
    rows = [
        f'<tr><td class="place">{escape(rule)}</td>{number(f"{count:,}")}</tr>'
        for rule, count in manifest.cleaning.items()
    ]
    html = table(["rule", "#times"], rows) if rows else ""
    noted = [
        f'<tr><td class="place">{escape(note.rule)}{places(note.examples, note.count)}</td>'
        f"{number(f'{note.count:,}')}</tr>"
        for note in manifest.notes
    ]
    if noted:
        html += f"<h3>Notes</h3>{table(['what', '#times'], noted)}"
    if not html:
        return section("Cleaning", "Nothing had to be mended or left out.", "")
    return section("Cleaning", "What was mended, left out or decided; each time is a row of cleaning.csv.", html)


def _small(manifest: Manifest) -> str:
    small = manifest.small
    if not small.count:
        return ""
    rows = [
        f'<tr><td class="place">{escape(one.image)}</td>{number(str(one.object))}<td>{escape(one.category)}</td>'
        f"{number(f'{one.area_px:.1f}')}</tr>"
        for one in small.objects
    ]
    more = small.count - len(small.objects)
    limit = f"{small.min_area_px:g} square pixels"
    note = f"Kept, though smaller than {limit} in the bundle: {counted(small.count, 'object')}."
    if more > 0:
        note += f" {more:,} more in cleaning.csv."
    return section("Small objects", note, table(["image", "#object", "class", "#area, px"], rows))


def _augmentation(previews: Sequence[Preview]) -> str:
    note = "Original at the left, then what augmentation makes of it. Only train is augmented."
    return section("Augmentation", note, figures(previews, "strip")) if previews else ""


def _parameters(manifest: Manifest) -> dict[str, str]:
    size_mb = sum(shard.size_bytes for shard in manifest.shards) / 1e6
    said = {name.replace("_", " "): _told(value) for name, value in manifest.parameters.items()}
    return {
        "digest": manifest.digest,
        "longest side": f"{manifest.imgsz} px",
        **said,
        "shards": f"{len(manifest.shards)}, {size_mb:,.1f} MB",
        "schema": str(manifest.schema),
    }


def _told(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_told(one)}" for key, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_told(one) for one in value) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)


def _iou(value: float) -> str:
    return "1" if value == 1.0 else f"{min(value, 0.9999):.4f}"  # never rounded up to a perfect one

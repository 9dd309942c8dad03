"""An inspection in words, for a terminal."""

from __future__ import annotations

from segsweep.dataset.inspection.facts import Bin, Copies, Inspection
from segsweep.dataset.inspection.provenance import ROBOFLOW_SCOPE

_MARKS = {"fault": "x", "warning": "!", "note": "-"}
_SIZES = 4
_WHERE = 3


def to_text(facts: Inspection) -> str:
    """Counts, then findings with what becomes of each."""
    lines = [
        f"{facts.source}: {facts.format}, {counted(facts.images, 'image')}, {counted(facts.objects, 'object')} of "
        f"{counted(len(facts.classes), 'class')}",
        *_counts(facts),
        *copies_told(facts.copies, facts.images),
        training_told(facts),
    ]
    for one in facts.findings:
        lines += ["", f"{_MARKS[one.severity]} {one.rule}: {one.count}"]
        lines += [f"    {place}" for place in one.examples[:_WHERE]]
        if len(one.examples) > _WHERE or one.count > len(one.examples):
            lines.append("    ...")
        lines += [f"  training: {one.training}"] if one.training else []
        lines.append(f"  prepare:  {one.prepare}")
    return "\n".join(lines)


def copies_told(copies: Copies, images: int) -> list[str]:
    """What is known of copies of one source image, each sentence with its evidence."""
    told = []
    about = copies.provenance
    if about and about.versions and about.versions > 1:
        steps = f" ({'; '.join(about.augmentation)})" if about.augmentation else ""
        told.append(
            f"{about.file} says: {about.versions} augmented versions were made of each source image{steps}. "
            f"{ROBOFLOW_SCOPE}."
        )
    if about and about.images and about.images != images:
        told.append(f"{about.file} says: the export held {about.images:,} images; here are {images:,}.")
    if copies.by_name:
        count = sum(len(cluster.images) for cluster in copies.by_name)
        told.append(f"File names: {counted(count, 'image')} are copies of {counted(len(copies.by_name), 'source')}.")
    elif about and about.versions:
        told.append("File names: no two images here are named as copies of one source.")
    if copies.by_picture:
        count = sum(len(cluster.images) for cluster in copies.by_picture)
        told.append(
            f"Pictures: {counted(count, 'image')} show {counted(len(copies.by_picture), 'scene')} "
            f"(perceptual hashes at most {copies.distance_bits} of 64 bits apart)."
        )
    return told


def training_told(facts: Inspection) -> str:
    """What Ultralytics would train on, in a sentence or a few."""
    training = facts.training
    if not training.is_direct:
        return f"Ultralytics does not read {facts.format}; of the image files it would use {training.used}."
    told = f"Ultralytics would use {training.used:,} of {counted(facts.images, 'image')}"
    if training.dropped:
        told += "; left out: " + ", ".join(f"{count:,} ({why})" for why, count in training.dropped.items())
    told += "."
    if training.background:
        told += f" {counted(training.background, 'image')} without a label file would be background."
    if training.removed_rows:
        told += f" {counted(training.removed_rows, 'repeated row')} would be removed."
    if training.rewritten:
        told += f" {counted(training.rewritten, 'image file')} would be overwritten."
    return told + "".join(f" It would not run: {why}." for why in training.refuses)


def counted(count: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def _counts(facts: Inspection) -> list[str]:
    lines = []
    for split in facts.splits:
        objects = ", ".join(f"{count} {name}" for name, count in split.objects.items() if count)
        name = split.name or "unsplit"
        lines.append(
            f"  {name:<8} {counted(split.images, 'image')}, {split.background:,} without an object; {objects or 'none'}"
        )
    shown = ", ".join(f"{one.label} ({one.count})" for one in facts.sizes[:_SIZES])
    more = f" and {len(facts.sizes) - _SIZES} more" if len(facts.sizes) > _SIZES else ""
    lines.append(f"  image sizes: {shown or 'none'}{more}")
    lines.append(f"  objects per image: {_bins(facts.objects_per_image)}")
    lines.append(f"  object sizes, square root of the area at 640 px: {_bins(facts.object_sizes)}")
    lines.append(f"  pairs of objects that overlap: {facts.overlapping}")
    return lines


def _bins(bins: tuple[Bin, ...]) -> str:
    return ", ".join(f"{one.label}: {one.count}" for one in bins if one.count) or "none"

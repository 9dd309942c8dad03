"""From what was seen and what reading told to the list of findings, most severe first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from segsweep.dataset.cleaning import repair
from segsweep.dataset.inspection import look
from segsweep.dataset.inspection.consequences import (
    BOXES,
    CROWDS,
    EMPTY_CLASS,
    HOLES,
    LEAK,
    NEAR,
    PARTS,
    UNTRAINED_CLASS,
    consequence_of,
)
from segsweep.dataset.inspection.facts import Cluster, Copies, Fault, Finding
from segsweep.dataset.inspection.tally import Tally
from segsweep.dataset.records import RawDataset
from segsweep.errors import Problem

FAULT, WARNING, NOTE = "fault", "warning", "note"
_ORDER = (FAULT, WARNING, NOTE)

_SEVERITY = {
    look.UNREADABLE: FAULT,
    look.MISLABELLED: NOTE,
    look.GREY_IMAGE: NOTE,
    look.PALETTE_IMAGE: NOTE,
    look.ALPHA: NOTE,
    CROWDS: NOTE,
    PARTS: NOTE,
    HOLES: NOTE,
    repair.POINTS_REMOVED: NOTE,
    repair.WOUND: NOTE,
    repair.FLAT_PARTS: NOTE,
}
_EXAMPLES = 8


def findings_of(dataset: RawDataset, tally: Tally, copies: Copies, faults: tuple[Fault, ...]) -> tuple[Finding, ...]:
    """All findings, those that `prepare` refuses first.

    Args:
        dataset: As read.
        tally: What was seen of its images.
        copies: What is known of copies.
        faults: Everything that cannot be used.
    """
    found = [*_from_faults(faults), *_from_classes(dataset, tally), *_from_notes(dataset), *_from_clusters(copies)]
    found += _from_images(tally)
    return tuple(sorted(found, key=lambda one: _ORDER.index(one.severity)))


def faults_of(dataset: RawDataset, tally: Tally, *, is_direct: bool) -> tuple[Fault, ...]:
    """Everything that cannot be used, each with what training would make of it.

    Args:
        dataset: As read.
        tally: What was seen of its images.
        is_direct: Whether Ultralytics reads this format itself.
    """
    dropped = {_labels_of(name): why for name, why in tally.dropped_labels.items()} if is_direct else {}
    refused = consequence_of("", is_fault=True).prepare
    faults = [
        Fault(_place(one), one.rule, one.value, _training_of(one, dropped) if is_direct else "", refused)
        for one in dataset.problems
    ]
    for name, kind, one in tally.problems:
        known = consequence_of(kind)
        faults.append(Fault(name, one.rule, one.value, known.training, known.prepare))
    return tuple(faults)


def _labels_of(image: str) -> str:
    """What an image's label file is called in messages: its place in the dataset."""
    return str(look.label_path(Path("/") / image)).removeprefix("/")


def _training_of(problem: Problem, dropped: dict[str, str]) -> str:
    file = problem.where.rpartition(":")[0] or problem.where
    for name in (problem.where, file):
        if name in dropped:
            return f"leaves out the whole image: {dropped[name]}" if dropped[name] else consequence_of(BOXES).training
    return "takes the row as it is" if file.endswith(".txt") else ""


def _place(problem: Problem) -> str:
    return f"{problem.where}: {problem.field}" if problem.field else problem.where


def _from_faults(faults: tuple[Fault, ...]) -> Iterator[Finding]:
    by_rule: dict[str, list[Fault]] = {}
    for fault in faults:
        by_rule.setdefault(fault.rule, []).append(fault)
    for rule, members in by_rule.items():
        said = {member.training for member in members} - {""}
        training = "; ".join(sorted(said)) if len(said) <= 2 else "differs, see each"
        places = tuple(f"{one.where}: {one.value}" if one.value else one.where for one in members[:_EXAMPLES])
        yield Finding(rule, FAULT, len(members), places, training, members[0].prepare)


def _from_notes(dataset: RawDataset) -> Iterator[Finding]:
    for note in dataset.notes:
        known = consequence_of(note.rule)
        severity = WARNING if known.training else NOTE  # the rest are readers' choices that change no training
        yield Finding(note.rule, severity, note.count, note.examples, known.training, known.prepare)


def _from_images(tally: Tally) -> Iterator[Finding]:
    for rule, count in tally.counts.most_common():
        if rule not in (look.UNREADABLE, look.WRONG_SIZE):  # told one by one, as faults
            yield _finding(rule, _SEVERITY.get(rule, WARNING), count, tally.places[rule])
    if tally.verdicts["boxes"]:
        yield _finding(BOXES, WARNING, tally.verdicts["boxes"], [])


def _from_classes(dataset: RawDataset, tally: Tally) -> Iterator[Finding]:
    used = {category for counts in tally.objects_of_split.values() for category in counts}
    empty = [name for index, name in enumerate(dataset.classes) if index not in used]
    if empty:
        yield _finding(EMPTY_CLASS, FAULT, len(empty), empty)
    if "train" in tally.images_of_split:
        missing = sorted(used - set(tally.objects_of_split["train"]))
        if missing:
            yield _finding(UNTRAINED_CLASS, FAULT, len(missing), [dataset.classes[index] for index in missing])


def _from_clusters(copies: Copies) -> Iterator[Finding]:
    leaks = copies.leaks
    if leaks:
        yield _finding(LEAK, WARNING, len(leaks), [_told(cluster) for cluster in leaks])
    within = [cluster for cluster in copies.by_picture if len(cluster.splits) == 1]
    if within:
        yield _finding(NEAR, WARNING, len(within), [_told(cluster) for cluster in within])


def _told(cluster: Cluster) -> str:
    shown = " = ".join(member.image for member in cluster.images[:3])
    more = f" and {len(cluster.images) - 3} more" if len(cluster.images) > 3 else ""
    evidence = "by name" if cluster.apart_bits is None else f"{cluster.apart_bits} bits apart"
    return f"{shown}{more} ({evidence})"


def _finding(rule: str, severity: str, count: int, places: list[str]) -> Finding:
    known = consequence_of(rule)
    return Finding(rule, severity, count, tuple(places[:_EXAMPLES]), known.training, known.prepare)

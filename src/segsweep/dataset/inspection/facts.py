"""The facts of an inspection, before anybody prints or draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from segsweep.dataset.inspection.provenance import Provenance


@dataclass(frozen=True)
class Finding:
    """One kind of thing that is the matter, or worth knowing.

    Attributes:
        rule: What.
        severity: `fault`: `prepare` refuses it; `warning`: training would suffer; `note`: to be known.
        count: How often.
        examples: Where, for the first few.
        training: What Ultralytics does with it, trained on the dataset as it is.
        prepare: What `segsweep prepare` does with it.
    """

    rule: str
    severity: str
    count: int
    examples: tuple[str, ...]
    training: str
    prepare: str


@dataclass(frozen=True)
class Fault:
    """One thing that cannot be used.

    Attributes:
        where: File with line or record.
        rule: What must hold.
        value: What was found; empty when nothing was.
        training: What Ultralytics does with it; empty where it does not read this format.
        prepare: What `segsweep prepare` does with it.
    """

    where: str
    rule: str
    value: str
    training: str
    prepare: str


@dataclass(frozen=True)
class SplitCount:
    """What a given split holds; `name` is empty for images outside any."""

    name: str
    images: int
    background: int
    objects: Mapping[str, int]


@dataclass(frozen=True)
class ClassCount:
    """How often a class occurs: objects, and images that show any."""

    name: str
    objects: int
    images: int


@dataclass(frozen=True)
class Bin:
    """One bar of a distribution."""

    label: str
    count: int


@dataclass(frozen=True)
class ObjectPlace:
    """An object by its image and its number there, from 0, with its size at 640 pixels."""

    image: str
    object: int
    category: str
    side_px: float


@dataclass(frozen=True)
class Overlap:
    """Two objects that share pixels.

    Attributes:
        image: Name of the image.
        objects: Numbers of the two, from 0.
        categories: Their classes.
        share: Of the smaller one that the larger one covers too.
        iou: Intersection over union.
    """

    image: str
    objects: tuple[int, int]
    categories: tuple[str, str]
    share: float
    iou: float


@dataclass(frozen=True)
class Member:
    """An image of a cluster and the split it comes in."""

    image: str
    split: str


@dataclass(frozen=True)
class Cluster:
    """Images of one scene.

    Attributes:
        evidence: `name`: their files are named as copies of one source; `picture`: their perceptual hashes are near.
        images: They.
        apart_bits: The largest distance of a hash from that of the first image; None where the evidence is the name.
    """

    evidence: str
    images: tuple[Member, ...]
    apart_bits: int | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits it lies in."""
        return tuple(sorted({member.split for member in self.images}))


@dataclass(frozen=True)
class Copies:
    """What is known of copies of one source image, each with what it stands on.

    Attributes:
        provenance: What the dataset's own README says; None if it says nothing.
        by_name: Images that are named as copies of one source.
        by_picture: Images whose hashes differ in at most `distance_bits` of 64.
        distance_bits: The stated distance.
    """

    provenance: Provenance | None
    by_name: tuple[Cluster, ...]
    by_picture: tuple[Cluster, ...]
    distance_bits: int

    @property
    def leaks(self) -> tuple[Cluster, ...]:
        """Clusters that lie in more than one split."""
        return tuple(cluster for cluster in (*self.by_name, *self.by_picture) if len(cluster.splits) > 1)


@dataclass(frozen=True)
class Training:
    """What Ultralytics would train on, given the dataset as it is.

    Attributes:
        is_direct: Whether it reads this format itself; if not, only what concerns image files is counted.
        used: Images.
        dropped: Reason -> images left out for it.
        background: Images trained as background for want of a label file.
        removed_rows: Repeated rows taken out.
        rewritten: Image files overwritten.
        refuses: Why it would not start, or end with an error; empty if it runs.
    """

    is_direct: bool
    used: int
    dropped: Mapping[str, int]
    background: int
    removed_rows: int
    rewritten: int
    refuses: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """Everything an inspection found.

    Attributes:
        source: The dataset, as it was named.
        format: Its format.
        images: How many.
        unreadable: How many of them cannot be read.
        classes: In the dataset's order.
        splits: As given, in the order train, val, test, none.
        sizes: Sizes of images, most frequent first; label `640x480`.
        objects_per_image: Distribution.
        object_sizes: Distribution of the square root of the area, at 640 pixels.
        objects: How many, without crowds.
        crowds: Crowd regions.
        overlapping: Pairs of objects that overlap.
        overlaps: The worst of them.
        smallest: The smallest objects.
        examples: Class -> a few of its objects, to be shown.
        copies: Copies of one source image.
        training: What Ultralytics would make of the dataset.
        findings: Most severe first.
        faults: Everything that cannot be used, one by one.
    """

    source: str
    format: str
    images: int
    unreadable: int
    classes: tuple[ClassCount, ...]
    splits: tuple[SplitCount, ...]
    sizes: tuple[Bin, ...]
    objects_per_image: tuple[Bin, ...]
    object_sizes: tuple[Bin, ...]
    objects: int
    crowds: int
    overlapping: int
    overlaps: tuple[Overlap, ...]
    smallest: tuple[ObjectPlace, ...]
    examples: Mapping[str, tuple[ObjectPlace, ...]]
    copies: Copies
    training: Training
    findings: tuple[Finding, ...]
    faults: tuple[Fault, ...]

    def to_json(self) -> dict[str, Any]:
        """Facts for `segsweep inspect --json`."""
        facts = asdict(self)
        facts["copies"]["leaks"] = [asdict(leak) for leak in self.copies.leaks]
        return facts

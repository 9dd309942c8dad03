"""Cityscapes, and trees of other data that are laid out like it."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from segsweep.dataset.formats.cityscapes_labels import (
    LABELS_NAME,
    LabelTable,
    assign_labels,
    format_labels,
    read_labels,
)
from segsweep.dataset.formats.cityscapes_scene import draw_scene, read_scene
from segsweep.dataset.formats.cityscapes_tree import (
    ANNOTATIONS,
    IMAGE_END,
    IMAGES,
    MASK_END,
    deal_splits,
    find_half,
    list_scenes,
    report_orphans,
)
from segsweep.dataset.formats.index_png import encode_index
from segsweep.dataset.formats.mask_folders import shown
from segsweep.dataset.records import (
    SPLITS,
    UNSPLIT,
    Findings,
    ImageRecord,
    Keep,
    RawDataset,
    in_memory,
)
from segsweep.dataset.stems import unique_stems
from segsweep.errors import ConfigError, DatasetError, Problem

_SECOND_TRAIN = "train_extra"  # for images in no split, where others are in train


class CityscapesFormat:
    """`leftImg8bit/<split>/<city>/` beside `gtFine/<split>/<city>/`, with `instanceIds.png` or `polygons.json`.

    Groups (`cargroup`) are crowds. A label whose objects are not told apart, as `road`, is one instance an image, of as
    many parts as it has pieces: what Cityscapes' panoptic benchmark calls a segment. The city is the group that a split
    keeps together.

    Written is the same tree, with `instanceIds.png` and `gtFine/labels.json`, which says what its labels and splits
    are. Each group of images is a city. A pixel of `instanceIds` holds one object: where objects overlap the smaller
    one is kept whole, above crowds in any case, and an object that is wholly covered is lost and told in a warning.
    Crowds of one class in one image become one.

    Args:
        classes: Labels to read, in this order; none for the eight evaluated ones, or for all that `labels.json` lists.
    """

    name = "cityscapes"

    def __init__(self, classes: Sequence[str] = ()) -> None:
        self._classes = tuple(dict.fromkeys(classes))

    def detect(self, source: Path) -> bool:
        """Whether there is a leftImg8bit or a gtFine."""
        return any(find_half(source, name) for name in (IMAGES, ANNOTATIONS))

    def read(self, source: Path, keep: Keep = in_memory) -> RawDataset:
        """Read the annotations of all images whose labels are public."""
        images, annotations = find_half(source, IMAGES), find_half(source, ANNOTATIONS)
        if images is None or annotations is None:
            rule = f"must hold both {IMAGES}/ and {ANNOTATIONS}/"
            fix = f"unpack {IMAGES}_trainvaltest.zip and {ANNOTATIONS}_trainvaltest.zip here"
            raise DatasetError(Problem(str(source), rule, fix=fix))
        findings = Findings()
        file = annotations / LABELS_NAME
        table = read_labels(file, shown(file, source), findings)
        if findings.problems:  # without labels every mask would be a further fault
            return RawDataset(self.name, (), (), findings.notes, tuple(findings.problems))
        classes = self._choose(table)
        scenes = list_scenes(images, annotations, findings)
        dealt = deal_splits(scenes, table.splits, findings)
        report_orphans([scene for scene, _ in dealt], annotations, findings)
        records = []
        for scene, split in dealt:
            instances, size = read_scene(scene, table, classes, source, findings)
            records.append(
                ImageRecord(scene.image, shown(scene.image, source), scene.city, keep(instances), split, size)
            )
        if not records and not findings.problems:
            findings.fault(str(source), f"{IMAGES} holds no image that can be used")
        return RawDataset(
            format=self.name,
            classes=classes,
            images=tuple(sorted(records, key=lambda record: record.name)),
            notes=findings.notes,
            problems=tuple(findings.problems),
        )

    def write(self, dataset: RawDataset, folder: Path) -> None:
        """Write the tree; an unsplit dataset is one `train` folder.

        Raises:
            DatasetError: There are more than 64 classes, or more than 1,000 objects of one class in an image.
        """
        labels = assign_labels(dataset.classes)
        present = {record.split for record in dataset.images}
        folders = {split: split for split in SPLITS if split in present}
        if UNSPLIT in present:
            folders[UNSPLIT] = _SECOND_TRAIN if "train" in present else "train"
        (folder / IMAGES).mkdir(parents=True, exist_ok=True)
        (folder / ANNOTATIONS).mkdir(exist_ok=True)
        text = format_labels(labels, {name: split for split, name in folders.items()})
        (folder / ANNOTATIONS / LABELS_NAME).write_text(text, encoding="utf-8")
        cities = _name_cities({record.group for record in dataset.images})
        count: Counter[str] = Counter()
        for record in dataset.images:
            city = cities[record.group]
            inner, stem = Path(folders[record.split], city), f"{city}_{count[city]:06d}_000000"
            count[city] += 1
            image = folder / IMAGES / inner / f"{stem}{IMAGE_END}{record.path.suffix.lower()}"
            mask = folder / ANNOTATIONS / inner / f"{stem}{MASK_END}"
            for path in (image, mask):
                path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(record.path, image)
            mask.write_bytes(encode_index(draw_scene(record, labels)))

    def _choose(self, table: LabelTable) -> tuple[str, ...]:
        known = {label.name for label in table.labels if label.id > 0}
        unknown = [name for name in self._classes if name not in known]
        if unknown:
            fix = f"one of {', '.join(label.name for label in table.labels if label.id > 0)}"
            rule = "must be labels that masks hold"
            raise ConfigError(Problem("--classes", rule, value=", ".join(unknown), fix=fix))
        return self._classes or table.classes


def _name_cities(groups: set[str]) -> dict[str, str]:
    """A folder for each group, without the underscores that part the fields of Cityscapes' file names."""
    cities = {group: stem.replace("_", "-") for group, stem in unique_stems(sorted(groups)).items()}
    uses = Counter(city.lower() for city in cities.values())
    for group, city in cities.items():
        if uses[city.lower()] > 1:
            cities[group] = f"{city}-{hashlib.sha256(group.encode()).hexdigest()[:10]}"
    return cities

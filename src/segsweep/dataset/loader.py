"""A node's copy as what Ultralytics trains on."""

from __future__ import annotations

import logging

from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset

from segsweep.dataset.records import SPLITS
from segsweep.dataset.staging import NodeCopy
from segsweep.errors import DatasetError, Problem

logger = logging.getLogger(__name__)


def prebuild_label_cache(copy: NodeCopy) -> None:
    """Let Ultralytics scan every split once, so that no trial does.

    Ultralytics keeps its scan in `labels/<split>.cache`, valid for these absolute paths, sizes and times only, and
    writes it without a rename; trials that start together would each rebuild it, one reading what another half wrote.

    Raises:
        DatasetError: Ultralytics would leave out images that the bundle holds.
    """
    data = check_det_dataset(str(copy.data_yaml), autodownload=False)
    problems = []
    for split in SPLITS:
        dataset = YOLODataset(img_path=data[split], data=data, task="segment", augment=False, imgsz=copy.manifest.imgsz)
        found, expected = len(dataset.labels), copy.manifest.splits[split].images
        if found != expected:
            rule = f"Ultralytics reads {found} of {expected} images"
            problems.append(Problem(str(copy.root / "images" / split), rule, fix="report this as a bug of segsweep"))
        logger.info("label cache of %s: %d images", split, found)
    if problems:
        raise DatasetError(problems)

"""Prediction pictures of a trial, small enough to be embedded in a page."""

from __future__ import annotations

import logging
from pathlib import PurePosixPath

import cv2
import numpy as np

from segsweep.core.trials import TrialRecord
from segsweep.storage import layout
from segsweep.storage.run_folder import RunFolder

logger = logging.getLogger(__name__)

_COUNT = 4
_SIDE_PX = 720  # the truth on the left, the prediction on the right
_QUALITY = 82


def find_pictures(run: RunFolder, record: TrialRecord) -> list[tuple[str, bytes]]:
    """The first few predictions that the trial drew on validation images: name and a small JPEG.

    A picture that cannot be decoded is left out with a warning: a report does not fail for its ornaments.
    """
    keys = [info.key for info in run.store.list(layout.trial_key(record.directory, layout.TRIAL_PREDICTIONS))]
    pictures: list[tuple[str, bytes]] = []
    for key in sorted(keys)[:_COUNT]:
        small = shrink(run.store.read(key))
        if small is None:
            logger.warning("%s/%s is no picture and is left out", run.store.uri, key)
        else:
            pictures.append((PurePosixPath(key).stem, small))
    return pictures


def shrink(data: bytes) -> bytes | None:
    """A picture as JPEG whose longest side is at most 720 px; None if the bytes are no picture."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        return None
    scale = _SIDE_PX / max(image.shape[:2])
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes() if done else None

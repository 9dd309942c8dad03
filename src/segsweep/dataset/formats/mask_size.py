"""Whether a mask has the size of its image, told from the image's header."""

from __future__ import annotations

from pathlib import Path

from segsweep.dataset.pictures.picture import picture_size
from segsweep.dataset.records import Findings
from segsweep.errors import DatasetError


def check_size(
    image: Path, size: tuple[int, int], where: str, findings: Findings, first: tuple[int, int] | None = None
) -> bool:
    """Whether the image has this width and height, as it lies in its file or turned upright; a fault if not.

    An image that cannot be read is no fault here: cleaning says what becomes of it.

    Args:
        image: The image file.
        size: Width and height of its mask, pixels.
        where: The mask, for messages.
        findings: Takes the fault.
        first: Size of another mask of the image that was right.
    """
    if first is not None:
        if size != first:
            rule = f"the masks of an image must have one size, the first is {first[0]}x{first[1]}"
            findings.fault(where, rule, value=f"{size[0]}x{size[1]}")
        return size == first
    try:
        width, height = picture_size(image)
    except DatasetError:
        return True
    if size in ((width, height), (height, width)):
        return True
    rule = f"a mask must have the size of its image, {image.name} is {width}x{height}"
    findings.fault(where, rule, value=f"{size[0]}x{size[1]}")
    return False

"""Converting every image of a dataset, wherever there are cores, and going on where an earlier run was killed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from segsweep.dataset.preparing.batch import Chunk, Conversion, batch_name, is_whole, store
from segsweep.dataset.preparing.roster import Roster
from segsweep.dataset.spread import MapChunks

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


def convert_all(
    roster: Roster, conversion: Conversion, folder: Path, map_chunks: MapChunks[Chunk], progress: Progress | None
) -> list[Path]:
    """Make a batch of every chunk of the roster; those that are in the folder already are kept.

    Args:
        roster: The images.
        conversion: What is done to them.
        folder: Where the batches lie.
        map_chunks: Who does it.
        progress: Called with images done and images in all.

    Returns:
        The batches, in the order of the roster, whatever order they were made in.

    Raises:
        OSError: The disk is full.
    """
    folder.mkdir(exist_ok=True)
    sizes: dict[str, int] = {}
    done = kept = 0

    def missing() -> Iterator[Chunk]:
        nonlocal done, kept
        for records in roster.chunks():
            name = batch_name(records, conversion.settings)
            sizes[name] = len(records)
            if is_whole(folder / name):
                done += len(records)
                kept += len(records)
            else:
                yield Chunk(name, records)

    for data in map_chunks(conversion, missing()):
        done += sizes[store(data, folder)]
        if progress is not None:
            progress(done, len(roster))
    if kept:
        logger.info("%d of %d images were converted before; they are kept", kept, len(roster))
        if progress is not None:
            progress(done, len(roster))
    return [folder / name for name in sizes]

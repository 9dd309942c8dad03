"""Converting a dataset's images on a Ray cluster: the driver reads the files and writes the bundle, the nodes convert.

Image files and annotations travel with their chunk, so the nodes need no disk in common with the driver.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import ray
from ray.exceptions import RayError

from segsweep.dataset.pictures.picture import MAX_BYTES
from segsweep.dataset.preparing.batch import Chunk
from segsweep.dataset.spread import MapChunks
from segsweep.errors import Problem, RunError
from segsweep.storage.plain import read_plain
from segsweep.sweep.ray_start import join_cluster

logger = logging.getLogger(__name__)

_IN_FLIGHT = 2  # chunks a CPU: one at work, one that has arrived


@dataclass(frozen=True)
class _Parcel:
    """A chunk with its image files; None for a file that cannot be read, which the node then finds out too."""

    chunk: Chunk
    files: tuple[bytes | None, ...]


@contextmanager
def on_cluster(address: str) -> Iterator[MapChunks[Chunk]]:
    """Spread chunks over a Ray cluster.

    Args:
        address: As `RAY_ADDRESS` has it.

    Raises:
        ConfigError: There is no cluster at the address.
        RunError: While it runs: the cluster failed.
    """
    join_cluster(address)
    try:
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        logger.info("converting on %d cores of the cluster at %s", cores, address)
        yield _spread(cores)
    finally:
        ray.shutdown()


def _spread(cores: int) -> MapChunks[Chunk]:
    convert = ray.remote(num_cpus=1)(_convert)

    def spread(function: Callable[[Chunk], bytes], chunks: Iterable[Chunk]) -> Iterator[bytes]:
        shared = ray.put(function)
        waiting: list[Any] = []
        for chunk in chunks:
            waiting.append(convert.remote(shared, _pack(chunk)))
            if len(waiting) >= _IN_FLIGHT * cores:
                done, waiting = ray.wait(waiting)
                yield from _results(done)
        while waiting:
            done, waiting = ray.wait(waiting)
            yield from _results(done)

    return spread


def _results(done: list[Any]) -> Iterator[bytes]:
    try:
        yield from ray.get(done)
    except RayError as exc:
        rule = f"the cluster could not convert some images: {exc}"
        raise RunError(Problem("prepare", rule, fix="run the same command again: what is done is kept")) from exc


def _pack(chunk: Chunk) -> _Parcel:
    files: list[bytes | None] = []
    for record in chunk.records:
        try:
            files.append(read_plain(record.path, MAX_BYTES))
        except OSError:
            files.append(None)
    # Annotations lie in a file of the driver's; they travel as they are.
    records = tuple(replace(record, annotations=record.instances) for record in chunk.records)
    # An image that a format unpacked lies where no user looks: it is told by its name.
    places = tuple(
        str(record.path) if str(record.path).endswith(record.name) else record.name for record in chunk.records
    )
    return _Parcel(replace(chunk, records=records, places=places), tuple(files))


def _convert(function: Callable[[Chunk], bytes], parcel: _Parcel) -> bytes:
    """Unpack a parcel on a node and convert its chunk there."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="segsweep-chunk-") as folder:
        records = []
        for number, (record, data) in enumerate(zip(parcel.chunk.records, parcel.files, strict=True)):
            path = Path(folder, f"{number}{record.path.suffix}")
            if data is not None:
                path.write_bytes(data)
            records.append(replace(record, path=path))
        return function(replace(parcel.chunk, records=tuple(records)))

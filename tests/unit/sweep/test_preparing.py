"""What travels to a node that converts images, and what comes back: the same bytes as from here; no Ray is started."""

from __future__ import annotations

import pickle
import socket
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import ray

from segsweep.core.part import Part
from segsweep.dataset.preparing.batch import Chunk, ConvertChunk, read_index, store
from segsweep.dataset.preparing.conversion import Recipe
from segsweep.dataset.records import ImageRecord, Instance
from segsweep.dataset.spool import Span, Spool
from segsweep.errors import ConfigError
from segsweep.sweep.preparing import _convert, _pack, on_cluster

CONVERT = ConvertChunk(Recipe(imgsz=60))
SQUARE = Part(np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]))


@pytest.fixture(autouse=True)
def threads() -> object:
    """A node's process works with one thread; this one has other tests."""
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def chunk(folder: Path) -> Chunk:
    """Pictures of two kinds in folders of their own, one of them without an object, spooled as a driver has them."""
    x, y = np.meshgrid(np.linspace(0, 5, 120), np.linspace(0, 4, 80))
    picture = (127 + 120 * np.dstack([np.sin(x), np.cos(y), np.sin(x + y)])).astype(np.uint8)
    cat, dog = Instance(0, (SQUARE,)), Instance(1, (SQUARE,))
    objects_of: dict[str, list[Instance]] = {"u/a.png": [dog], "v/a.jpg": [], "v/b.jpg": [cat]}
    records = []
    with Spool(folder / "x.spool") as spool:
        for name, objects in objects_of.items():
            path = folder / "raw" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), picture)
            records.append(ImageRecord(path, name, name, spool.keep(objects), "train", (120, 80)))
    return Chunk("x.batch", tuple(records))


def travelled(given: Chunk) -> bytes:
    """The batch that a node makes of the chunk, with nothing of the driver's disk in reach."""
    sent = _pack(given)
    # An unlinked spool that is open here could still be read; a node has none.
    assert all(isinstance(record.annotations, tuple) for record in sent.chunk.records)
    parcel = pickle.dumps(sent)
    for record in given.records:
        record.path.unlink(missing_ok=True)
        if isinstance(record.annotations, Span):
            Path(record.annotations.file).unlink(missing_ok=True)
    return _convert(CONVERT, pickle.loads(parcel))


def test_a_node_without_the_drivers_disk_makes_the_batch_that_is_made_here(tmp_path: Path):
    given = chunk(tmp_path)
    expected = CONVERT(given)
    assert travelled(given) == expected
    images = read_index(tmp_path / store(expected, tmp_path))
    assert [(image.name, image.categories, image.problems) for image in images] == [
        ("u/a.png", (1,), ()),
        ("v/a.jpg", (), ()),
        ("v/b.jpg", (0,), ()),
    ]


def test_what_is_wrong_on_a_node_is_told_by_the_place_that_the_user_knows(tmp_path: Path):
    given = chunk(tmp_path)
    gone, broken, whole = given.records
    gone.path.unlink()
    broken.path.write_bytes(b"no image")
    unpacked = tmp_path / "17.jpg"
    unpacked.write_bytes(b"no image")
    given = replace(given, records=(gone, broken, whole, replace(broken, path=unpacked, name="w/c.jpg")))
    here = read_index(tmp_path / store(CONVERT(given), tmp_path))
    there = read_index(tmp_path / store(travelled(given), tmp_path))
    assert [[problem.where for problem in image.problems] for image in there] == [
        [str(gone.path)],
        [str(broken.path)],
        [],
        ["w/c.jpg"],  # nobody knows the file that a format unpacked
    ]
    assert [image.name for image in there] == ["u/a.png", "v/a.jpg", "v/b.jpg", "w/c.jpg"]
    assert [image.problems for image in there] == [image.problems for image in here]


def test_a_chunk_without_images_is_an_empty_batch(tmp_path: Path):
    assert read_index(tmp_path / store(travelled(Chunk("x.batch", ())), tmp_path)) == []


def test_a_cluster_where_nobody_listens_is_told_and_ray_is_not_started():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ConfigError, match=rf"RAY_ADDRESS: {address}: no cluster answers"), on_cluster(address):
            pass
    assert not ray.is_initialized()

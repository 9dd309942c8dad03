from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsweep.core.geometry import Part
from segsweep.dataset.records import ImageRecord, Instance
from segsweep.dataset.spool import Spool


def ring(points: int, offset: float = 0.0) -> np.ndarray:
    return np.arange(2 * points, dtype=np.float64).reshape(-1, 2) / 7 + offset


def content(instances: tuple[Instance, ...]) -> list[object]:
    return [(one.category, one.crowd, [[r.tolist() for r in part.rings] for part in one.parts]) for one in instances]


RING = st.integers(3, 9).map(ring)
PART = st.builds(Part, RING, st.lists(RING, max_size=2).map(tuple))
INSTANCE = st.builds(Instance, st.integers(0, 99), st.lists(PART, min_size=1, max_size=3).map(tuple), st.booleans())


@given(images=st.lists(st.lists(INSTANCE, max_size=3), max_size=4))
def test_what_is_kept_comes_back(images: list[list[Instance]], tmp_path_factory: pytest.TempPathFactory) -> None:
    with Spool(tmp_path_factory.mktemp("spool") / "instances") as spool:
        kept = [spool.keep(one) for one in images]
    assert [content(span.load()) for span in kept] == [content(tuple(one)) for one in images]


def test_pieces_of_one_image_are_joined_in_order(tmp_path: Path) -> None:
    first, second = (Instance(i, (Part(ring(3, i)),)) for i in range(2))
    with Spool(tmp_path / "instances") as spool:
        pieces = spool.keep([first]), spool.keep([]), spool.keep([second])
    assert content((pieces[0] + pieces[1] + pieces[2]).load()) == content((first, second))


def test_a_record_reads_its_instances_from_the_spool(tmp_path: Path) -> None:
    one = Instance(3, (Part(ring(4), (ring(3),)),), crowd=True)
    with Spool(tmp_path / "instances") as spool:
        record = ImageRecord(tmp_path / "a.jpg", "a.jpg", "a", spool.keep([one]))
    assert content(record.instances) == content((one,))


def test_a_spool_that_lost_its_end_says_so(tmp_path: Path) -> None:
    with Spool(tmp_path / "short") as spool:
        span = spool.keep([Instance(0, (Part(ring(5)),))])
    (tmp_path / "short").write_bytes((tmp_path / "short").read_bytes()[:-8])
    with pytest.raises(OSError, match="shorter"):
        span.load()

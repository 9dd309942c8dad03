from __future__ import annotations

from pathlib import Path

from segsweep.dataset.preparing.roster import Roster
from segsweep.dataset.records import ImageRecord
from segsweep.dataset.spool import Span


def records(count: int) -> list[ImageRecord]:
    span = Span("/tmp/x.spool", ((0, 10), (10, 20)))
    names = [f"it's \udcff 猫/{i}.jpg" for i in range(count)]
    return [
        ImageRecord(Path("/raw", name), name, f"g{i}", span, "train", (4, 3) if i % 2 else None)
        for i, name in enumerate(names)
    ]


def facts(record: ImageRecord) -> tuple[object, ...]:
    return record.path, record.name, record.group, record.annotations, record.split, record.size


def test_records_come_back_as_they_were_so_many_at_a_time(tmp_path: Path):
    given = records(7)
    roster = Roster(tmp_path / "roster", given, 3)
    assert len(roster) == 7
    assert [len(chunk) for chunk in roster.chunks()] == [3, 3, 1]
    assert [*map(facts, roster.images())] == [*map(facts, given)]


def test_no_records_are_no_chunks(tmp_path: Path):
    assert list(Roster(tmp_path / "roster", [], 3).chunks()) == []

from __future__ import annotations

import os
from pathlib import Path

import pytest

from segsweep.dataset.formats.json_file import read_json
from segsweep.dataset.formats.labelme import LabelmeFormat
from segsweep.dataset.records import Findings, in_memory


def test_what_the_file_holds_comes_back_with_or_without_a_mark_of_its_encoding(tmp_path: Path):
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + '{"a": ["é"]}'.encode())
    findings = Findings()
    assert read_json(tmp_path / "a.json", 100, "a.json", findings) == {"a": ["é"]}
    assert findings.problems == []


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"{", "a.json: must be JSON: "),
        (b"\xff", "a.json: must be JSON: "),
        (b"[" * 60_000, "a.json: must be JSON: "),
        (b" " * 100_001, "a.json: cannot be read: it has 100001 bytes, it may have 100000"),
    ],
)
def test_what_is_wrong_with_it_is_told(data: bytes, told: str, tmp_path: Path):
    (tmp_path / "a.json").write_bytes(data)
    findings = Findings()
    assert read_json(tmp_path / "a.json", 100_000, "a.json", findings) is None
    assert [str(problem)[: len(told)] for problem in findings.problems] == [told]


@pytest.mark.parametrize("name", ["a.json", "labels.txt"])
def test_labelme_reads_no_file_that_is_larger_than_memory(name: str, tmp_path: Path):
    (tmp_path / "a.json").write_text('{"shapes": [], "imagePath": "a.jpg"}')
    with (tmp_path / name).open("ab") as file:
        os.truncate(file.fileno(), 1 << 40)
    told = [str(problem) for problem in LabelmeFormat().read(tmp_path, in_memory).problems]
    assert any(f"it has {1 << 40} bytes" in one for one in told)

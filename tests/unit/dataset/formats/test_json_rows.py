from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsweep.dataset.formats import json_rows
from segsweep.dataset.formats.json_rows import Rows, read_members, read_rows

WINDOWS = (1, 7, 64, 1 << 16)

# Whole numbers beyond 64 bits come back as the nearest float, as in any JSON reader but Python's.
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | FLOATS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
# Text that looks like borders between rows, in keys and values.
tricky = st.sampled_from(["},{", '"},{"', "]}", "\\", "\\u007d", "é}, {", "[{"])
rows = st.lists(st.dictionaries(tricky | st.text(max_size=3), tricky | values, max_size=4), max_size=6)


def gathered(data: bytes) -> dict[str, Any]:
    """The object, put together again; a list is checked to come in order and to be found again at its offset."""
    found: dict[str, Any] = {}
    for member in read_members(io.BytesIO(data)):
        if isinstance(member, Rows):
            before = found.setdefault(member.key, [])
            assert member.first == len(before)
            before += member.rows
            again = [row for _, part in read_rows(io.BytesIO(data), member.offset) for row in part]
            assert again[: len(before)] == before
        else:
            found[member.key] = member.value
    return found


@pytest.fixture(params=WINDOWS)
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Every border of a window may fall on every character of a small file."""
    monkeypatch.setattr(json_rows, "_WINDOW", request.param)
    return int(request.param)


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("size", WINDOWS)
@settings(deadline=None)
@given(
    document=st.dictionaries(st.text(max_size=3) | tricky, rows | values, max_size=4),
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
)
def test_whatever_is_written_comes_back(size: int, document: dict[str, Any], indent: int | None, ascii_only: bool):
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "_WINDOW", size)
        assert gathered(text.encode("utf-8", "surrogatepass")) == document


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{}", {}),
        (" \n{ }\t", {}),
        ('{"a":[]}', {"a": []}),
        ('{"a" : [ {"b":1} , {"b":2}\n,\n{"b":3} ] }', {"a": [{"b": 1}, {"b": 2}, {"b": 3}]}),
        ('{"a":[{"b":[{},{},{}]},{"b":"},{"}],"c":12}', {"a": [{"b": [{}, {}, {}]}, {"b": "},{"}], "c": 12}),
        ('{"a":[1,12,-1.5e3],"b":-0.5}', {"a": [1, 12, -1500.0], "b": -0.5}),
        ('{"a":[{"b":1e999}]}', {"a": [{"b": float("inf")}]}),
        ('{"a":[{"b":Infinity},{"b":2}]}', {"a": [{"b": float("inf")}, {"b": 2}]}),
        ('{"é":"ü\\u00fc"}', {"é": "üü"}),
        ('\ufeff{"a":true}', {"a": True}),
        ('{"a":1,"a":2}', {"a": 2}),
    ],
)
def test_documents_of_every_shape_are_read(text: str, found: dict[str, Any]):
    assert gathered(text.encode()) == found


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("text", ["[]", '[{"a":1}]', "5", '"a"', "null"])
def test_what_is_no_object_has_no_members(text: str):
    assert gathered(text.encode()) == {}


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Expecting value: line 1 column 1"),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2"),
        ('{"a"', "Expecting ':': line 1 column 5"),
        ('{"a":', "Expecting value: line 1 column 6"),
        ('{"a":1', "Expecting ',': line 1 column 7"),
        ('{"a":1}x', "Extra data: line 1 column 8"),
        ('{"a":1,}', "Expecting property name enclosed in double quotes: line 1 column 8"),
        ('{"a":[', "Expecting value: line 1 column 7"),
        ('{"a":[{"b":1}', "Expecting ',': line 1 column 14"),
        ('{"a":[{"b":1},]}', "Expecting value: line 1 column 15"),
        ('{"a":[{"b":1} {"b":2}]}', "Expecting ',': line 1 column 15"),
        ('{\n"a":[\n{"b":1},\n{"b":oops}]}', "Expecting value: line 4 column 6"),
        ('{"a":[{"b":1},{"b":"open}]}', "Unterminated string starting at: line 1 column 20"),
        ('{"a":tru}', "Expecting value: line 1 column 6"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_column(text: str, told: str):
    with pytest.raises(ValueError, match=told.replace("(", "\\(")):
        gathered(text.encode())


def test_a_fault_is_told_without_reading_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(json_rows, "_WINDOW", 64)
    file = io.BytesIO(b'{"a":[{"b":1},{"b":oops}' + b',{"b":1}' * 10_000 + b"]}")
    with pytest.raises(ValueError, match="Expecting value: line 1 column 20"):
        list(read_members(file))
    assert file.tell() < 1000


def test_bytes_that_are_no_text_are_told():
    with pytest.raises(ValueError, match="in UTF-8"):
        gathered(b'{"a":[{"b":"\xff"}]}')


def test_a_value_without_end_is_refused_before_it_fills_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(json_rows, "_WINDOW", 64)
    monkeypatch.setattr(json_rows, "_LONGEST", 1000)
    file = io.BytesIO(b'{"a":"' + b"x" * 100_000)
    with pytest.raises(ValueError, match="Nothing ends within"):
        list(read_members(file))
    assert file.tell() < 5000


def test_rows_come_a_window_at_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(json_rows, "_WINDOW", 256)
    file = io.BytesIO(json.dumps({"a": [{"b": i} for i in range(10_000)]}).encode())
    counts = [len(member.rows) for member in read_members(file) if isinstance(member, Rows)]
    assert sum(counts) == 10_000
    assert max(counts) < 100

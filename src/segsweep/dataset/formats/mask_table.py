"""`classes.yaml` or `colours.yaml` beside the masks: what their colours or numbers mean."""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from segsweep.config.bounded_yaml import BoundedLoader
from segsweep.dataset.records import Findings
from segsweep.storage.plain import read_plain

TABLE_NAMES = ("classes.yaml", "classes.yml", "colours.yaml", "colours.yml", "colors.yaml", "colors.yml")
ONE_CLASS = "object"

_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class MaskTable:
    """What the values of a mask mean.

    Attributes:
        classes: Class names.
        codes: Colour or number -> index of its class; empty where every number is one object of the only class. A
            colour is red * 65536 + green * 256 + blue.
        is_colour: Whether `codes` are colours.
        ignored: Colours or numbers that are neither object nor background.
    """

    classes: tuple[str, ...] = (ONE_CLASS,)
    codes: tuple[tuple[int, int], ...] = ()
    is_colour: bool = False
    ignored: frozenset[int] = frozenset()


def find_table(folder: Path) -> Path | None:
    """The table of a folder, if it has one."""
    return next((folder / name for name in TABLE_NAMES if (folder / name).is_file()), None)


def read_table(file: Path, findings: Findings) -> MaskTable:
    """Read a table.

    It maps class names to colours (`[255, 0, 0]` or `"#ff0000"`), or class names to numbers, or is a list of one name
    for masks whose numbers are objects. Where it has a key `classes` that is such a table, a key `ignore` may list
    values that are neither object nor background.

    Args:
        file: The table.
        findings: Takes faults, all of them.
    """
    told = len(findings.problems)
    data = _load(file, findings)
    if len(findings.problems) > told:
        return MaskTable()
    entries, ignore = data, []
    if isinstance(data, dict) and isinstance(data.get("classes"), dict | list):
        entries, ignore = data["classes"], data.get("ignore", [])
        for key in sorted(str(key) for key in data if key not in ("classes", "ignore")):
            findings.fault(file.name, "is not known, only classes and ignore are", field=key)
    if isinstance(entries, list):
        classes, codes = _read_names(file.name, entries, findings), {}
    elif isinstance(entries, dict) and entries:
        codes = _read_codes(file.name, entries, findings)
        classes = tuple(str(name) for name in entries)
    else:
        rule = "must map class names to colours or to numbers, or list one class name"
        findings.fault(file.name, rule, value=reprlib.repr(entries))
        return MaskTable()
    kinds = {is_colour for is_colour, _ in codes.values()}
    if len(kinds) > 1:
        findings.fault(file.name, "must have colours for all classes, or numbers for all")
    ignored = _read_ignored(file.name, ignore, kinds, findings)
    position = {name: index for index, name in enumerate(classes)}
    return MaskTable(
        classes, tuple((code, position[name]) for name, (_, code) in codes.items()), True in kinds, ignored
    )


def parse_colour(value: Any) -> int | None:
    """A colour as one number, from `#rrggbb` or three numbers from 0 to 255; None if it is neither."""
    if isinstance(value, str) and re.fullmatch(r"#[0-9A-Fa-f]{6}", value):
        return int(value[1:], 16)
    if not isinstance(value, list) or len(value) != 3:
        return None
    if not all(type(channel) is int and 0 <= channel <= 255 for channel in value):
        return None
    return int(value[0] << 16 | value[1] << 8 | value[2])


def _load(file: Path, findings: Findings) -> Any:
    try:
        return yaml.load(read_plain(file, _MOST_BYTES).decode("utf-8-sig"), BoundedLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        findings.fault(file.name, f"must be YAML: {' '.join(str(exc).split())}")
    except OSError as exc:
        findings.fault(file.name, f"cannot be read: {exc.strerror}")
    return None


def _read_names(where: str, entries: list[Any], findings: Findings) -> tuple[str, ...]:
    if len(entries) == 1 and isinstance(entries[0], str) and entries[0].strip():
        return (entries[0],)
    rule = "a list must hold one class name, whose objects all numbers are"
    fix = "map class names to colours or numbers where there are several"
    findings.fault(where, rule, value=reprlib.repr(entries), fix=fix)
    return (ONE_CLASS,)


def _read_codes(where: str, entries: dict[Any, Any], findings: Findings) -> dict[str, tuple[bool, int]]:
    """Class name -> whether it is a colour, and which code."""
    codes: dict[str, tuple[bool, int]] = {}
    for name, value in entries.items():
        if not isinstance(name, str) or not name.isprintable() or not name.strip():
            findings.fault(
                where, "a class name must be printable text", value=reprlib.repr(name), fix="put it in quotes"
            )
            continue
        code = _parse_code(value)
        if code is None:
            rule = "must be a colour, [r, g, b] or '#rrggbb', or a number from 1 to 65535"
            findings.fault(where, rule, field=name, value=reprlib.repr(value))
        elif code[1] == 0:
            findings.fault(where, "0 and black are the background", field=name, value=reprlib.repr(value))
        elif code in codes.values():
            findings.fault(where, "is another class already", field=name, value=reprlib.repr(value))
        else:
            codes[name] = code
    return codes


def _read_ignored(where: str, ignore: Any, kinds: set[bool], findings: Findings) -> frozenset[int]:
    ignored = set()
    for value in ignore if isinstance(ignore, list) else [ignore]:
        code = _parse_code(value)
        if code is None or (kinds or {False}) != {code[0]}:
            rule = "must be a list of values of the same kind as those of the classes"
            findings.fault(where, rule, field="ignore", value=reprlib.repr(value))
        else:
            ignored.add(code[1])
    return frozenset(ignored)


def _parse_code(value: Any) -> tuple[bool, int] | None:
    if type(value) is int and 0 <= value <= 65535:
        return False, value
    colour = parse_colour(value)
    return None if colour is None else (True, colour)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segsweep.dataset.preparing.options import PrepareOptions, bundle_name, check_options, options_of, parse_ratios
from segsweep.errors import ConfigError

# What argparse gives for a command line without options.
GIVEN: dict[str, Any] = {
    "imgsz": 640, "resize": "longest", "overlap": 0.2, "split": None, "seed": 0, "group": None, "augment": None,
    "drop_empty": False, "drop_unreadable": False, "keep_duplicates": False, "min_area": 16.0, "classes": None,
    "workers": None, "format": None, "name": None,
}  # fmt: skip


def wrong(**changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        options_of(GIVEN | changes)
    return [problem.where for problem in caught.value.problems]


def test_a_command_line_without_options_gives_the_defaults():
    assert options_of(GIVEN) == PrepareOptions()


def test_options_arrive():
    given = {"split": "2,1,1", "classes": "person, rider", "min_area": 4.0, "workers": 3, "group": "^[^_]+"}
    options = options_of(GIVEN | given)
    assert options.ratios == (0.5, 0.25, 0.25)
    assert (options.classes, options.min_area_px, options.workers) == (("person", "rider"), 4.0, 3)
    assert options.group == "^[^_]+"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("imgsz", 31), ("imgsz", -1), ("imgsz", 16385), ("seed", -1), ("seed", 1 << 63),
        ("name", ""), ("name", "a/b"), ("name", "-a"), ("name", "x" * 65), ("name", ".."), ("name", "a\n"),
        ("resize", "crop"), ("resize", ""), ("overlap", -0.1), ("overlap", 0.95), ("overlap", float("nan")),
        ("workers", 0), ("workers", -2), ("workers", 10**6), ("group", ""), ("group", "("),
        ("split", ""), ("split", "inf"), ("split", "inf,1,1"), ("split", "nan,1,1"), ("split", "1,2"),
        ("split", "0.7,0.3,0"), ("split", "a,b,c"), ("split", "1,1,1,1"), ("split", "-1,1,1"),
        ("min_area", -1.0), ("min_area", float("inf")), ("min_area", float("nan")),
        ("classes", ""), ("classes", "a,,b"),
    ],
)  # fmt: skip
def test_an_odd_value_is_told_by_its_option(option: str, value: Any):
    assert wrong(**{option: value}) == ["--" + option.replace("_", "-")]


def test_all_odd_values_are_told_at_once():
    assert wrong(seed=-1, name="", split="inf", workers=0, imgsz=0, group="(") == [
        "--split",
        "--imgsz",
        "--seed",
        "--name",
        "--workers",
        "--group",
    ]


def test_a_pattern_that_is_none_is_told_with_what_is_wrong():
    with pytest.raises(ConfigError, match="must be a pattern of Python's re: missing \\)"):
        check_options(PrepareOptions(group="("))


def test_ratios_are_shares():
    assert parse_ratios("2,1,1") == (0.5, 0.25, 0.25)


def test_a_bundle_is_named_after_its_source_where_no_name_is_given(tmp_path: Path):
    assert bundle_name(PrepareOptions(name="pets"), tmp_path) == "pets"
    assert bundle_name(PrepareOptions(), Path("/data/my pets (v2)")) == "my-pets-v2"
    assert bundle_name(PrepareOptions(), Path("/data/猫")) == "dataset"

"""How a dataset is prepared, and what keeps an option from being used."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segsweep.dataset.cleaning.clean import CleanRules
from segsweep.dataset.pictures.resize import MAX_OVERLAP, MODES
from segsweep.dataset.preparing.conversion import Recipe
from segsweep.dataset.records import SPLITS
from segsweep.errors import ConfigError, Problem

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SMALLEST_PX, _LARGEST_PX = 32, 16384
_MOST_WORKERS = 1024
_AS_GIVEN = (
    *("imgsz", "seed", "format", "name", "resize", "overlap", "group", "augment"),
    *("drop_empty", "drop_unreadable", "keep_duplicates", "workers"),
)


@dataclass(frozen=True)
class PrepareOptions:
    """How to prepare a dataset.

    Attributes:
        imgsz: Longest side of the bundle's images, or side of a tile, pixels.
        ratios: Shares of train, val and test; None keeps the splits that the dataset comes with, if it has all three.
        seed: Deals another split, draws other augmented copies.
        format: Name of the raw format; None to detect it.
        name: Name of the dataset; None for that of its folder.
        shard_mb: About how large a shard becomes, MB.
        resize: One of `resize.MODES`.
        overlap: Of neighbouring tiles, as a share of their side.
        group: Pattern that says which images show the same scene; None for what the format knows.
        augment: File of augmentations; its offline ones are written into train.
        drop_empty: Leave out images without an object.
        drop_unreadable: Leave out image files that cannot be read, instead of refusing the dataset.
        keep_duplicates: Do not look for near-duplicates.
        min_area_px: Objects smaller than this in the bundle's images are listed.
        classes: Names of the classes to take, where the format has a choice; empty for its own.
        workers: Processes; None for one a core.
    """

    imgsz: int = 640
    ratios: tuple[float, float, float] | None = None
    seed: int = 0
    format: str | None = None
    name: str | None = None
    shard_mb: int = 128
    resize: str = "longest"
    overlap: float = 0.2
    group: str | None = None
    augment: Path | None = None
    drop_empty: bool = False
    drop_unreadable: bool = False
    keep_duplicates: bool = False
    min_area_px: float = 16.0
    classes: tuple[str, ...] = ()
    workers: int | None = None

    @property
    def recipe(self) -> Recipe:
        """What of it shapes a single image."""
        return Recipe(self.imgsz, self.resize, self.overlap, self.min_area_px, has_hash=not self.keep_duplicates)

    @property
    def clean_rules(self) -> CleanRules:
        """What of it says which images are left out."""
        return CleanRules(self.drop_empty, self.drop_unreadable, not self.keep_duplicates and self.ratios is None)


def bundle_name(options: PrepareOptions, source: Path) -> str:
    """The name that the bundle gets: the one given, else the source's made of safe characters."""
    own = source.resolve().stem if source.is_file() else source.resolve().name
    found = re.sub(r"[^A-Za-z0-9._-]+", "-", own).strip("-._")[:64] or "dataset"
    return found if options.name is None else options.name


def check_options(options: PrepareOptions) -> None:
    """Look at every option.

    Raises:
        ConfigError: Some break their rules; all of them are told.
    """
    if problems := tuple(wrong_options(options)):
        raise ConfigError(problems)


def wrong_options(options: PrepareOptions) -> Iterator[Problem]:
    """What is wrong with the options, each on its own."""
    if not _SMALLEST_PX <= options.imgsz <= _LARGEST_PX:
        yield Problem("--imgsz", f"must be {_SMALLEST_PX} to {_LARGEST_PX} pixels", value=str(options.imgsz))
    ratios = options.ratios
    if ratios is not None and not (len(ratios) == len(SPLITS) and all(0 < ratio < math.inf for ratio in ratios)):
        rule = "must be three shares above 0, e.g. 0.7,0.15,0.15"
        yield Problem("--split", rule, value=",".join(map(str, ratios)))
    if not 0 <= options.seed < 1 << 63:
        yield Problem("--seed", "must be a whole number from 0", value=str(options.seed))
    if options.name is not None and not _NAME.fullmatch(options.name):
        rule = "must be 1 to 64 letters, digits, dots, dashes or underscores, the first no dot, dash or underscore"
        yield Problem("--name", rule, value=repr(options.name))
    if options.shard_mb < 1:
        yield Problem("shard_mb", "must be at least 1", value=str(options.shard_mb))
    if options.resize not in MODES:
        yield Problem("--resize", f"must be one of {', '.join(MODES)}", value=options.resize)
    if not 0 <= options.overlap <= MAX_OVERLAP:
        yield Problem("--overlap", f"must be a share from 0 to {MAX_OVERLAP}", value=str(options.overlap))
    if not 0 <= options.min_area_px < math.inf:
        yield Problem("--min-area", "must be a number of pixels from 0", value=str(options.min_area_px))
    if options.workers is not None and not 1 <= options.workers <= _MOST_WORKERS:
        yield Problem("--workers", f"must be 1 to {_MOST_WORKERS}", value=str(options.workers))
    if options.group is not None and (rule := _pattern_rule(options.group)):
        yield Problem("--group", rule, value=repr(options.group))
    if any(not name.strip() for name in options.classes):
        yield Problem("--classes", "must be names of classes, e.g. person,rider", value=",".join(options.classes))


def options_of(given: Mapping[str, Any]) -> PrepareOptions:
    """Options as a command line gives them.

    Args:
        given: Name -> value; the split and the classes as text.

    Raises:
        ConfigError: Some break their rules; all of them are told.
    """
    problems: list[Problem] = []
    ratios = None
    if given["split"] is not None:
        try:
            ratios = parse_ratios(given["split"])
        except ConfigError as exc:
            problems += exc.problems
    classes = given["classes"]
    options = PrepareOptions(
        ratios=ratios,
        classes=() if classes is None else tuple(name.strip() for name in classes.split(",")),
        min_area_px=given["min_area"],
        **{name: given[name] for name in _AS_GIVEN},
    )
    problems += wrong_options(options)
    if problems:
        raise ConfigError(problems)
    return options


def parse_ratios(text: str) -> tuple[float, float, float]:
    """The shares of `0.7,0.15,0.15`, adding up to 1.

    Raises:
        ConfigError: These are not three positive numbers.
    """
    rule = "must be three positive numbers for train, val and test, e.g. 0.7,0.15,0.15"
    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError as exc:
        raise ConfigError(Problem("--split", rule, value=repr(text))) from exc
    if not all(0 < ratio < math.inf for ratio in (train, val, test)):
        raise ConfigError(Problem("--split", rule, value=repr(text)))
    total = train + val + test
    return train / total, val / total, test / total


def _pattern_rule(pattern: str) -> str:
    try:
        return "" if pattern and re.compile(pattern) else "must be a pattern of Python's re, e.g. ^[^_]+"
    except re.error as exc:
        return f"must be a pattern of Python's re: {exc}"

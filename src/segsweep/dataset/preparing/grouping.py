"""Grouping: which images show the same scene, so that no split may part them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from segsweep.dataset.records import Findings, ImageRecord, RawDataset
from segsweep.errors import ConfigError, Problem


def regroup(images: Sequence[ImageRecord], pattern: str, findings: Findings) -> tuple[ImageRecord, ...]:
    """Group images by what a pattern finds in their names, e.g. `^[^/]+` the folder, `([a-z]+)_` the first word.

    Args:
        images: All images.
        pattern: A regular expression, searched for in an image's name (its path in the dataset); its one group, or all
            that it matches, names the image's group.
        findings: Takes the images that do not match; they keep their own group.

    Raises:
        ConfigError: It is no regular expression, or has several groups.
    """
    try:
        expression = re.compile(pattern)
    except re.error as exc:
        raise ConfigError(Problem("--group", f"must be a regular expression: {exc}", value=pattern)) from exc
    if expression.groups > 1:
        rule = f"must have one group at most, this has {expression.groups}"
        fix = "write (?:...) for those that name nothing"
        raise ConfigError(Problem("--group", rule, value=pattern, fix=fix))
    found = []
    for record in images:
        match = expression.search(record.name)
        group = match[expression.groups] if match else None
        if group:
            found.append(replace(record, group=group))
        else:
            found.append(record)
            findings.repair(f"the pattern of --group, {pattern}, finds nothing: the image keeps its group", record.name)
    return tuple(found)


def merge_groups(dataset: RawDataset, clusters: Iterable[Sequence[str]]) -> RawDataset:
    """Join the groups of images that belong together, so that no split can part them.

    Args:
        dataset: With the groups that its format knows.
        clusters: Names of images, e.g. near-duplicates; groups that share a cluster become one, also through others.

    Returns:
        The dataset, each joined group named as the first of them in order.
    """
    group = {record.name: record.group for record in dataset.images}
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while (above := parent.get(name, name)) != name:
            parent[name] = parent.get(above, above)
            name = above
        return name

    for cluster in clusters:
        roots = sorted({root(group[name]) for name in cluster})
        parent.update(dict.fromkeys(roots[1:], roots[0]))
    images = tuple(
        record if root(record.group) == record.group else replace(record, group=root(record.group))
        for record in dataset.images
    )
    return replace(dataset, images=images)

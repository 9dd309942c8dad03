"""The online transforms as Ultralytics' training takes them, and what it cannot take.

Ultralytics moves outlines point by point, on square pictures that must keep their size to be stacked into a batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from segsweep.config.augmentation import AugmentationFile, TransformSpec
from segsweep.core.trials import ParamValue
from segsweep.dataset.augmentation.transforms import (
    FAILURES,
    albumentations,
    is_spatial,
    problems_of_transform,
    sequence,
)
from segsweep.errors import ConfigError, Problem

_BENT = "moves the points of an outline elsewhere than the picture: write it under offline"

# Why a transform that is offered for offline copies is not offered online. A test measures every other one.
OFFLINE_ONLY: Mapping[str, str] = {
    **dict.fromkeys(("ElasticTransform", "GridDistortion", "GridElasticDeform"), _BENT),
    **dict.fromkeys(("OpticalDistortion", "ThinPlateSpline"), _BENT),
    "RandomGridShuffle": "tears outlines apart, which Ultralytics refuses: write it under offline",
    "CropNonEmptyMaskIfExists": "needs masks, and training has outlines at that point: write it under offline",
}

_CUTS = ("fill_mask", "mask_drop_value")
_PROBES = ((64, 0), (97, 1))  # side in pixels and seed: two sizes, so that none is right by chance


def problems_of_online(spec: TransformSpec, where: str, at: str) -> list[Problem]:
    """Everything that albumentations, Ultralytics or we have against a transform as part of training.

    Args:
        spec: The transform.
        where: Its file.
        at: Its place in the file, e.g. `online[3]`.

    Raises:
        MissingExtraError: Albumentations is not installed.
    """
    problems = problems_of_transform(spec, where, at)
    if not problems:
        place = (at, spec.name)
        problems = [Problem(where, rule, ".".join(filter(None, (*place, name)))) for rule, name in _faults(spec)]
    return problems


def problems_of_all_online(specs: Sequence[TransformSpec], where: str) -> list[Problem]:
    """The same for all online transforms of a file."""
    return [
        problem for index, spec in enumerate(specs) for problem in problems_of_online(spec, where, f"online[{index}]")
    ]


def problems_of_dimensions(
    file: AugmentationFile, values: Mapping[str, Sequence[ParamValue]], where: str
) -> list[Problem]:
    """What speaks against searching parameters of online transforms.

    Args:
        file: The job's augmentation.
        values: Dimension, e.g. `augment.GaussNoise.p` -> the ends of its range, or its options.
        where: The search space's file, for messages.
    """
    default = {str(p) for p in problems_of_all_online(file.online, where)}
    problems: list[Problem] = []
    for name, tried in values.items():
        for value in tried:
            found = problems_of_all_online(file.online_with({name: value}), where)
            problems += [Problem(where, p.rule, name, repr(value)) for p in found if str(p) not in default]
    return list(dict.fromkeys(problems))


def as_dicts(specs: Sequence[TransformSpec]) -> list[dict[str, Any]]:
    """The transforms as Ultralytics' training argument `augmentations`: plain data, fit for YAML and for a checkpoint.

    Raises:
        ConfigError: A transform is refused.
    """
    problems = problems_of_all_online(specs, "augmentation")
    if problems:
        raise ConfigError(problems)
    whole: dict[str, Any] = _plain(albumentations().to_dict(sequence(specs)))
    inner = whole["transform"]["transforms"]
    for index, spec in enumerate(specs):
        # Albumentations writes down the arguments of base classes too, and warns of them when it reads them back.
        known = {"__class_fullname__", *inspect.signature(getattr(albumentations(), spec.name)).parameters}
        inner[index] = {name: value for name, value in inner[index].items() if name in known}
    return [whole]


def _faults(spec: TransformSpec) -> Iterator[tuple[str, str]]:
    if spec.name in OFFLINE_ONLY:
        yield f"is not offered online: it {OFFLINE_ONLY[spec.name]}", ""
        return
    known = inspect.signature(getattr(albumentations(), spec.name)).parameters
    for parameter in _CUTS:
        # A dropout leaves masks alone unless it is told to cut them; other transforms fill them with nothing.
        if spec.params.get(parameter) is not None and known[parameter].default is None:
            yield "cannot cut outlines online: leave it out, or write the transform under offline", parameter
            return
    if not is_spatial((spec,)):
        return
    size = _changed_size(TransformSpec(name=spec.name, params={**spec.params, "p": 1.0}))
    if size:
        yield f"must keep the size of the picture, to be stacked into a batch; {size}: write it under offline", ""


def _changed_size(spec: TransformSpec) -> str:
    """What the transform does to a picture's size, in words; empty where it keeps it."""
    transform = sequence((spec,))
    for side, seed in _PROBES:
        transform.set_random_seed(seed)
        try:
            found = transform(image=np.zeros((side, side, 3), np.uint8))["image"].shape
        except FAILURES as exc:
            return f"on {side}x{side} pixels it fails: {exc}"
        if found[:2] != (side, side):
            return f"{side}x{side} pixels become {found[1]}x{found[0]}"
    return ""


def _plain(value: Any) -> Any:
    """Tuples as lists and NumPy's numbers as Python's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value.item() if isinstance(value, np.generic) else value

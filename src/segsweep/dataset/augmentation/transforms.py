"""Albumentations: which of its transforms are offered, whether it accepts their parameters, and a sequence of them.

The only module that imports albumentations; it does so when it is first needed, for the base install has none.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
import inspect
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import cv2
from pydantic import ValidationError

from segsweep.config.augmentation import TransformSpec
from segsweep.errors import ConfigError, MissingExtraError, Problem

_VOLUME = "works on volumes, not on pictures"
_REFERENCE = "needs reference pictures, which a bundle does not carry"
_BOXES = "needs boxes handed to it, which offline copies do not have"
_TYPE = "changes the type or range of the numbers; training does that itself"
_SOUND = "is for spectrograms; XYMasking does the same to pictures"

# Why a transform is not offered at all. Every other image and spatial transform of albumentations 2.0 is, and tested.
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("BasicTransform", "DualTransform", "ImageOnlyTransform", "Transform3D"), "does nothing by itself"),
    **dict.fromkeys(("CenterCrop3D", "CoarseDropout3D", "CubicSymmetry", "Pad3D", "PadIfNeeded3D"), _VOLUME),
    **dict.fromkeys(("RandomCrop3D", "ToTensor3D"), _VOLUME),
    **dict.fromkeys(("FDA", "HistogramMatching", "PixelDistributionAdaptation", "OverlayElements"), _REFERENCE),
    **dict.fromkeys(("AtLeastOneBBoxRandomCrop", "BBoxSafeRandomCrop", "RandomCropNearBBox"), _BOXES),
    **dict.fromkeys(("RandomSizedBBoxSafeCrop", "ConstrainedCoarseDropout"), _BOXES),
    **dict.fromkeys(("Normalize", "ToFloat", "FromFloat", "ToTensorV2", "ToRGB"), _TYPE),
    **dict.fromkeys(("TimeReverse", "TimeMasking", "FrequencyMasking"), _SOUND),
    "Lambda": "holds code, which a file cannot",
    "MaskDropout": "removes the pixels of objects and would need them one by one",
    "Morphological": "moves the outlines of light and dark objects in opposite directions, the masks all alike",
    "Mosaic": "needs other pictures; training has a mosaic of its own, the hyperparameter mosaic",
    "PiecewiseAffine": "takes seconds a picture; ElasticTransform does nearly the same",
    "ShiftScaleRotate": "is deprecated: write Affine",
    "TextImage": "needs texts and a font file",
}

# Masks are painted with the numbers of their objects: any other value would blend or invent objects.
_FIXED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "mask_interpolation": ((0,), "must be 0: masks hold no values between two objects"),
    "fill_mask": ((None, 0), "must be 0: what is filled belongs to no object"),
    "mask_drop_value": ((None, 0), "must be 0: what is dropped belongs to no object"),
    "area_for_downscale": ((None, "image"), "must be null or image: masks hold no values between two objects"),
}

# OpenCV's resize takes the upper left of the pixels in question for "nearest", which would shift masks against pictures
# by up to half a pixel; its exact nearest takes the one in the middle. (Its warps need no such choice.)
_RESIZING = frozenset(
    ("CropAndPad", "LongestMaxSize", "RandomResizedCrop", "RandomScale", "RandomSizedCrop", "Resize", "SmallestMaxSize")
)
_NEAREST_EXACT = 6

# What albumentations and OpenCV raise when parameters that were taken turn out to be wrong, e.g. a fill of infinity.
FAILURES = (ValueError, TypeError, ArithmeticError, LookupError, cv2.error)


def albumentations() -> ModuleType:
    """The module, imported without its question to the network for a newer version.

    Raises:
        MissingExtraError: It is not installed.
    """
    if importlib.util.find_spec("albumentations") is None:
        raise MissingExtraError(Problem("albumentations", "is not installed", fix="pip install 'segsweep[train]'"))
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    return importlib.import_module("albumentations")


@functools.cache
def offered() -> tuple[str, ...]:
    """Names of all transforms that a file may use."""
    module = albumentations()
    kinds = (module.DualTransform, module.ImageOnlyTransform)
    classes = {name: found for name, found in vars(module).items() if inspect.isclass(found)}
    return tuple(sorted(name for name, found in classes.items() if issubclass(found, kinds) and name not in REFUSED))


def is_spatial(specs: Sequence[TransformSpec]) -> bool:
    """Whether any of the transforms moves or cuts objects, and not only their colours."""
    module = albumentations()
    return any(issubclass(getattr(module, spec.name), module.DualTransform) for spec in specs)


def problems_of_transform(spec: TransformSpec, where: str, at: str) -> list[Problem]:
    """Everything that albumentations, or we, have against a transform.

    Args:
        spec: The transform.
        where: Its file.
        at: Its place in the file, e.g. `online[3]`.

    Raises:
        MissingExtraError: Albumentations is not installed.
    """
    return [
        Problem(where, rule, ".".join(filter(None, (at, spec.name, parameter))), value)
        for rule, parameter, value in _faults(spec)
    ]


def build(spec: TransformSpec) -> Any:
    """The transform itself.

    Raises:
        ConfigError: It is refused; everything that is wrong with it.
    """
    problems = problems_of_transform(spec, "augmentation", "transforms")
    if problems:
        raise ConfigError(problems)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exact = {"mask_interpolation": _NEAREST_EXACT} if spec.name in _RESIZING else {}
        return getattr(albumentations(), spec.name)(**{**spec.params, **exact})


def sequence(specs: Sequence[TransformSpec]) -> Any:
    """The transforms in turn, as one albumentations transform; see `segsweep.dataset.augmentation.sequence`.

    Raises:
        ConfigError: A transform is refused.
    """
    albumentations()
    from segsweep.dataset.augmentation.sequence import BgrSequence  # noqa: PLC0415 - subclasses albumentations, which may be absent

    return BgrSequence([build(spec) for spec in specs], p=1.0)


def _faults(spec: TransformSpec) -> Iterator[tuple[str, str, str]]:
    """Rule, parameter and value of each thing that is wrong."""
    module = albumentations()
    if spec.name in REFUSED:
        yield f"is not offered: it {REFUSED[spec.name]}", "", ""
        return
    names = offered()
    if spec.name not in names:
        close = difflib.get_close_matches(spec.name, names, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        yield f"albumentations {module.__version__} has no such transform{hint}", "", ""
        return
    known = tuple(inspect.signature(getattr(module, spec.name)).parameters)
    for parameter in (name for name in spec.params if name not in known):
        close = difflib.get_close_matches(parameter, known, 1)
        hint = f"; did you mean {close[0]}?" if close else f"; it has {', '.join(known)}"
        yield f"{spec.name} has no such parameter{hint}", parameter, repr(spec.params[parameter])
    for parameter, value in spec.params.items():
        allowed, rule = _FIXED.get(parameter, ((value,), ""))
        if value not in allowed:
            yield rule, parameter, repr(value)
    yield from _refused_values(spec, {name: value for name, value in spec.params.items() if name in known})


def _refused_values(spec: TransformSpec, params: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What albumentations itself says to the parameters; a warning of it counts as a refusal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            getattr(albumentations(), spec.name)(**params)
    except (*FAILURES, Warning) as exc:
        cause = exc.__cause__
        if not isinstance(cause, ValidationError):
            yield f"albumentations refuses it: {' '.join(str(exc).split())}", "", repr(dict(params))
            return
        told: dict[str, list[str]] = {}
        for detail in cause.errors(include_url=False):
            parameter = str(detail["loc"][0]) if detail["loc"] else ""
            told.setdefault(parameter, []).append(detail["msg"].removeprefix("Value error, "))
        for parameter, messages in told.items():
            rule = "albumentations refuses it: " + " or ".join(dict.fromkeys(messages))
            if parameter in params or not parameter:
                yield rule, parameter, repr(params[parameter] if parameter else dict(params))
            else:
                yield f"{spec.name} needs a value for it", parameter, ""

"""Online transforms: what Ultralytics makes of them, measured by rasterising, and what it cannot take."""

import random

import numpy as np
import pytest
import yaml

from segsweep.config.augmentation import TransformSpec, parse_augmentation
from segsweep.core.geometry import Part, fill, overlap
from segsweep.dataset.augmentation.online import OFFLINE_ONLY, as_dicts, problems_of_all_online, problems_of_dimensions
from segsweep.dataset.augmentation.transforms import albumentations, is_spatial, offered
from segsweep.errors import ConfigError
from spatial import SIDE, painted, spec

A = albumentations()  # imported with this file: it takes longer than a test may

# Ultralytics moves an outline's points and not its pixels: on shapes of this size a blended edge costs so much.
LEAST_IOU = 0.92


def as_online(name):
    return spec(name, **{key: None for key in ("fill_mask", "mask_drop_value") if key in spec(name).params})


def is_offered_online(name):
    return not problems_of_all_online((as_online(name),), "f.yaml")


SPATIAL = [name for name in offered() if is_spatial([spec(name)]) and is_offered_online(name)]


def test_what_is_offered_online():
    assert SPATIAL == [
        "Affine", "CoarseDropout", "CropAndPad", "D4", "Erasing", "GridDropout", "HorizontalFlip", "NoOp",
        "Perspective", "PixelDropout", "RandomRotate90", "Rotate", "SafeRotate", "SquareSymmetry", "Transpose",
        "VerticalFlip", "XYMasking",
    ]  # fmt: skip
    assert all(is_offered_online(name) for name in offered() if not is_spatial([spec(name)]))


def scene():
    """A red disc and a blue bar on grey, and their outlines as Ultralytics holds them: 1000 points each."""
    from ultralytics.utils.ops import resample_segments

    y, x = np.mgrid[:SIDE, :SIDE]
    picture = np.full((SIDE, SIDE, 3), 128, np.uint8)
    picture[np.hypot(x + 0.5 - 36, y + 0.5 - 42) < 26] = (0, 0, 255)
    picture[12:52, 66:92] = (255, 0, 0)
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    disc = np.stack([36 + 26 * np.cos(angle), 42 + 26 * np.sin(angle)], axis=1)
    bar = np.array([[66, 12], [92, 12], [92, 52], [66, 52]], float)
    return picture, np.stack(resample_segments([disc.astype(np.float32), bar.astype(np.float32)], 1000)) / SIDE


def through_ultralytics(transforms, seed):
    """The scene after Ultralytics' own Albumentations step: picture and (category, outline in pixels)."""
    import torch
    from ultralytics.data.augment import Albumentations
    from ultralytics.utils.instance import Instances

    step = Albumentations(p=1.0, transforms=transforms)
    assert step.transform is not None
    torch.manual_seed(seed)
    random.seed(seed)
    step.transform.set_random_seed(torch.initial_seed())
    picture, segments = scene()
    low, high = segments.min(axis=1), segments.max(axis=1)
    boxes = np.concatenate([(low + high) / 2, high - low], axis=1).astype(np.float32)
    instances = Instances(boxes, segments.astype(np.float32), bbox_format="xywh", normalized=True)
    found = step({"img": picture, "cls": np.array([[0.0], [1.0]]), "instances": instances})
    assert found["img"].shape == picture.shape
    found["instances"].denormalize(SIDE, SIDE)
    outlines = zip(found["cls"][:, 0].astype(int), found["instances"].segments.astype(float), strict=True)
    return found["img"], dict(outlines)


slow = pytest.mark.slow(reason="imports ultralytics")


@slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", SPATIAL)
def test_outlines_go_where_their_colours_go_in_ultralytics(name):
    hides = name in ("CoarseDropout", "Erasing", "GridDropout", "PixelDropout", "XYMasking")
    for seed in range(5):
        picture, outlines = through_ultralytics(as_dicts((as_online(name),)), seed)
        shown_in = scene()[0] if hides else picture
        for category in (0, 1):
            shown = painted(shown_in, category)
            if shown.sum() > 50:
                mask = fill([Part(outlines[category])], SIDE, SIDE)
                assert overlap(mask, shown) >= LEAST_IOU, (seed, category)


@slow
@pytest.mark.timeout(120)
def test_without_our_sequence_a_flipped_outline_is_off_by_a_pixel():
    picture, outlines = through_ultralytics([A.to_dict(A.HorizontalFlip(p=1.0))], 0)
    assert overlap(fill([Part(outlines[1])], SIDE, SIDE), painted(picture, 1)) < 0.97
    picture, outlines = through_ultralytics(as_dicts((spec("HorizontalFlip"),)), 0)
    assert overlap(fill([Part(outlines[1])], SIDE, SIDE), painted(picture, 1)) > 0.99


# How those end that Ultralytics cannot run at all; the others run, and their outlines go wrong.
RAISING = {"CropNonEmptyMaskIfExists": RuntimeError, "RandomGridShuffle": NotImplementedError}


@slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", sorted(OFFLINE_ONLY))
def test_what_is_not_offered_online_would_go_wrong_in_ultralytics(name):
    """The reason for each refusal still holds for the pinned versions."""
    strong = {"ElasticTransform": {"alpha": 120}, "GridElasticDeform": {"magnitude": 20}}.get(name, {})
    transforms = [A.to_dict(getattr(A, name)(**spec(name, **strong).params))]
    if name in RAISING:
        with pytest.raises(RAISING[name]):
            through_ultralytics(transforms, 0)
        return
    worst = 1.0
    for seed in range(8):
        picture, outlines = through_ultralytics(transforms, seed)
        for category in (0, 1):
            mask = fill([Part(outlines[category])], SIDE, SIDE)
            worst = min(worst, overlap(mask, painted(picture, category)))
    assert worst < LEAST_IOU


@pytest.mark.parametrize("name", sorted(OFFLINE_ONLY))
def test_a_transform_for_copies_only_is_refused_with_its_reason(name):
    (problem,) = problems_of_all_online((TransformSpec(name="Blur", params={}), as_online(name)), "f.yaml")
    assert str(problem) == f"f.yaml: online[1].{name}: is not offered online: it {OFFLINE_ONLY[name]}"


@pytest.mark.parametrize(
    "transform",
    [
        spec("RandomResizedCrop"),
        spec("Resize", height=64, width=64),
        spec("RandomCrop", height=64, width=64, pad_if_needed=True),
        spec("CropAndPad", keep_size=False),
        spec("Affine", fit_output=True),
        spec("Rotate", crop_border=True),
        spec("RandomScale", p=0.01),
        spec("Crop"),
    ],
    ids=lambda transform: transform.name,
)
def test_a_transform_that_changes_the_size_is_refused(transform):
    (problem,) = problems_of_all_online((transform,), "f.yaml")
    assert problem.rule.startswith("must keep the size of the picture, to be stacked into a batch; ")
    assert problem.field == f"online[0].{transform.name}"


def test_a_dropout_that_would_cut_masks_is_refused():
    (problem,) = problems_of_all_online((spec("CoarseDropout"),), "f.yaml")
    assert str(problem).startswith("f.yaml: online[0].CoarseDropout.fill_mask: cannot cut outlines online")
    assert problems_of_all_online((spec("Rotate", fill_mask=0),), "f.yaml") == []


def test_the_ends_of_a_dimension_are_asked_of_albumentations():
    online = [{"GaussNoise": {"p": 0.1}}, {"MotionBlur": {"blur_limit": 7}}, {"RandomScale": {}}]
    file = parse_augmentation({"online": online}, "f.yaml")
    values = {"augment.GaussNoise.p": [0.0, 1.0, 1.5], "augment.MotionBlur.blur_limit": [3, 5, "x"]}
    problems = problems_of_dimensions(file, values, "space.yaml")
    assert [(problem.field, problem.value) for problem in problems] == [
        ("augment.GaussNoise.p", "1.5"),
        ("augment.MotionBlur.blur_limit", "'x'"),
    ]


def test_ultralytics_gets_plain_data_that_albumentations_reads_back():
    (found,) = as_dicts((spec("Rotate", limit=[-10, 10]), spec("GaussNoise")))
    assert yaml.safe_load(yaml.safe_dump(found)) == found
    assert [type(one).__name__ for one in A.from_dict(found).transforms] == ["Rotate", "GaussNoise"]
    with pytest.raises(ConfigError, match="it holds code"):
        as_dicts((spec("Lambda"),))


@pytest.mark.parametrize("fill_value", [float("inf"), 10**30])
def test_a_value_that_fails_only_when_it_is_used_is_told(fill_value):
    wrong = TransformSpec(name="CoarseDropout", params={"fill": fill_value, "p": 1.0})
    (problem,) = problems_of_all_online((wrong,), "f.yaml")
    assert "on 64x64 pixels it fails" in problem.rule

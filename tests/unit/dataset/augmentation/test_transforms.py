"""Every transform of albumentations is offered, and works, or is refused with a reason; so is every parameter."""

import inspect
import os

import numpy as np
import pytest

from segsweep.config.augmentation import TransformSpec
from segsweep.dataset.augmentation import transforms
from segsweep.dataset.augmentation.transforms import (
    REFUSED,
    albumentations,
    build,
    is_spatial,
    offered,
    problems_of_transform,
    sequence,
)
from segsweep.errors import ConfigError, MissingExtraError
from spatial import PARAMETERS, spec

A = albumentations()  # imported with this file: it takes longer than a test may


def told(*specs):
    return [
        str(problem)
        for index, one in enumerate(specs)
        for problem in problems_of_transform(one, "f.yaml", f"online[{index}]")
    ]


def test_every_transform_is_offered_or_refused_with_a_reason():
    classes = {
        name for name, found in vars(A).items() if inspect.isclass(found) and issubclass(found, A.BasicTransform)
    }
    assert set(offered()) | REFUSED.keys() == classes
    assert not set(offered()) & REFUSED.keys()
    assert all(REFUSED.values())


@pytest.mark.parametrize("name", offered())
def test_an_offered_transform_takes_a_picture_and_gives_one_that_its_seed_decides(name):
    assert told(spec(name)) == []
    picture = np.random.default_rng(0).integers(0, 255, (70, 80, 3), dtype=np.uint8)
    before = picture.copy()
    found = []
    for _ in range(2):
        transform = sequence([spec(name)])
        transform.set_random_seed(5)
        masks = {"masks": np.ones((1, 70, 80), np.uint8)} if is_spatial([spec(name)]) else {}
        found.append(transform(image=picture, **masks)["image"])
    assert found[0].dtype == np.uint8
    assert found[0].ndim == 3
    assert np.array_equal(*found)
    assert np.array_equal(picture, before)


def test_spatial_transforms_are_told_from_the_others():
    assert is_spatial([spec("GaussNoise"), spec("Rotate")])
    assert not is_spatial([spec("GaussNoise"), spec("ToGray")])
    assert set(PARAMETERS) <= set(offered())


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_refused_transform_is_named_with_its_reason(name):
    assert told(spec(name)) == [f"f.yaml: online[0].{name}: is not offered: it {REFUSED[name]}"]


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("Rotat", {}, "online[0].Rotat: albumentations 2.0.8 has no such transform; did you mean Rotate?"),
        ("Compose", {}, "online[0].Compose: albumentations 2.0.8 has no such transform"),
        ("os", {}, "online[0].os: albumentations 2.0.8 has no such transform"),
        ("Rotate", {"limits": 3}, "online[0].Rotate.limits = 3: Rotate has no such parameter; did you mean limit?"),
        ("HorizontalFlip", {"always": 1}, "online[0].HorizontalFlip.always = 1: HorizontalFlip has no such parameter"),
        ("HorizontalFlip", {"p": 2}, "HorizontalFlip.p = 2: albumentations refuses it: Input should be less than or"),
        ("Rotate", {"limit": "x"}, "Rotate.limit = 'x': albumentations refuses it"),
        ("RandomCrop", {"height": 3}, "online[0].RandomCrop.width: RandomCrop needs a value for it"),
        ("CropAndPad", {}, "albumentations refuses it: Both px and percent parameters cannot be None"),
        ("Rotate", {"mask_interpolation": 1}, "mask_interpolation = 1: must be 0"),
        ("Rotate", {"fill_mask": 1}, "fill_mask = 1: must be 0"),
        ("PixelDropout", {"mask_drop_value": 3}, "mask_drop_value = 3: must be 0"),
        (
            "RandomScale",
            {"area_for_downscale": "image_mask"},
            "area_for_downscale = 'image_mask': must be null or image",
        ),
        ("Rotate", {"strict": True}, "Rotate.strict = True: Rotate has no such parameter"),
    ],
)
def test_a_wrong_name_parameter_or_value_is_an_error(name, params, message):
    (problem,) = told(TransformSpec(name=name, params=params))
    assert message in problem


def test_all_mistakes_of_a_list_are_told_with_index_and_name():
    wrong = TransformSpec(name="GaussNoise", params={"std_range": [3, 4], "var_limit": 5, "p": -1})
    problems = told(spec("Blur"), wrong, spec("Lambda"))
    assert [problem.split(": ")[1] for problem in problems] == [
        "online[1].GaussNoise.var_limit = 5",
        "online[1].GaussNoise.p = -1",
        "online[1].GaussNoise.std_range = [3, 4]",
        "online[2].Lambda",
    ]


def test_building_what_is_refused_is_an_error():
    with pytest.raises(ConfigError, match="holds code"):
        build(spec("Lambda"))


def test_without_albumentations_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(transforms.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'segsweep\[train\]'"):
        told(spec("Blur"))


def test_it_asks_no_network_for_a_newer_version():
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"

"""What albumentations leaves to its user is put right: one stream of numbers, BGR, edges of pixels, dropouts."""

import pickle

import numpy as np
import pytest

from segsweep.config.augmentation import TransformSpec
from segsweep.dataset.augmentation.transforms import albumentations, sequence
from spatial import spec

A = albumentations()  # imported with this file: it takes longer than a test may

PICTURE = np.random.default_rng(0).integers(0, 255, (24, 24, 3), dtype=np.uint8)


def flips():
    return [TransformSpec(name=name, params={"p": 0.5}) for name in ("HorizontalFlip", "VerticalFlip")]


def drawn(transform, count=60):
    """What became of the corner pixel in each call: which of the four corners it went to."""
    marked = np.zeros((4, 4, 3), np.uint8)
    marked[0, 0] = 255
    return [tuple(np.argwhere(transform(image=marked)["image"][..., 0])[0].tolist()) for _ in range(count)]


def test_two_transforms_of_one_half_come_in_all_four_combinations():
    transform = sequence(flips())
    transform.set_random_seed(3)
    assert set(drawn(transform)) == {(0, 0), (0, 3), (3, 0), (3, 3)}


def test_in_albumentations_alone_they_always_come_together():
    transform = A.Compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)], seed=3)
    assert set(drawn(transform)) == {(0, 0), (3, 3)}


def test_a_seed_given_to_an_outer_compose_reaches_the_one_stream():
    outer = A.Compose([sequence(flips())])
    found = []
    for _ in range(2):
        outer.set_random_seed(3)
        found.append(drawn(outer))
    assert found[0] == found[1]
    assert len(set(found[0])) == 4


def test_colours_are_seen_as_rgb():
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 2] = 255
    grey = sequence([spec("ToGray")])(image=red)["image"][0, 0]
    assert grey.tolist() == [76, 76, 76]  # 0.299 of 255; blue would give 29


@pytest.mark.parametrize("name", ["HorizontalFlip", "VerticalFlip", "Transpose"])
def test_a_flipped_outline_keeps_to_the_edges_of_its_pixels(name):
    compose = A.Compose([sequence([spec(name)])], keypoint_params=A.KeypointParams("xy", remove_invisible=False))
    found = compose(image=PICTURE, keypoints=np.array([[2.0, 5.0], [24.0, 0.0]]))["keypoints"]
    expected = {
        "HorizontalFlip": [[22, 5], [0, 0]],
        "VerticalFlip": [[2, 19], [24, 24]],
        "Transpose": [[5, 2], [0, 24]],
    }
    assert np.allclose(found, expected[name], atol=1e-4)


def test_a_dropout_hides_pixels_and_leaves_outlines():
    compose = A.Compose(
        [sequence([spec("GridDropout", fill_mask=None, ratio=0.9)])], keypoint_params=A.KeypointParams("xy")
    )
    points = np.array([[x + 0.5, x + 0.5] for x in range(24)])
    found = compose(image=np.full_like(PICTURE, 255), keypoints=points)
    assert (found["image"] == 0).mean() > 0.2
    assert np.allclose(found["keypoints"], points, atol=1e-4)


def test_a_crop_that_does_not_fit_is_a_value_error():
    with pytest.raises(ValueError, match="exceeds image dimensions"):
        sequence([spec("RandomCrop")])(image=PICTURE)


def test_a_sequence_travels_to_other_processes_and_into_files():
    transform = sequence([spec("Rotate"), spec("GaussNoise")])
    transform.set_random_seed(1)
    expected = transform(image=PICTURE)["image"]
    for other in (pickle.loads(pickle.dumps(transform)), A.from_dict(A.to_dict(transform))):
        other.set_random_seed(1)
        assert np.array_equal(other(image=PICTURE)["image"], expected)

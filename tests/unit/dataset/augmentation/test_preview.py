"""Previews: an original beside the copies that the bundle holds, outlines on all."""

import cv2
import numpy as np

from segsweep.config.augmentation import parse_augmentation
from segsweep.dataset.augmentation.augment import Augmentation
from segsweep.dataset.augmentation.preview import Original, augmentation_previews, overlay
from segsweep.dataset.augmentation.transforms import albumentations
from spatial import painted, shapes

albumentations()  # imported with this file: it takes longer than a test may


def augmentation(copies):
    data = {
        "offline": {"copies": copies, "transforms": [{"HorizontalFlip": {"p": 1.0}}]},
        "online": [{"ToGray": {"p": 1}}],
    }
    return Augmentation(parse_augmentation(data, "f"))


def decoded(preview):
    return cv2.imdecode(np.frombuffer(preview.jpeg, np.uint8), cv2.IMREAD_COLOR)


def test_an_original_stands_beside_its_copies():
    picture, instances = shapes()
    (preview,) = augmentation_previews([Original("a.jpg", picture, instances)], augmentation(2), 0)
    assert preview.caption == "a.jpg: original, then copies 1 to 2"
    shown = decoded(preview)
    assert shown.shape == (224, 3 * 224 + 2 * 6, 3)
    first, second = shown[:, :224].astype(int), shown[:, 230:454].astype(int)
    assert np.abs(first - second[:, ::-1]).mean() < 3  # the copy is the mirror image, up to JPEG


def test_at_most_three_copies_are_shown_and_none_where_there_are_none():
    original = Original("a.jpg", *shapes())
    assert augmentation_previews([original], augmentation(7), 0)[0].caption.endswith("copies 1 to 3")
    assert augmentation_previews([original], augmentation(0), 0) == ()


def test_online_transforms_can_be_shown_too():
    (preview,) = augmentation_previews([Original("a.jpg", *shapes())], augmentation(0), 0, online=True)
    assert preview.caption == "a.jpg: original, then online 1 to 3"
    assert decoded(preview).shape[1] == 4 * 224 + 3 * 6


def test_an_overlay_tints_what_is_annotated_and_nothing_else():
    picture, instances = shapes()
    drawn = overlay(picture, instances)
    changed = (drawn != picture).any(axis=2)
    ring = painted(picture, 0)
    assert changed[ring].all()
    assert not changed[~(ring | painted(picture, 1))].any()
    assert (picture[ring] == (0, 0, 255)).all()  # the original is left alone

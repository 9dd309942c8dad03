"""Perceptual hashes and the clusters they make."""

from __future__ import annotations

import time
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsweep.dataset.pictures.duplicates import NEAR_BITS, bits_apart, near_duplicates, perceptual_hash
from segsweep.dataset.sample.scene import render_scene


def scene(seed: int, width: int = 320, height: int = 240) -> np.ndarray:
    return render_scene(width, height, np.random.default_rng(seed)).picture


def noisy(picture: np.ndarray, seed: int) -> np.ndarray:
    """As Roboflow augments: exposure, salt and pepper, compressed again."""
    rng = np.random.default_rng(seed)
    copy = np.clip(picture * rng.uniform(0.75, 1.25), 0, 255).astype(np.uint8)
    draw = rng.random(picture.shape[:2])
    copy[draw < 0.025], copy[draw > 0.975] = 0, 255
    _, data = cv2.imencode(".jpg", copy, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def naive_clusters(hashes: list[int], distance: int) -> list[tuple[int, ...]]:
    """The same by merging sets until nothing changes."""
    sets = [{i} for i in range(len(hashes))]
    for i in range(len(hashes)):
        for j in range(i):
            if bits_apart(hashes[i], hashes[j]) <= distance and sets[i] is not sets[j]:
                merged = sets[i] | sets[j]
                for member in merged:
                    sets[member] = merged
    return sorted({tuple(sorted(one)) for one in sets if len(one) > 1})


@pytest.mark.parametrize("seed", range(8))
def test_a_noisy_copy_of_another_size_is_near(seed):
    picture = scene(seed)
    copy = cv2.resize(noisy(picture, seed), (200, 180), interpolation=cv2.INTER_AREA)
    assert bits_apart(perceptual_hash(picture), perceptual_hash(copy)) <= NEAR_BITS


def test_different_scenes_are_far():
    hashes = [perceptual_hash(scene(seed)) for seed in range(20)]
    assert near_duplicates(hashes) == []


def test_grey_and_colour_of_a_picture_have_the_same_hash():
    picture = scene(1)
    assert perceptual_hash(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)) == perceptual_hash(picture)


@pytest.mark.parametrize("value", [0, 77, 255])
@pytest.mark.parametrize("shape", [(1, 1, 3), (30, 40), (200, 100, 3)])
def test_a_plain_picture_has_the_hash_0(value, shape):
    assert perceptual_hash(np.full(shape, value, np.uint8)) == 0


def test_the_hash_is_of_64_bits_of_which_half_are_set():
    found = perceptual_hash(scene(2))
    assert 0 <= found < 1 << 64
    assert found.bit_count() == 32


@given(st.lists(st.integers(0, (1 << 64) - 1) | st.integers(0, 15), max_size=24), st.integers(0, 64))
def test_clusters_are_those_of_merging_sets(hashes, distance):
    assert near_duplicates(hashes, distance) == naive_clusters(hashes, distance)


@pytest.mark.parametrize(
    ("hashes", "clusters"),
    [
        ([], []),
        ([5], []),
        ([5, 5], [(0, 1)]),
        ([0b000, 0b111111, 0b000], [(0, 2)]),
        ([0b0, 0b1, 0b11, 0xFFFF], [(0, 1, 2)]),  # 0 and 0b11 are 2 apart; 0b1 joins them
        ([0xFFFF, 0x0, 0xFFFF, 0x0], [(0, 2), (1, 3)]),
    ],
)
def test_clusters_by_hand(hashes, clusters):
    assert near_duplicates(hashes, 1) == clusters


@pytest.mark.slow("20,000 hashes, compared each with each")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("spread", [0, 3, 64], ids=["all equal", "one cluster", "all different"])
def test_twenty_thousand_images_take_seconds_and_little_memory(spread):
    rng = np.random.default_rng(0)
    flips = rng.integers(0, 1 << 64, 20_000, dtype=np.uint64)
    if spread < 64:
        flips = np.zeros(20_000, np.uint64)
        for _ in range(spread):
            flips |= np.uint64(1) << rng.integers(0, 64, 20_000).astype(np.uint64)
    hashes = (np.uint64(0xA5A5_A5A5_5A5A_5A5A) ^ flips).tolist()
    tracemalloc.start()
    started = time.perf_counter()
    clusters = near_duplicates(hashes)
    took_s, (_, peak_bytes) = time.perf_counter() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [len(cluster) for cluster in clusters] == ([] if spread == 64 else [20_000])
    assert took_s < 15
    assert peak_bytes < 20_000_000

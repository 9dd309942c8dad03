"""Near-duplicates: pictures of the same scene, found by a hash of what a thumbnail of each shows."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from segsweep.dataset.pictures.picture import Picture

# Bits of 64. Measured on the 201 photographs of feralcat: two copies of one, each with its own exposure (+-25 %), salt
# and pepper noise (5 %) and compression, lie 0 to 6 apart; photographs of different scenes 16 at least, 32 on average.
NEAR_BITS = 8

_SIDE_PX = 32  # of the thumbnail
_LOW = slice(1, 9)  # frequencies kept in each direction; 0, the mean, is left out


def perceptual_hash(picture: Picture) -> int:
    """The signs of a picture's low frequencies: what survives another size, exposure, compression and noise.

    C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), section 3.2.1, DCT based
    hash: a grey thumbnail of 32x32, its cosine transform, the 8x8 coefficients after the constant ones, each one bit
    that says whether it is above their median. Rotation and mirroring change it.

    Args:
        picture: (height, width, 3) BGR or (height, width) grey, uint8.

    Returns:
        64 bits. Pictures without any structure, such as plain colours, all have the hash 0.
    """
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[_LOW, _LOW].ravel()
    bits = low > np.median(low)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def bits_apart(a: int, b: int) -> int:
    """In how many bits two hashes differ, 0 to 64."""
    return (a ^ b).bit_count()


def near_duplicates(hashes: Sequence[int], distance: int = NEAR_BITS) -> list[tuple[int, ...]]:
    """Cluster pictures whose hashes differ in at most `distance` bits.

    Clusters grow from picture to picture (single linkage): two members may be further apart than `distance` when
    others lie between them. Every comparison is made, in numpy: 20,000 hashes take about a second, and memory grows
    with the number of hashes alone, even where all are alike.

    Args:
        hashes: Of `perceptual_hash`.
        distance: Bits, 0 to 64.

    Returns:
        Indices of each cluster of two or more, ascending; clusters in the order of their first member.
    """
    # Equal hashes are one point: a film's standing frames would otherwise all be compared with each other.
    points, owner = np.unique(np.array(hashes, dtype=np.uint64), return_inverse=True)
    cluster_of_point = np.full(len(points), -1, dtype=np.int64)
    for seed in range(len(points)):
        if cluster_of_point[seed] >= 0:
            continue
        cluster_of_point[seed] = seed
        waiting = [seed]
        while waiting:
            # Points before the seed belong to clusters that are complete.
            near = seed + np.flatnonzero(np.bitwise_count(points[seed:] ^ points[waiting.pop()]) <= distance)
            found = near[cluster_of_point[near] < 0]
            cluster_of_point[found] = seed
            waiting += found.tolist()
    cluster = cluster_of_point[owner]
    order = np.argsort(cluster, kind="stable")
    starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    groups = [tuple(group.tolist()) for group in np.split(order, starts[1:]) if len(group) > 1]
    return sorted(groups)

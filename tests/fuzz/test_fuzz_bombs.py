"""Small files that stand for large ones: each is refused, or read, in bounded time and memory."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuzz import seeds
from fuzz.arena import Arena
from fuzz.pictures import encoded, jpeg_claiming, png, png_claiming
from fuzz.seeds import Files
from fuzz.trial import Subject, try_files, try_raw

YOLO, COCO = seeds.yolo(), seeds.coco()


def laughs(first: str, entry: str) -> bytes:
    lines = [f"a0: &a0 {first}"]
    for level in range(1, 12):
        used = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} {entry.format(used)}")
    return "\n".join([*lines, "train: images/train", "val: images/val", "test: images/test", "names: *a11"]).encode()


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def with_coco(**changes: Any) -> Files:
    document = seeds.coco_document("train0.jpg", **changes)
    return COCO | {"annotations/instances_train.json": json.dumps(document).encode()}


def with_mask(counts: Any, size: tuple[int, int] = (30, 40), image: bytes = b"", uses: int = 1) -> Files:
    height, width = size
    files = with_coco(
        images=[{"id": 7, "file_name": "train0.jpg", "width": width, "height": height}],
        annotations=[
            {
                "image_id": 7,
                "category_id": 1 + i % 2,
                "iscrowd": 0,
                "segmentation": {"size": [height, width], "counts": counts},
                "id": i,
            }
            for i in range(uses)
        ],
    )
    return files | ({"images/train0.jpg": image} if image else {})


def with_segmentation(segmentation: Any, uses: int = 1) -> Files:
    row = {"image_id": 7, "category_id": 1, "iscrowd": 0, "segmentation": segmentation}
    return with_coco(annotations=[row | {"id": i, "category_id": 1 + i % 2} for i in range(uses)])


def raw_json(text: bytes) -> Files:
    return COCO | {"annotations/instances_train.json": text}


def deep_json(depth: int, key: str) -> Files:
    document = json.dumps(seeds.coco_document("train0.jpg"))
    part = {
        "segmentation": "[[4.0, 3.0, 4.0, 27.0, 36.0, 27.0]]",
        "supercategory": '"pet"',
        "file_name": '"train0.jpg"',
        "id": "7",
    }[key]
    return raw_json(document.replace(part, nested(depth).decode(), 1).encode())


def label(text: bytes) -> Files:
    return YOLO | {"labels/val/val0.txt": text}


def data_yaml(text: bytes) -> Files:
    return YOLO | {"data.yaml": text}


def image(data: bytes) -> Files:
    return YOLO | {"images/val/val0.jpg": data}


def speckles(side: int) -> list[int]:
    return [1] * (side * side)


def many_holes(points: int) -> list[float]:
    angles = np.linspace(0, 2 * np.pi, points)
    radii = np.where(np.arange(points) % 2, 14.0, 2.0)
    return np.stack([20 + radii * np.cos(angles), 15 + radii * np.sin(angles)], axis=1).ravel().tolist()


NAMES = b"names: [cat, dog]\n"
BOMBS: dict[str, Files] = {
    "a billion laughs in YAML": data_yaml(laughs("[lol]", "[{}]")),
    "a billion laughs in YAML by merging": data_yaml(laughs("{k: v}", "{{<<: [{}]}}")),
    "YAML that holds itself": data_yaml(b"train: &a [*a]\n" + NAMES),
    "names that hold themselves": data_yaml(b"train: images/train\nnames: &a {0: *a}\n"),
    "YAML nested 100,000 deep": data_yaml(b"names: " + nested(100_000)),
    "YAML nested 300 deep": data_yaml(b"train: images/train\nnames: " + nested(300)),
    "YAML of 100 MB": data_yaml(b"# " + b"x" * 10**8 + b"\n" + YOLO["data.yaml"]),
    "a number of a million digits in YAML": data_yaml(YOLO["data.yaml"] + b"nc: " + b"9" * 10**6),
    "a million classes": data_yaml(
        b"train: images/train\nnames: [" + b",".join(b"c%d" % i for i in range(10**6)) + b"]"
    ),
    "path: /": data_yaml(b"path: /\ntrain: .\nval: .\ntest: .\n" + NAMES),
    "a path that climbs to the root": data_yaml(b"train: ../../../../../../../../../..\n" + NAMES),
    "path: ..": data_yaml(b"path: ..\ntrain: .\nval: .\ntest: .\n" + NAMES),
    "the parent folder": data_yaml(b"train: ..\nval: images/val\ntest: images/test\n" + NAMES),
    "a device as a list": data_yaml(b"train: /dev/zero\nval: images/val\ntest: images/test\n" + NAMES),
    "labels of 100 MB": label(b"0 0.1 0.1 0.1 0.9 0.9 0.9\n" * 4_000_000),
    "a million wrong label rows": label(b"x\n" * 10**6),
    "30,000 label rows, all different": label(b"".join(b"0 0.1 0.1 0.1 0.9 0.9 0.%06d\n" % i for i in range(30_000))),
    "a label row of 1,000,000 points": label(b"0" + b" 0.1 0.1 0.9 0.9" * 250_000),
    "a label number of 10 MB": label(b"0 0.1 0.1 0.1 0.9 0.9 0." + b"9" * 10**7),
    "a class id of 10 MB": label(b"9" * 10**7 + b" 0.1 0.1 0.1 0.9 0.9 0.9"),
    "JSON nested 100,000 deep": raw_json(nested(100_000)),
    **{f"a segmentation nested {n} deep": deep_json(n, "segmentation") for n in (300, 900, 990, 997)},
    **{f"a supercategory nested {n} deep": deep_json(n, "supercategory") for n in (300, 900, 990)},
    **{f"a file_name nested {n} deep": deep_json(n, "file_name") for n in (300, 900, 990)},
    **{f"an id nested {n} deep": deep_json(n, "id") for n in (300, 900, 990)},
    "a number of a million digits in JSON": raw_json(
        COCO["annotations/instances_train.json"].replace(b"4.0", b"9" * 10**6)
    ),
    "a JSON string of 50 MB": with_coco(info="x" * 50_000_000),
    "a JSON key repeated": raw_json(b'{"images": [],' + COCO["annotations/instances_train.json"][1:]),
    "runs of 10^12 pixels": with_mask([0, 10**12]),
    "runs of 10^400 pixels": with_mask([10**400, 1]),
    "runs that are right in sum alone": with_mask([10**12, 1200 - 10**12]),
    "runs of nothing, a million times": with_mask([0] * 10**6 + [600, 600]),
    "compressed runs of 10^17": with_mask("o" * 11 + "0"),
    "compressed runs that never end": with_mask("o" * 10**6),
    "a mask of 10^6 x 10^6": with_mask([5 * 10**11, 5 * 10**11], (10**6, 10**6)),
    "a mask of 16,000 x 16,000 for an image of 40 x 30": with_mask([10, 16_000**2 - 10], (16_000, 16_000), uses=20),
    "a checkerboard of 400 x 400 as runs": with_mask(speckles(400), (400, 400), encoded(".jpg", 400, 400)),
    "a polygon that crosses itself 2,000 times": with_segmentation([many_holes(4001)], 2),
    "3,000 polygons of one object": with_segmentation(
        [[x, y, x, y + 0.5, x + 0.5, y] for x in range(38) for y in range(28)] * 3
    ),
    "3,000 polygons on one another": with_segmentation([[4 + i / 1e3, 3, 4, 27, 36, 27] for i in range(3000)]),
    "20,000 annotations of one image": with_segmentation([[4, 3, 4, 27, 36, 27]], 20_000),
    "a polygon of 200,000 points": with_segmentation([many_holes(200_000)]),
    "coordinates of 10^308": with_segmentation([[1e308, -1e308, 1e308, 1e308, -1e308, 1e308]]),
    "a PNG that claims 100,000 x 100,000": image(png_claiming(100_000, 100_000)),
    "a PNG that claims 30,000 x 30,000": image(png_claiming(30_000, 30_000)),
    "a PNG of 20,000 x 20,000 zeros in 400 kB": image(png_claiming(20_000, 20_000, bytes(20_000 * 20_001), 0)),
    "a PNG with 100 MB too much": image(png_claiming(40, 30, bytes(10**8))),
    "a PNG with a profile of 100 MB": image(
        png(
            [
                (b"IHDR", encoded(".png")[16:29]),
                (b"iCCP", b"x\0\0" + zlib.compress(bytes(10**8), 9)),
                (b"IDAT", b""),
                (b"IEND", b""),
            ]
        )
    ),
    "a PNG with a header alone": image(png([(b"IHDR", png_claiming(30_000, 30_000)[16:29])])),
    "a PNG of 100,000 x 10": image(png_claiming(100_000, 10, bytes(10 * 300_001))),
    "a JPEG that claims 65,500 x 65,500": image(jpeg_claiming(encoded(".jpg"), 65_500, 65_500)),
    "a JPEG with 3,000 comments": image(encoded(".jpg")[:2] + b"\xff\xfe\0\3x" * 3000 + encoded(".jpg")[2:]),
    "a BMP that claims 2^31 - 1 x 2^31 - 1": image(
        encoded(".bmp")[:18] + b"\xff\xff\xff\x7f" * 2 + encoded(".bmp")[26:]
    ),
    "a PPM that claims 100,000 x 100,000": image(b"P6\n100000 100000\n255\n" + bytes(100)),
    "a PPM that claims 20,000 x 20,000": image(b"P6\n20000 20000\n255\n" + bytes(100)),
    "a PFM that claims 20,000 x 20,000": image(b"PF\n20000 20000\n-1.0\n" + bytes(100)),
    "an HDR that claims 20,000 x 20,000": image(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 20000 +X 20000\n"),
    "a Sun raster that claims 30,000 x 30,000": image(
        b"\x59\xa6\x6a\x95" + b"".join(n.to_bytes(4, "big") for n in (30_000, 30_000, 24, 0, 1, 0, 0)) + bytes(9)
    ),
    "a GIF that claims 65,535 x 65,535": image(
        b"GIF89a" + b"\xff" * 4 + b"\x00\x00\x00,\0\0\0\0" + b"\xff" * 4 + b"\0\x02\0;"
    ),
    "base64 for an image": image(base64.b64encode(encoded(".jpg"))),
    "a zip for an image": image(b"PK\x05\x06" + bytes(18)),
}
NAMED = ("data.yaml", "instances_train.json", "val0.", "train0.")


@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb_does_not_go_off(what: str, arena: Arena):
    files = BOMBS[what]
    assert try_files(files, arena, Subject("bombs", NAMED, "yolo" if "data.yaml" in files else "coco"), what) == []


SPARSE = (
    "images/val/val0.jpg", "labels/val/val0.txt", "data.yaml", "train.txt", "annotations/instances_train.json",
    "images/train0.jpg",
)  # fmt: skip


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("size_bytes", [10**12, 20 * 10**9])
def test_a_sparse_file_is_not_read(name: str, size_bytes: int, arena: Arena):
    files = next(files for files in (YOLO, seeds.yolo_lists(), COCO) if name in files)
    folder = arena.new_case()
    raw = seeds.write(files, folder / "raw")
    with (raw / name).open("r+b") as file:
        file.truncate(size_bytes)
    assert try_raw(raw, folder, Subject("bombs", (Path(name).name,)), f"{name} of {size_bytes} bytes") == []
    assert not (folder / "bundles").exists()

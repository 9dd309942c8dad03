"""A YOLO folder with one of everything that can be the matter with it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

CAT = "<b>\"cat\" & 'kitten'</b>"
HOSTILE = '<img src=x onerror="alert(1)">&\'.jpg'

_SQUARE = "0 0.2 0.2 0.2 0.6 0.6 0.6 0.6 0.2\n"
_EXIF_TURNED = (
    b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6
)


def photo(seed: int, width: int = 60, height: int = 40) -> np.ndarray:
    """Clouds: neither noise, which JPEG destroys, nor plain."""
    rng = np.random.default_rng(seed)
    clouds = rng.integers(0, 255, (5, 6, 3), dtype=np.uint8)
    return cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC)


def encoded(extension: str, picture: np.ndarray) -> bytes:
    """The file of a picture."""
    done, data = cv2.imencode(extension, picture)
    assert done
    return data.tobytes()


def write_faulty_yolo(folder: Path) -> Path:
    """Write it: three splits of which test is missing, four classes of which one is never seen and one not in train."""
    (folder / "images" / "train").mkdir(parents=True)
    (folder / "images" / "val").mkdir()
    for split in ("train", "val"):
        (folder / "labels" / split).mkdir(parents=True)

    def add(name: str, rows: str | bytes | None, data: bytes | None = None, split: str = "train") -> None:
        seed = sum(name.encode())
        (folder / "images" / split / name).write_bytes(encoded(".jpg", photo(seed)) if data is None else data)
        if rows is not None:
            label = (folder / "labels" / split / name).with_suffix(".txt")
            label.write_bytes(rows if isinstance(rows, bytes) else rows.encode())

    names = f"[{CAT!r}, dog, bird, fish]".replace("\\'", "''")
    (folder / "data.yaml").write_text(f"train: images/train\nval: images/val\ntest: images/test\nnames: {names}\n")
    add(HOSTILE, _SQUARE)
    add("good.jpg", _SQUARE + "1 0.7 0.7 0.7 0.9 0.9 0.9 0.9 0.7\n")
    add("repeated.jpg", _SQUARE * 2)
    add("mixed.jpg", _SQUARE + "0 0.5 0.5 0.2 0.2\n")
    add("outside.jpg", "0 0.2 0.2 0.2 0.6 1.8 0.6\n")
    add("unknown.jpg", "9 0.2 0.2 0.2 0.6 0.6 0.6\n")
    add("unlabelled.jpg", None)
    add("empty.jpg", "")
    add("binary.jpg", b"\xff\xfe\x00")
    add("tiny.jpg", "0 0.2 0.2 0.2 0.202 0.202 0.202\n")
    add("twins.jpg", _SQUARE + "0 0.2 0.2 0.2 0.6 0.6 0.6 0.61 0.2\n")
    add("hidden.jpg", _SQUARE + "1 0.3 0.3 0.3 0.5 0.5 0.5 0.5 0.3\n")
    add("crossed.jpg", "0 0.2 0.2 0.6 0.6 0.6 0.2 0.2 0.5\n")
    whole = encoded(".jpg", photo(1))
    add("truncated.jpg", _SQUARE, whole[: len(whole) // 2])
    add("nothing.jpg", _SQUARE, b"")
    add("trailing.jpg", _SQUARE, encoded(".jpg", photo(2)) + b"more")
    add("small.png", _SQUARE, encoded(".png", photo(3, 30, 8)))
    add("mislabelled.jpg", _SQUARE, encoded(".png", photo(4)))
    add("animation.jpg", _SQUARE, encoded(".gif", photo(5)))
    add("turned.jpg", _SQUARE, (jpeg := encoded(".jpg", photo(6)))[:2] + _EXIF_TURNED + jpeg[2:])
    add("grey.png", _SQUARE, encoded(".png", photo(7)[..., 0]))
    add("deep.png", _SQUARE, encoded(".png", photo(8).astype(np.uint16) * 257))
    add("alpha.png", _SQUARE, encoded(".png", np.dstack([photo(9), photo(10)[..., 0]])))
    add("scene_jpg.rf.aaaa.jpg", _SQUARE, encoded(".jpg", photo(11)))
    add("scene_jpg.rf.bbbb.jpg", _SQUARE, encoded(".jpg", photo(12)), split="val")
    add("bird.jpg", "2 0.2 0.2 0.2 0.6 0.6 0.6\n", split="val")
    add("same.jpg", _SQUARE, encoded(".jpg", photo(sum(b"good.jpg"), 120, 80)), split="val")
    return folder

"""What Ultralytics does with labels and images, compared with what it does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from faulty import encoded, photo
from segsweep.dataset.inspection.verdict import Verdict, judge_image, judge_labels
from segsweep.dataset.pictures.header import read_header
from segsweep.dataset.pictures.picture import read_upright
from segsweep.errors import DatasetError

P = "0 .1 .1 .1 .9 .9 .9"

# Rows -> (is left out, removed rows, are boxes).
LABELS = {
    "": (False, 0, False),
    " \n \n": (False, 0, False),
    P: (False, 0, False),
    f"\ufeff{P}": (False, 0, False),
    f"{P}\n{P}": (False, 1, False),
    f"{P}\n{P}\n{P}\n1 .1 .1 .1 .9 .9 .9": (False, 2, False),
    f"{P}\n0 .5 .5 .2 .2": (True, 0, False),
    "0 .5 .5 .2 .2": (False, 0, True),
    "0 .5 .5 .2 .2\n0 .5 .5 .2 .2": (False, 1, True),
    # Of a polygon the box around it is judged: its centre and size, not its points.
    "0 .1 .1 .1 .9 1.015 .9": (False, 0, False),
    "0 .9 .1 .9 .9 1.05 .9": (False, 0, False),
    "0 .9 .1 .9 .9 1.2 .9": (True, 0, False),
    "0 .1 .1 .1 .9 1.2 .9": (True, 0, False),
    "0 -.005 .1 .1 .9 .5 .9": (False, 0, False),
    "0 -.9 .1 .1 .9 .5 .9": (True, 0, False),
    "-1 .1 .1 .1 .9 .9 .9": (True, 0, False),
    "-0.005 .1 .1 .1 .9 .9 .9": (True, 0, False),
    "0.5 .1 .1 .1 .9 .9 .9": (True, 0, False),
    "2 .1 .1 .1 .9 .9 .9": (True, 0, False),
    "x .1 .1 .1 .9 .9 .9": (True, 0, False),
    "0 .1 .1 .1 .9 .9": (True, 0, False),
    f"{P}\n0 .1 .1 .1 .9 .9": (True, 0, False),
    f"{P}\n0": (True, 0, False),
    "0": (True, 0, False),
    "0 nan .1 .1 .9 .9 .9": (True, 0, False),
    "0 inf .1 .1 .9 .9 .9": (True, 0, False),
    "0 .1 .1 .1 .9 .9 .9 .9": (True, 0, False),
    "0 .1 .1 .1 .9 .9 .9\n0 .1 .1 .9 .9 .1 .9": (False, 0, False),
    "0 .1 .1 .1 .1 .1 .1": (False, 0, False),
    "1e0 .1 .1 .1 .9 .9 .9": (False, 0, False),
}


@pytest.mark.parametrize("rows", LABELS, ids=repr)
def test_labels_are_judged(rows):
    found = judge_labels(rows.encode(), classes=2)
    assert (bool(found.drops), found.removed_rows, found.is_boxes) == LABELS[rows]
    assert not found.lacks_labels


def test_a_missing_label_file_makes_background():
    assert judge_labels(None, classes=2) == Verdict(lacks_labels=True)


def test_a_label_file_that_is_no_text_drops_the_image():
    assert judge_labels(b"\xff\xfe\x00", classes=2).drops == "the label file is no text"


def image_files() -> dict[str, tuple[bytes, tuple[bool, bool]]]:
    """Name -> file, and whether the image is left out and whether it is written anew."""
    jpeg, png = encoded(".jpg", photo(0)), encoded(".png", photo(0))
    webp, tiff = encoded(".webp", photo(0)), encoded(".tif", photo(0))
    broken = bytearray(png)
    broken[len(png) // 2] ^= 0xFF
    return {
        "whole.jpg": (jpeg, (False, False)),
        "half.jpg": (jpeg[: len(jpeg) // 2], (True, False)),
        "trailing.jpg": (jpeg + b"more", (False, True)),
        "a-png.jpg": (png, (False, False)),
        "half.png": (png[: len(png) // 2], (True, False)),
        "no-end.png": (png[:-12], (True, False)),
        "flipped.png": (bytes(broken), (True, False)),
        "whole.webp": (webp, (False, False)),
        "half.webp": (webp[: len(webp) // 2], (True, False)),
        "whole.bmp": (encoded(".bmp", photo(0)), (False, False)),
        "whole.tif": (tiff, (False, False)),
        "half.tif": (tiff[: len(tiff) // 2], (True, False)),
        "a-gif.jpg": (encoded(".gif", photo(0)), (True, False)),
        "9px.png": (encoded(".png", photo(0, 40, 9)), (True, False)),
        "10px.png": (encoded(".png", photo(0, 40, 10)), (False, False)),
        "empty.jpg": (b"", (True, False)),
        "text.jpg": (b"hello", (True, False)),
    }


def judged(path: Path) -> Verdict:
    data = path.read_bytes()
    try:
        read_upright(path)
    except DatasetError:
        return judge_image(data, read_header(data), is_readable=False)
    return judge_image(data, read_header(data), is_readable=True)


@pytest.mark.parametrize("name", image_files())
def test_images_are_judged(name, tmp_path):
    data, expected = image_files()[name]
    (tmp_path / name).write_bytes(data)
    found = judged(tmp_path / name)
    assert (bool(found.drops), found.is_rewritten) == expected


def test_at_a_broken_bmp_training_ends(tmp_path):
    data = encoded(".bmp", photo(0))
    (tmp_path / "half.bmp").write_bytes(data[: len(data) // 2])
    assert judged(tmp_path / "half.bmp") == Verdict(stops=True)


_ASK = """
import json, sys
from pathlib import Path
from ultralytics.data.utils import check_image, verify_image_label
from ultralytics.utils.patches import imread
folder, labels = Path(sys.argv[1]), json.loads(sys.stdin.read())
image, found = folder / "whole.jpg", []
for rows in labels:
    label = folder / "label.txt"
    label.write_bytes(rows.encode())
    result = verify_image_label((str(image), str(label), "", False, 2, 0, 0, False))
    dropped = result[0] is None
    count = len([row for row in rows.splitlines() if row.strip()])
    boxes = not dropped and len(result[1]) > 0 and not result[3]
    found.append([dropped, 0 if dropped else count - len(result[1]), boxes])
images = {}
for path in sorted(folder.glob("*.*")):
    if path.suffix == ".txt":
        continue
    before = path.read_bytes()
    try:
        check_image(str(path))
        images[path.name] = [False, path.read_bytes() != before]
    except Exception:
        images[path.name] = [True, False]
bmp = images.pop("half.bmp") == [False, False] and imread(str(folder / "half.bmp")) is None
print("\\n" + json.dumps([found, images, bmp]))
"""


@pytest.mark.slow("imports torch")
@pytest.mark.timeout(60)
def test_ultralytics_itself_judges_alike(tmp_path):
    for name, (data, _) in image_files().items():
        (tmp_path / name).write_bytes(data)
    bmp = encoded(".bmp", photo(0))
    (tmp_path / "half.bmp").write_bytes(bmp[: len(bmp) // 2])
    command, asked = [sys.executable, "-c", _ASK, str(tmp_path)], json.dumps(list(LABELS))
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    labels, images, bmp_ends = json.loads(done.stdout.splitlines()[-1])
    assert [tuple(one) for one in labels] == list(LABELS.values())
    assert {name: tuple(one) for name, one in images.items()} == {
        name: expected for name, (_, expected) in image_files().items()
    }
    assert bmp_ends

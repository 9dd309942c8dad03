"""Names that files really have: each comes through prepare and stage with its objects."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from fuzz import seeds
from fuzz.arena import Arena
from fuzz.pictures import encoded
from fuzz.seeds import Files
from fuzz.trial import Subject, try_files
from segsweep.dataset.bundles.manifest import read_manifest

NAMES = {
    "spaces": "two  words ",
    "quotes": 'it\'s a "test" `x`',
    "accents": "Käfer-naïve",
    "decomposed accents": unicodedata.normalize("NFD", "Käfer"),
    "other scripts": "猫の写真-кошка-قطة",
    "an emoji": "👩\u200d🌾",
    "a line break": "two\nlines",
    "a tab and a bell": "a\tb\a",
    "250 characters": "n" * 246,
    "250 bytes of other characters": "é" * 123,
    "wildcards": "a[1]*?{b}",
    "a shell's favourites": "$(id);&|<>#!~",
    "a backslash": "a\\b",
    "percent signs": "100%s%20%n",
    "a leading dash": "-rf",
    "dots": "a..b...c.",
    "another extension": "a.png.txt",
    "a colon": "C:a",
    "a device of another system": "NUL",
    "colours of a terminal": "\x1b[31mred",
    "right to left": "\u202egpj.exe",
    "one letter": "x",
    "digits": "0001",
    "a copy as Roboflow names it": "x_jpg.rf.0123",
}
ROWS = b"0 0.1 0.1 0.1 0.9 0.9 0.9\n1 0.5 0.1 0.9 0.1 0.9 0.5\n"


def yolo(name: str) -> Files:
    return {
        **seeds.yolo(),
        f"images/train/{name}.jpg": encoded(".jpg", seed=9),
        f"labels/train/{name}.txt": ROWS,
    }


def coco(name: str) -> Files:
    files = seeds.coco()
    document = seeds.coco_document("train0.jpg")
    document["images"].append({"id": 8, "file_name": f"{name}.jpg", "width": 40, "height": 30})
    document["annotations"] += [row | {"id": 50 + row["id"], "image_id": 8} for row in document["annotations"]]
    return files | {
        f"images/{name}.jpg": encoded(".jpg", seed=9),
        "annotations/instances_train.json": json.dumps(document).encode(),
    }


@pytest.mark.parametrize("what", NAMES)
@pytest.mark.parametrize("make", [yolo, coco], ids=lambda make: make.__name__)
def test_a_name_comes_through_with_its_objects(make: object, what: str, arena: Arena):
    assert callable(make)
    files: Files = make(NAMES[what])
    assert try_files(files, arena, Subject("names", (), None), what) == []
    (bundle,) = (arena.root / "case/bundles").iterdir()
    manifest = read_manifest(str(bundle))
    (name,) = {file.source for file in manifest.files if file.source.endswith(f"{NAMES[what]}.jpg")}
    assert name in files
    plain = "train0"
    counts = [sum(file.source.endswith(f"{stem}.jpg") for file in manifest.files) for stem in (NAMES[what], plain)]
    assert counts[0] == counts[1]
    copied = next(path for path in manifest.files if path.source == name and path.path.endswith(".txt"))
    rows = next((arena.root / "case/cache").rglob(Path(copied.path).name)).read_text().splitlines()
    assert {row.split()[0] for row in rows} == {"0", "1"}


FOLDERS = (
    "two words",
    "it's",
    "Käfer",
    "two\nlines",
    "f" * 250,
    "[a]*?",
    "-x",
    "$(id)",
    "%s",
    "a.jpg",
    "images",
    "labels",
)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_any_name_is_read(name: str, arena: Arena):
    files = {f"images/train/{name}/x.jpg": encoded(".jpg", seed=9), f"labels/train/{name}/x.txt": ROWS}
    if name == "images":  # the last folder named images becomes labels
        files = {"images/train/images/x.jpg": encoded(".jpg", seed=9), "images/train/labels/x.txt": ROWS}
    assert try_files(seeds.yolo() | files, arena, Subject("names", (), "yolo"), name) == []
    (bundle,) = (arena.root / "case/bundles").iterdir()
    assert any(f"{name}/x.jpg" in file.source for file in read_manifest(str(bundle)).files)


UNTELLABLE = (b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80")


@pytest.mark.parametrize("name", UNTELLABLE)
def test_a_name_that_is_no_utf8_is_refused_in_words(name: bytes, arena: Arena):
    import os

    text = os.fsdecode(name)
    assert try_files(yolo(text), arena, Subject("names", ("UTF-8",), "yolo"), repr(name)) == []
    assert not (arena.root / "case/bundles").exists()

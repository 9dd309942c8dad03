"""Documents that name an image or mask elsewhere on the disk, sound and of the right size: none of them is taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from fuzz.any_format import SEEDS
from fuzz.arena import Arena
from fuzz.seeds import Files
from fuzz.trial import Subject, try_files

# From folders at different depths of the dataset; the absolute path comes from the arena.
CLIMBS = ("..", "../..", "../../..", "../../../..", "../../../../..", "images/../../..", "./../../.", "/")


def coco(path: str) -> tuple[str, bytes]:
    name = "annotations/instances_train.json"
    document = json.loads(SEEDS["coco"].files[name])
    document["images"][0]["file_name"] = path
    return name, json.dumps(document).encode()


def labelme(path: str) -> tuple[str, bytes]:
    name = "train/train0.json"
    document = json.loads(SEEDS["labelme"].files[name])
    return name, json.dumps(document | {"imagePath": path}).encode()


def _listed(change: Callable[[dict[str, object]], object]) -> tuple[str, bytes]:
    lines = [json.loads(line) for line in SEEDS["listed"].files["masks.jsonl"].splitlines()]
    change(lines[1])
    return "masks.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode()


def listed_image(path: str) -> tuple[str, bytes]:
    return _listed(lambda row: row.update(image=path))


def listed_mask(path: str) -> tuple[str, bytes]:
    def change(row: dict[str, object]) -> None:
        masks = row["masks"]
        assert isinstance(masks, list)
        masks[0]["file"] = path

    return _listed(change)


# What is named, from which seed, and which of its files is put outside.
DOCUMENTS = {
    "coco": (coco, "coco", "images/train0.jpg"),
    "labelme": (labelme, "labelme", "train/train0.jpg"),
    "masks.jsonl, image": (listed_image, "listed", ""),
    "masks.jsonl, mask": (listed_mask, "listed", ""),
}


@pytest.mark.parametrize("climb", CLIMBS)
@pytest.mark.parametrize("what", DOCUMENTS)
def test_a_file_elsewhere_is_not_taken(what: str, climb: str, arena: Arena):
    make, seed, own = DOCUMENTS[what]
    files = SEEDS[seed].files
    own = own or _first(files, "masks" if what.endswith("mask") else "images")
    outside = arena.outside / PurePosixPath(own).name
    outside.write_bytes(files[own])
    # The file of the dataset itself is away, so that a reader that falls back on its name finds nothing either.
    rest = {name: data for name, data in files.items() if name != own}
    path = str(outside) if climb == "/" else f"{climb}/outside/{outside.name}"
    name, data = make(path)
    subject = Subject("files elsewhere", (Path(name).name, outside.name), SEEDS[seed].format_name)
    assert try_files(rest | {name: data}, arena, subject, f"{what} {path}") == []
    assert not (arena.root / "case/bundles").exists()


def _first(files: Files, folder: str) -> str:
    row = json.loads(files["masks.jsonl"].splitlines()[1])
    named = row["image"] if folder == "images" else row["masks"][0]["file"]
    assert named in files
    return str(named)

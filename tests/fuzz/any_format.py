"""A mutated dataset of any format: which files of which seed are changed, and how."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import NamedTuple

from fuzz import more_seeds, seeds
from fuzz.mutations import mutate_bytes, mutate_text
from fuzz.pictures import another_kind, mutate_jpeg, mutate_png
from fuzz.seeds import Files
from fuzz.trees import mutate_json, mutate_yaml

Mutate = Callable[[bytes, random.Random, str], tuple[bytes, str]]


class Seed(NamedTuple):
    """A sound dataset, its format's name, and the classes to ask for."""

    files: Files
    format_name: str
    classes: tuple[str, ...] = ()


SEEDS = {
    "yolo": Seed(seeds.yolo(), "yolo"),
    "yolo of PNGs": Seed(seeds.yolo(".png"), "yolo"),
    "yolo of lists": Seed(seeds.yolo_lists(), "yolo"),
    "coco": Seed(seeds.coco(), "coco"),
    "labelme": Seed(more_seeds.labelme(), "labelme"),
    "numbered": Seed(more_seeds.numbered_masks(), "mask_png"),
    "objects": Seed(more_seeds.object_masks(), "mask_png"),
    "coloured": Seed(more_seeds.coloured_masks(), "mask_png"),
    "listed": Seed(more_seeds.written_as("mask_png"), "mask_png"),
    "cityscapes": Seed(more_seeds.cityscapes(), "cityscapes", ("person", "car")),
    "our cityscapes": Seed(more_seeds.written_as("cityscapes"), "cityscapes"),
}


def _text(data: bytes, rng: random.Random, outside: str) -> tuple[bytes, str]:
    return rng.choice((mutate_text, mutate_bytes))(data, rng)


def _line_of_json(data: bytes, rng: random.Random, outside: str) -> tuple[bytes, str]:
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    changed, said = mutate_json(lines[at], rng, outside)
    return b"".join([*lines[:at], changed + b"\n", *lines[at + 1 :]]), f"line {at + 1}: {said}"


def _png(data: bytes, rng: random.Random, outside: str) -> tuple[bytes, str]:
    return mutate_png(data, rng) if rng.random() < 0.6 else mutate_bytes(data, rng)


def _image(data: bytes, rng: random.Random, outside: str) -> tuple[bytes, str]:
    if rng.random() < 0.2:
        return another_kind(rng)
    if rng.random() < 0.4:
        return mutate_bytes(data, rng)
    return (mutate_png if data.startswith(b"\x89PNG") else mutate_jpeg)(data, rng)


class Kind(NamedTuple):
    """Which files of which seed are mutated, how, and in how many tests of 50 cases."""

    seed: str
    ending: str
    mutate: Mutate
    tests: int


KINDS = {
    "yolo label rows": Kind("yolo", "0.txt", _text, 8),
    "yolo data.yaml, tree": Kind("yolo", "data.yaml", mutate_yaml, 4),
    "yolo data.yaml, text": Kind("yolo", "data.yaml", _text, 3),
    "yolo lists' data.yaml, tree": Kind("yolo of lists", "data.yaml", mutate_yaml, 2),
    "yolo lists": Kind("yolo of lists", "train.txt", _text, 2),
    "coco JSON, tree": Kind("coco", ".json", mutate_json, 9),
    "coco JSON, text": Kind("coco", ".json", _text, 4),
    "labelme JSON, tree": Kind("labelme", ".json", mutate_json, 5),
    "labelme JSON, text": Kind("labelme", ".json", _text, 2),
    "labelme labels.txt": Kind("labelme", "labels.txt", _text, 1),
    "masks, numbered": Kind("numbered", "masks/train0.png", _png, 3),
    "masks, one an object": Kind("objects", "-1.png", _png, 2),
    "masks, coloured": Kind("coloured", "train0.png", _png, 2),
    "masks, colours.yaml, tree": Kind("coloured", ".yaml", mutate_yaml, 2),
    "masks, colours.yaml, text": Kind("coloured", ".yaml", _text, 1),
    "masks.jsonl, tree": Kind("listed", ".jsonl", _line_of_json, 4),
    "masks.jsonl, text": Kind("listed", ".jsonl", _text, 2),
    "cityscapes masks": Kind("cityscapes", "instanceIds.png", _png, 2),
    "cityscapes polygons, tree": Kind("cityscapes", "polygons.json", mutate_json, 4),
    "cityscapes polygons, text": Kind("cityscapes", "polygons.json", _text, 1),
    "cityscapes labels.json": Kind("our cityscapes", "labels.json", mutate_json, 3),
    "images, JPEG": Kind("coco", "train0.jpg", _image, 6),
    "images, PNG": Kind("yolo of PNGs", "val0.png", _image, 6),
}


class Case(NamedTuple):
    """A mutated dataset: its files, the name of the one that was mutated, and how."""

    files: Files
    name: str
    said: str

    @property
    def culprits(self) -> tuple[str, ...]:
        """Names of which a refusal must tell one: any file's, or the folder of the mutated one or of our masks."""
        folder = PurePosixPath(self.name).parent.name
        names = {PurePosixPath(name).name for name in self.files}
        return tuple(sorted(names | {"overlaps/"} | ({folder} if folder else set())))


def mutated(kind: str, rng: random.Random, outside: str) -> Case:
    """One case of a kind.

    Args:
        kind: Of `KINDS`.
        rng: Chooses.
        outside: A folder that must not be touched; some mutations name it.
    """
    seed, ending, mutate, _ = KINDS[kind]
    files = SEEDS[seed].files
    name = rng.choice(sorted(name for name in files if name.endswith(ending)))
    data, said = mutate(files[name], rng, outside)
    return Case(files | {name: data}, name, f"{name} {said}")

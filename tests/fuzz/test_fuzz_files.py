"""What a folder may hold besides files: pipes, devices, links anywhere, folders with the names of files."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from fuzz import seeds
from fuzz.arena import Arena, snapshot
from fuzz.trial import Subject, try_raw

SEEDS = {"yolo": seeds.yolo(), "lists": seeds.yolo_lists(), "coco": seeds.coco()}
FILES = {
    "yolo": ("images/val/val0.jpg", "labels/val/val0.txt", "data.yaml", "images/val", "labels/val", "images"),
    "lists": ("train.txt", "images/train/train0.jpg"),
    "coco": ("annotations/instances_train.json", "images/train0.jpg", "annotations", "images"),
}


def a_socket(path: Path, outside: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # a socket's path has 108 bytes at most
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(before)


ODDITIES: dict[str, Callable[[Path, Path], object]] = {
    "a pipe": lambda path, outside: os.mkfifo(path),
    "a socket": a_socket,
    "a folder": lambda path, outside: path.mkdir(),
    "a full folder": lambda path, outside: (path / "a/b.jpg").mkdir(parents=True),
    "a link to nothing": lambda path, outside: path.symlink_to("nowhere"),
    "a link to itself": lambda path, outside: path.symlink_to(path.name),
    "a link to its folder": lambda path, outside: path.symlink_to("."),
    "a link to the root": lambda path, outside: path.symlink_to("/"),
    "a link to /dev/zero": lambda path, outside: path.symlink_to("/dev/zero"),
    "a link to /dev/full": lambda path, outside: path.symlink_to("/dev/full"),
    "a link to /proc/self/mem": lambda path, outside: path.symlink_to("/proc/self/mem"),
    "a link to somebody's file": lambda path, outside: path.symlink_to(outside / "secret"),
    "a link to somebody's folder": lambda path, outside: path.symlink_to(outside),
    "an empty file": lambda path, outside: path.touch(),
    "nothing": lambda path, outside: None,
}


@pytest.mark.parametrize("what", ODDITIES)
@pytest.mark.parametrize("seed", FILES)
def test_an_oddity_in_the_place_of_a_file(seed: str, what: str, arena: Arena):
    faults = []
    before = snapshot(arena.outside)
    for name in FILES[seed]:
        folder = arena.new_case()
        raw = seeds.write(SEEDS[seed], folder / "raw")
        (raw / name).rename(folder / "moved")
        ODDITIES[what](raw / name, arena.outside)
        format_name = {"lists": "yolo"}.get(seed, seed)
        culprits = (Path(name).name, Path(name).stem, "data.yaml", "annotations", str(raw))
        subject = Subject("odd files", culprits, format_name)
        faults += [f"{name}: {fault}" for fault in try_raw(raw, folder, subject, f"{what} for {name}")]
    assert snapshot(arena.outside) == before
    assert faults == []


@pytest.mark.parametrize("what", ODDITIES)
def test_an_oddity_beside_the_files(what: str, arena: Arena):
    faults = []
    for seed, names in {
        "yolo": ("images/train/b.jpg", "labels/train/b.txt", "b"),
        "coco": ("images/b.jpg", "b.json"),
    }.items():
        for name in names:
            folder = arena.new_case()
            raw = seeds.write(SEEDS[seed], folder / "raw")
            ODDITIES[what](raw / name, arena.outside)
            subject = Subject("odd files", (Path(name).name,), seed)
            faults += [f"{name}: {fault}" for fault in try_raw(raw, folder, subject, f"{what} for {name}")]
    assert faults == []


def test_a_link_to_an_image_elsewhere_is_followed(arena: Arena):
    folder = arena.new_case()
    raw = seeds.write(SEEDS["yolo"], folder / "raw")
    (raw / "images/val/val0.jpg").rename(arena.outside / "kept.jpg")
    (raw / "images/val/val0.jpg").symlink_to(arena.outside / "kept.jpg")
    before = snapshot(arena.outside)
    assert try_raw(raw, folder, Subject("odd files", (), "yolo"), "a link to an image") == []
    assert list((folder / "bundles").rglob("manifest.json"))
    assert snapshot(arena.outside) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", FILES["yolo"])
def test_a_file_nobody_may_read_is_told(name: str, arena: Arena):
    folder = arena.new_case()
    raw = seeds.write(SEEDS["yolo"], folder / "raw")
    (raw / name).chmod(0)
    faults = try_raw(raw, folder, Subject("odd files", (Path(name).name,), "yolo"), f"{name} unreadable")
    (raw / name).chmod(0o700)
    assert faults == []

from __future__ import annotations

import random

import pytest

from fuzz.arena import Arena, Batch, batches
from fuzz.mutations import mutate_bytes
from fuzz.pictures import another_kind, mutate_jpeg, mutate_png
from fuzz.seeds import Files, coco, yolo
from fuzz.trial import Subject, run_batch

JPEGS, PNGS, COCO = yolo(), yolo(".png"), coco()


@pytest.mark.parametrize("batch", batches("JPEG structure", 4), ids=str)
def test_the_structure_of_a_jpeg(batch: Batch, arena: Arena):
    def mutate(rng: random.Random) -> tuple[Files, str]:
        data, said = mutate_jpeg(COCO["images/train0.jpg"], rng)
        return COCO | {"images/train0.jpg": data}, said

    run_batch(batch, arena, Subject(batch.kind, ("train0.jpg",), "coco"), mutate)


@pytest.mark.parametrize("batch", batches("PNG structure", 4), ids=str)
def test_the_structure_of_a_png(batch: Batch, arena: Arena):
    def mutate(rng: random.Random) -> tuple[Files, str]:
        data, said = mutate_png(PNGS["images/val/val0.png"], rng)
        return PNGS | {"images/val/val0.png": data}, said

    run_batch(batch, arena, Subject(batch.kind, ("val0.png",), "yolo"), mutate)


@pytest.mark.parametrize("batch", batches("image bytes", 4), ids=str)
def test_the_bytes_of_an_image(batch: Batch, arena: Arena):
    def mutate(rng: random.Random) -> tuple[Files, str]:
        files, name = rng.choice(((JPEGS, "images/test/test0.jpg"), (PNGS, "images/test/test0.png")))
        data, said = mutate_bytes(files[name], rng)
        return files | {name: data}, said

    run_batch(batch, arena, Subject(batch.kind, ("test0.",)), mutate)


@pytest.mark.parametrize("batch", batches("mislabelled images", 1), ids=str)
def test_an_image_of_another_kind_than_its_name_says(batch: Batch, arena: Arena):
    def mutate(rng: random.Random) -> tuple[Files, str]:
        data, said = another_kind(rng)
        return JPEGS | {"images/train/train0.jpg": data}, said

    run_batch(batch, arena, Subject(batch.kind, ("train0.jpg",), "yolo"), mutate)

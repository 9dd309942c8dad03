from __future__ import annotations

import random

import pytest

from fuzz.arena import Arena, Batch, batches
from fuzz.mutations import mutate_bytes, mutate_text
from fuzz.seeds import Files, yolo, yolo_lists
from fuzz.trees import mutate_yaml
from fuzz.trial import Subject, run_batch

YOLO, LISTS = yolo(), yolo_lists()
ANY = ("data.yaml", ".txt", ".jpg")


@pytest.mark.parametrize("batch", batches("yolo label rows", 8), ids=str)
def test_label_rows(batch: Batch, arena: Arena):
    def mutate(rng: random.Random) -> tuple[Files, str]:
        name = f"labels/{rng.choice(('train/train0', 'val/val0'))}.txt"
        data, said = mutate_text(YOLO[name], rng)
        return YOLO | {name: data}, said

    run_batch(batch, arena, Subject(batch.kind, ("train0.", "val0."), "yolo"), mutate)


@pytest.mark.parametrize("batch", batches("yolo data.yaml, tree", 6), ids=str)
def test_data_yaml_as_a_tree(batch: Batch, arena: Arena):
    def mutate(rng: random.Random) -> tuple[Files, str]:
        files = rng.choice((YOLO, LISTS))
        data, said = mutate_yaml(files["data.yaml"], rng, str(arena.outside))
        return files | {"data.yaml": data}, said

    run_batch(batch, arena, Subject(batch.kind, ANY, "yolo"), mutate)


@pytest.mark.parametrize("batch", batches("yolo data.yaml, text", 4), ids=str)
def test_data_yaml_as_text(batch: Batch, arena: Arena):
    def mutate(rng: random.Random) -> tuple[Files, str]:
        files = rng.choice((YOLO, LISTS))
        data, said = rng.choice((mutate_text, mutate_bytes))(files["data.yaml"], rng)
        return files | {"data.yaml": data}, said

    run_batch(batch, arena, Subject(batch.kind, ANY, "yolo"), mutate)


@pytest.mark.parametrize("batch", batches("yolo list files", 2), ids=str)
def test_list_files(batch: Batch, arena: Arena):
    def mutate(rng: random.Random) -> tuple[Files, str]:
        data, said = mutate_text(LISTS["train.txt"] * rng.choice((1, 3)), rng)
        return LISTS | {"train.txt": data}, said

    run_batch(batch, arena, Subject(batch.kind, ("train.txt", "train0")), mutate)

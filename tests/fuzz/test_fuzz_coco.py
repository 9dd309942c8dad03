from __future__ import annotations

import json
import random

import pytest

from fuzz.arena import Arena, Batch, batches
from fuzz.mutations import mutate_bytes, mutate_text
from fuzz.seeds import Files, coco
from fuzz.trees import mutate_json
from fuzz.trial import Subject, run_batch

COCO = coco()
NAMES = tuple(f"annotations/instances_{split}.json" for split in ("train", "val"))


@pytest.mark.parametrize("batch", batches("coco JSON, tree", 10), ids=str)
def test_coco_as_a_tree(batch: Batch, arena: Arena):
    def mutate(rng: random.Random) -> tuple[Files, str]:
        name = rng.choice(NAMES)
        data, said = mutate_json(COCO[name], rng, str(arena.outside))
        return COCO | {name: data}, said

    run_batch(batch, arena, Subject(batch.kind, ("instances_", ".jpg"), "coco"), mutate)


@pytest.mark.parametrize("batch", batches("coco JSON, text", 4), ids=str)
def test_coco_as_text(batch: Batch, arena: Arena):
    def mutate(rng: random.Random) -> tuple[Files, str]:
        name = rng.choice(NAMES)
        lines = json.dumps(json.loads(COCO[name]), indent=1).encode()
        data, said = rng.choice((mutate_text, mutate_bytes))(lines, rng)
        return COCO | {name: data}, said

    run_batch(batch, arena, Subject(batch.kind, ("instances_", ".jpg"), "coco"), mutate)

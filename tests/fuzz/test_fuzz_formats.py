"""Every format's documents, tables, masks and images, mutated: prepared and staged, or refused in words."""

from __future__ import annotations

import random

import pytest

from fuzz.any_format import KINDS, SEEDS, mutated
from fuzz.arena import Arena, Batch, batches
from fuzz.trial import Subject, try_files

BATCHES = [batch for kind, one in KINDS.items() for batch in batches(kind, one.tests)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("is_named", [True, False], ids=["named", "detected"])
def test_a_seed_is_accepted(seed: str, is_named: bool, arena: Arena):
    files, format_name, classes = SEEDS[seed]
    subject = Subject("seeds", (), format_name if is_named else None, classes)
    assert try_files(files, arena, subject, seed) == []
    assert list((arena.root / "case/bundles").rglob("manifest.json"))


@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_a_file_of_the_format(batch: Batch, arena: Arena):
    _, format_name, classes = SEEDS[KINDS[batch.kind].seed]

    def case(rng: random.Random) -> tuple[str, list[str]]:
        made = mutated(batch.kind, rng, str(arena.outside))
        asked = format_name if rng.random() < 0.7 else None
        subject = Subject(batch.kind, made.culprits, asked, classes, may_leave=format_name == "yolo")
        return made.said, try_files(made.files, arena, subject, made.said)

    arena.run(batch, case)

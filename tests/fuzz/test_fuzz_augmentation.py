"""Augmentation files, mutated: all mistakes told at once, or a list that albumentations takes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fuzz import cage
from fuzz.arena import Arena, Batch, batches
from fuzz.mutations import mutate_text
from fuzz.tally import TALLY
from fuzz.trees import mutate_yaml
from fuzz.trial import vagueness
from segsweep.dataset.augmentation.augment import load_augmentation

SHIPPED = sorted((Path(__file__).parents[2] / "jobs" / "augment").glob("*.yaml"))


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Albumentations is imported by the first file that needs it, in seconds."""
    for path in SHIPPED:
        load_augmentation(path)


@pytest.mark.parametrize("batch", batches("augmentation files", 6), ids=str)
def test_augmentation_files(batch: Batch, arena: Arena):
    def case(rng: random.Random) -> tuple[str, list[str]]:
        data = rng.choice(SHIPPED).read_bytes()
        if rng.random() < 0.7:
            data, said = mutate_yaml(data, rng, str(arena.outside))
        else:
            data, said = mutate_text(data, rng)
        folder = arena.new_case()
        path = folder / "augment.yaml"
        path.write_bytes(data)
        result = cage.run(lambda: load_augmentation(path), folder)
        faults = list(result.faults)
        if result.refusal is not None:
            faults += vagueness(result.refusal, (path.name,), str(folder))
        outcome = "fault" if faults else "refused" if result.refusal is not None else "unharmed"
        TALLY.add(batch.kind, said, outcome, result.seconds)
        return said, faults

    arena.run(batch, case)

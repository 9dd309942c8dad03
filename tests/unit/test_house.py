"""Promises of the house: one cv2, pinned versions, documents whose links resolve."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distributions, version
from pathlib import Path

import pytest
import yaml

from segsweep.config.job import load_job
from segsweep.config.search_space import load_search_space
from segsweep.dataset.augmentation.augment import load_augmentation
from segsweep.dataset.augmentation.transforms import albumentations
from segsweep.sweep.check import augmentation_problems

albumentations()  # imported with this file: it takes longer than a test may

REPO = Path(__file__).parents[2]


def test_exactly_one_cv2_is_installed() -> None:
    owners = {d.metadata["Name"] for d in distributions() if d.metadata["Name"].startswith("opencv")}
    assert owners == {"opencv-python-headless"}


def test_what_is_installed_is_what_is_pinned() -> None:
    pins = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", (REPO / "constraints.txt").read_text(), re.MULTILINE))
    for package in (
        "torch",
        "torchvision",
        "ray",
        "hyperopt",
        "albumentations",
        "ultralytics-opencv-headless",
        "numpy",
    ):
        assert version(package) == pins[package]


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    names = {re.split(r"[\[<>=! ]", dependency)[0].lower() for dependency in wanted}
    pins = {line.split("==")[0].lower() for line in (REPO / "constraints.txt").read_text().splitlines() if "==" in line}
    assert names <= pins


@pytest.mark.parametrize("path", sorted((REPO / "jobs").glob("*.yaml")), ids=lambda path: path.name)
def test_a_shipped_job_loads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO)
    assert load_job(path).job.name == path.stem


@pytest.mark.parametrize("path", sorted((REPO / "search_spaces").glob("*.yaml")), ids=lambda path: path.name)
def test_a_shipped_search_space_loads_and_is_spelled_as_it_is_kept(path: Path) -> None:
    assert load_search_space(path).to_flat() == yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", sorted((REPO / "jobs" / "augment").glob("*.yaml")), ids=lambda path: path.name)
def test_a_shipped_augmentation_loads_and_albumentations_takes_it(path: Path) -> None:
    assert load_augmentation(path).file.online


def test_the_shipped_space_of_transforms_fits_the_file_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPO)
    sets = ("augment=jobs/augment/photographs.yaml", "search_space=search_spaces/albumentations.yaml")
    job = load_job(REPO / "jobs" / "demo.yaml", sets)
    assert augmentation_problems(job) == []
    assert job.default_of("n") is not None  # the default trial lies inside


@pytest.mark.parametrize(
    "path",
    [*REPO.glob("*.md"), *(REPO / "docs").rglob("*.md"), REPO / "benchmarks" / "README.md"],
    ids=lambda p: p.name,
)
def test_links_in_a_document_resolve(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    missing = [target for target in targets if "://" not in target and not (path.parent / target).exists()]
    assert not missing

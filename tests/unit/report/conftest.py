"""Facts of a made-up run, built once, and the places its parts live in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fake_run import FEW_TRIALS, fake_tools, write_fake_copy, write_fake_run
from segsweep.report.bench import ReportOptions
from segsweep.report.build import Study, open_study
from segsweep.report.facts import Facts


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The made-up run, opened; n, s and m are its front, the knee is s."""
    folder = tmp_path_factory.mktemp("study")
    write_fake_run(folder / "runs" / "demo")
    tools = fake_tools(write_fake_copy(folder / "copy"))
    return open_study(str(folder / "runs" / "demo"), folder / "cache", ReportOptions(threads=2), tools)


@pytest.fixture(scope="session")
def facts(study: Study) -> Facts:
    return study.facts()


@pytest.fixture(scope="session")
def facts_of_precisions(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """The made-up run in three precisions: fp16 changes nothing, int8 costs 0.02 and takes 0.6 of the time."""
    folder = tmp_path_factory.mktemp("precisions")
    write_fake_run(folder / "runs" / "demo")
    tools = fake_tools(write_fake_copy(folder / "copy"))
    options = ReportOptions(threads=2, precisions=("fp32", "fp16", "int8"))
    return open_study(str(folder / "runs" / "demo"), folder / "cache", options, tools).facts()


@pytest.fixture(scope="session")
def few_trials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `FEW_TRIALS`, to be copied: a store's writes wait for the disk."""
    folder = tmp_path_factory.mktemp("few")
    write_fake_run(folder / "runs" / "demo", FEW_TRIALS)
    write_fake_copy(folder / "copy")
    return folder


@pytest.fixture
def places(tmp_path: Path, few_trials: Path) -> Path:
    """A folder of one's own with a made-up run at `runs/demo` and its dataset at `copy`; `cache` is free."""
    shutil.copytree(few_trials, tmp_path / "places")
    return tmp_path / "places"

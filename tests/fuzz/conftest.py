"""The arena that fuzz cases run in, and the summary of what they met."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz.arena import Arena, make_arena
from fuzz.tally import TALLY


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("timeout") is None:
            # The cage keeps its own time by SIGALRM; this is for what cannot be interrupted.
            item.add_marker(pytest.mark.timeout(120, method="thread"))


@pytest.fixture(autouse=True)
def _silent(caplog: pytest.LogCaptureFixture) -> None:
    """What was repaired is logged, thousands of times."""
    caplog.set_level(logging.CRITICAL, logger="segsweep")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TALLY.outcomes:
        terminalreporter.section("fuzz")
        for line in TALLY.lines():
            terminalreporter.write_line(line)


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    """Where cases run; what lies beside it stays as it is."""
    root = tmp_path / "arena"
    root.mkdir()
    (tmp_path / "canary").write_text("alive")
    before = sorted(tmp_path.iterdir())
    yield make_arena(root)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "canary").read_text() == "alive"

"""What a page tells to type must be what the commands take."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from segsweep.cli import _parser
from segsweep.config.job import load_job
from segsweep.dataset.formats.cityscapes_labels import EVALUATED

REPO = Path(__file__).parents[2]
PAGE = REPO / "docs" / "cityscapes.md"


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("segsweep ")]


def test_the_page_leads_from_looking_to_a_model():
    names = [command.split()[1] for command in commands()]
    assert list(dict.fromkeys(names)) == [
        "inspect",
        "prepare",
        "check",
        "sweep",
        "status",
        "report",
        "export",
        "evaluate",
    ]


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_cityscapes_page_is_taken(command: str, monkeypatch: pytest.MonkeyPatch):
    args = vars(_parser().parse_args(shlex.split(command, comments=True)[1:]))
    if isinstance(args.get("job"), Path):
        monkeypatch.chdir(REPO)
        job = load_job(args["job"], tuple(args["sets"])).job
        assert args["job"].name == "cityscapes.yaml"
        assert job.dataset == "build/bundles/cityscapes"  # where `prepare` of this page puts it


def test_the_page_names_the_classes_that_are_read():
    assert ", ".join(EVALUATED) in PAGE.read_text().replace("\n", " ")

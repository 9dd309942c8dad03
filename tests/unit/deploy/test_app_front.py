from __future__ import annotations

import pytest

from fake_run import fake_tools, write_fake_copy, write_fake_run
from segsweep.deploy import app_front
from segsweep.deploy.app_front import offer_run
from segsweep.errors import ReportError


@pytest.fixture
def tools(places):
    return lambda calls: fake_tools(write_fake_copy(places / "copy"), calls)


def test_the_front_is_offered_fastest_first_with_its_figures_and_the_knee_chosen(places, tools, monkeypatch):
    monkeypatch.setattr(app_front, "_EXAMPLES", 2)
    offer = offer_run(str(places / "runs" / "demo"), places / "cache", tools([]))
    assert [model.label for model in offer.models] == [
        "n · mAP50-95 0.330 · 8.0 ms · t0004",
        "s · mAP50-95 0.450 · 12.0 ms · t0006",
        "m · mAP50-95 0.470 · 31.0 ms · t0008",
    ]
    assert offer.first.startswith("s ")
    assert all(model.path.is_file() for model in offer.models)
    assert [path.name for path in offer.examples] == ["scene0.jpg", "scene1.jpg"]


def test_what_was_measured_and_exported_once_is_used_again(places, tools):
    uri, calls = str(places / "runs" / "demo"), []
    first = offer_run(uri, places / "cache", tools(calls))
    assert sum(call.startswith("export") for call in calls) == 4
    calls.clear()
    assert offer_run(uri, places / "cache", tools(calls)) == first
    assert calls == []


def test_a_run_without_finished_trials_is_told(tmp_path, tools):
    write_fake_run(tmp_path / "demo", ())
    with pytest.raises(ReportError, match="there is nothing to report yet"):
        offer_run(str(tmp_path / "demo"), tmp_path / "cache", tools([]))

"""Rounds to figures."""

import json
from dataclasses import asdict, replace

import pytest

from segsweep.inference.timings import Latency, LatencyPlan, Percentiles, Round, pool

PLAN = LatencyPlan(threads=2, rounds=2)


def round_of(*totals_ms: float, others: float | None = 0.0) -> Round:
    """A round whose samples are half forward, a quarter each before and after."""
    rows = tuple((total / 4, total / 2, total / 4) for total in totals_ms)
    return Round(rows, (64, 96), "1.31.1", "CPUExecutionProvider", 0.5, 0.75, others)


def test_percentiles_are_taken_over_the_samples_of_all_rounds():
    latency = pool([round_of(*range(1, 51)), round_of(*range(51, 102))], PLAN)
    assert latency.total == Percentiles(p50=51.0, p90=91.0, p99=100.0)
    assert latency.stages["forward"] == Percentiles(p50=25.5, p90=45.5, p99=50.0)
    assert latency.samples == 101
    assert latency.round_p50_ms == (25.5, 76.0)


def test_conditions_come_along():
    latency = pool([round_of(1.0), replace(round_of(1.0), load_before=9.0, load_after=1.5)], PLAN)
    assert (latency.canvas, latency.batch, latency.threads) == ((64, 96), 1, 2)
    assert (latency.runtime, latency.runtime_version) == ("onnxruntime", "1.31.1")
    assert (latency.load_before, latency.load_after) == (0.5, 1.5)


@pytest.mark.parametrize(
    ("others", "worst", "quiet"),
    [((0.0, 0.1), 0.1, True), ((0.25, 0.0), 0.25, True), ((0.0, 0.3), 0.3, False), ((None, None), None, True)],
)
def test_the_worst_round_decides_whether_it_was_quiet(others, worst, quiet):
    latency = pool([round_of(1.0, others=value) for value in others], PLAN)
    assert (latency.others_cpus, latency.is_quiet) == (worst, quiet)


def test_a_latency_survives_json():
    latency = pool([round_of(1.0, 2.0)], PLAN)
    assert Latency.from_json(json.loads(json.dumps(latency.to_json()))) == latency


def test_a_round_survives_json():
    measured = round_of(1.0, 2.0, others=None)
    assert Round.from_json(json.loads(json.dumps(asdict(measured)))) == measured

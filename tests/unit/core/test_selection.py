"""The choice of one model, and what an impossible one says."""

import math

import pytest

from segsweep.core.selection import Candidate, Choice, choose
from segsweep.errors import ConfigError, ExportError

N = Candidate("t0001", "n", 0.30, 10.0)
S = Candidate("t0004", "s", 0.40, 14.0)
M = Candidate("t0007", "m", 0.42, 60.0)
FINALISTS = (N, S, M)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(trial_id="t0001"), N),
        (Choice(variant="m"), M),
        (Choice(max_latency_ms=60.0), M),
        (Choice(max_latency_ms=59.9), S),
        (Choice(max_latency_ms=math.inf), M),
        (Choice(), S),
    ],
)
def test_a_choice_means_one_model(choice, expected):
    assert choose(FINALISTS, choice) == expected


def test_of_two_equally_accurate_models_the_faster_is_taken():
    assert choose(
        [Candidate("slow", "m", 0.3, 20.0), Candidate("fast", "n", 0.3, 10.0)], Choice(max_latency_ms=30.0)
    ).trial_id == ("fast")


def test_a_model_without_a_measured_latency_is_never_fast_enough():
    unmeasured = Candidate("t0009", "x", 0.9, math.nan)
    assert choose([unmeasured, N], Choice(max_latency_ms=1000.0)) == N


def test_an_impossible_limit_names_the_nearest_models_fastest_first():
    with pytest.raises(ExportError) as caught:
        choose(FINALISTS, Choice(max_latency_ms=5))
    assert str(caught.value) == (
        "export: --max-latency-ms = 5: no model is that fast (nearest: "
        "t0001 (n): mask mAP50-95 0.300, 10.0 ms an image; t0004 (s): mask mAP50-95 0.400, 14.0 ms an image; "
        "t0007 (m): mask mAP50-95 0.420, 60.0 ms an image)"
    )
    assert caught.value.exit_code == 4


def test_a_size_that_is_not_there_names_the_sizes_that_are_most_accurate_first():
    with pytest.raises(ExportError, match=r"--variant = x: no trial of this size .*nearest: t0007 \(m\).*t0004.*t0001"):
        choose(FINALISTS, Choice(variant="x"))


def test_an_unknown_trial_names_those_that_are_there():
    with pytest.raises(ExportError, match=r"--trial = t9: .*nearest: t0007"):
        choose(FINALISTS, Choice(trial_id="t9"))


def test_without_any_candidate_the_message_says_where_to_look():
    with pytest.raises(ExportError, match="segsweep status"):
        choose([], Choice())


def test_two_wishes_at_once_are_refused():
    with pytest.raises(ConfigError, match="variant, max_latency_ms: choose by one"):
        Choice(variant="n", max_latency_ms=5.0)


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan])
def test_a_limit_that_is_no_latency_is_refused(limit):
    with pytest.raises(ConfigError, match="--max-latency-ms"):
        Choice(max_latency_ms=limit)

"""A trial's record survives JSON, and what is none is refused."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import a_trial, quick
from segsweep.core.trials import Status, TrialRecord

FINITE = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text("abc_0é", min_size=1, max_size=4)


@quick
@given(
    params=st.dictionaries(NAMES, st.one_of(FINITE, st.integers(), NAMES, st.booleans())),
    unit=st.none() | st.dictionaries(NAMES, st.floats(0, 1)),
    rungs=st.dictionaries(st.integers(1, 1000), FINITE),
    status=st.sampled_from(Status),
    value=st.none() | FINITE,
    seconds=st.floats(0, 1e9),
)
def test_a_record_survives_json_exactly(params, unit, rungs, status, value, seconds):
    record = a_trial(
        7, "x", params=params, unit=unit, rungs=rungs, status=status, mask_map50_95=value, seconds=seconds, gpus=0.25
    )
    there = TrialRecord.from_json(json.loads(json.dumps(record.to_json())))
    assert there == record
    assert [type(value) for value in there.params.values()] == [type(value) for value in params.values()]


def test_a_rung_that_is_nan_survives_json():
    there = TrialRecord.from_json(json.loads(json.dumps(a_trial(rungs={3: math.nan}).to_json())))
    assert list(there.rungs) == [3]
    assert math.isnan(there.rungs[3])


def test_keys_of_a_newer_schema_are_ignored():
    record = a_trial()
    assert TrialRecord.from_json({**record.to_json(), "mood": "good"}) == record


@pytest.mark.parametrize(
    ("foreign", "error"),
    [
        ({}, KeyError),
        ([], KeyError),
        (None, TypeError),
        (7, TypeError),
        ({"status": "PENDING"}, KeyError),
        ({"status": "DONE", "rungs": {}}, ValueError),
        ({"status": "PENDING", "rungs": {}}, TypeError),
        ({**a_trial().to_json(), "rungs": [1, 2]}, TypeError),
        ({**a_trial().to_json(), "rungs": {"one": 0.5}}, ValueError),
        ({**a_trial().to_json(), "rungs": {"1": None}}, TypeError),
        ({**a_trial().to_json(), "variant": "q"}, ValueError),
        ({**a_trial().to_json(), "number": "1"}, TypeError),
        ({**a_trial().to_json(), "epoch": None}, TypeError),
    ],
)
def test_what_is_no_record_is_refused(foreign, error):
    with pytest.raises(error):
        TrialRecord.from_json(foreign)


def test_completed_stopped_and_failed_trials_are_final():
    assert {status for status in Status if status.is_final} == {Status.COMPLETED, Status.STOPPED, Status.FAILED}


def test_a_record_of_an_earlier_version_has_the_gpu_time_of_all_its_seconds():
    data = a_trial(seconds=120.0, gpus=0.25).to_json()
    del data["gpu_seconds"], data["failure"]
    record = TrialRecord.from_json(data)
    assert (record.gpu_seconds, record.failure) == (30.0, "")

"""Who is judged, and what is said when nobody can be."""

from dataclasses import replace

import pytest

from segsweep.core.trials import Status, TrialRecord
from segsweep.errors import ReportError
from segsweep.report.finalists import MissingVariant, find_contenders, require_contenders

DONE = TrialRecord("t1", 1, "n", {}, None, False, "n-t1", Status.COMPLETED, mask_map50_95=0.3)


def trial(number: int, **changes) -> TrialRecord:
    return replace(DONE, trial_id=f"t{number}", number=number, **changes)


def test_the_best_completed_trial_of_every_size_contends_with_its_default():
    trials = [
        trial(1, is_default=True),
        trial(2, mask_map50_95=0.5),
        trial(3, mask_map50_95=0.9, status=Status.STOPPED),
        trial(4, mask_map50_95=0.4, variant="s"),
    ]
    contenders, missing = find_contenders(trials, ["n", "s"])
    assert [(c.best.trial_id, c.default and c.default.trial_id) for c in contenders] == [("t2", "t1"), ("t4", None)]
    assert missing == ()


def test_of_equal_trials_the_earlier_contends():
    contenders, _ = find_contenders([trial(1), trial(2)], ["n"])
    assert contenders[0].best.trial_id == "t1"


def test_a_default_that_was_not_trained_to_the_end_is_no_yardstick():
    contenders, _ = find_contenders([trial(1, is_default=True, status=Status.STOPPED), trial(2)], ["n"])
    assert contenders[0].default is None


def test_the_default_may_be_the_best():
    contenders, _ = find_contenders([trial(1, is_default=True)], ["n"])
    assert contenders[0].best is contenders[0].default


@pytest.mark.parametrize(
    ("trials", "reason"),
    [
        ([], "none was started"),
        ([trial(1, status=Status.STOPPED), trial(2, status=Status.FAILED)], "1 STOPPED, 1 FAILED"),
        ([trial(1, mask_map50_95=None)], "1 COMPLETED, without a finite accuracy"),
        ([trial(1, mask_map50_95=float("nan"))], "1 COMPLETED, without a finite accuracy"),
    ],
)
def test_a_size_without_a_finalist_says_why(trials, reason):
    assert find_contenders(trials, ["n"]) == ((), (MissingVariant("n", reason),))


def test_nothing_to_report_names_every_size_and_how_to_go_on():
    with pytest.raises(ReportError) as caught:
        require_contenders("runs/demo", (), (MissingVariant("n", "1 STOPPED"), MissingVariant("s", "none was started")))
    said = str(caught.value).splitlines()
    assert said[0] == "runs/demo: no trial of size n was trained to the end: 1 STOPPED"
    assert said[1] == "runs/demo: no trial of size s was trained to the end: none was started"
    assert "segsweep sweep" in said[2]
    assert caught.value.exit_code == 4

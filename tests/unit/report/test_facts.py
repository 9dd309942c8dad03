"""The facts of the made-up run, worked out by hand."""

import json

import pytest

from segsweep.report.facts import candidates


def test_finalists_gains_front_and_knee_are_those_of_the_run(facts):
    found = [(one.variant, one.trial_id, one.default_trial, one.on_front) for one in facts.finalists]
    assert found == [
        ("n", "t0004", "t0001", True),
        ("s", "t0006", "t0002", True),
        ("m", "t0008", "t0003", True),
        ("l", "t0009", None, False),
    ]
    gains = [one.gain_over_default for one in facts.finalists]
    assert gains[:3] == pytest.approx([0.05, 0.08, 0.06])
    assert gains[3] is None
    assert [one.trial_id for one in facts.front] == ["t0004", "t0006", "t0008"]
    assert facts.knee == "t0006"


def test_the_hypervolume_is_the_area_under_the_front_to_the_stated_reference(facts):
    assert facts.reference_point == (0.0, pytest.approx(1.1 * 58.0))
    expected = 0.33 * (12 - 8) + 0.45 * (31 - 12) + 0.47 * (63.8 - 31)
    assert facts.hypervolume == pytest.approx(expected, abs=1e-9)


def test_the_json_holds_what_others_build_on(facts):
    data = json.loads(facts.to_bytes())
    assert data["schema"] == 1
    assert {"run", "dataset_digest", "device", "protocol", "trials", "finalists", "front", "knee"} <= data.keys()
    assert {"hypervolume", "reference_point"} <= data.keys()
    assert data["front"] == ["t0004", "t0006", "t0008"]
    assert data["knee"] == "t0006"
    assert data["reference_point"] == [0.0, pytest.approx(63.8)]
    [n, *_] = data["finalists"]
    assert {name: n[name] for name in ("trial_id", "variant", "imgsz", "runtime", "precision", "on_front")} == {
        "trial_id": "t0004",
        "variant": "n",
        "imgsz": 96,
        "runtime": "onnxruntime",
        "precision": "fp32",
        "on_front": True,
    }
    assert n["latency_ms"] == {"p50": 8.0, "p90": 9.6, "p99": 12.0}
    assert (n["test_mask_map50_95"], n["test_mask_map50"]) == (0.33, pytest.approx(0.462))


def test_every_trial_is_in_the_json_with_what_became_of_it(facts):
    trials = json.loads(facts.to_bytes())["trials"]
    assert [trial["trial_id"] for trial in trials] == [f"t{number:04d}" for number in range(1, 13)]
    stopped = trials[4]
    assert (stopped["variant"], stopped["status"], stopped["epochs_trained"]) == ("n", "STOPPED", 1)
    assert stopped["params"] == {"lr0": 0.005, "momentum": 0.9}
    assert stopped["mask_map50_95"] == 0.12


def test_a_size_without_a_finalist_is_listed_as_such(facts):
    assert facts.to_json()["variants_without_finalist"] == [{"variant": "x", "reason": "1 STOPPED, 1 FAILED"}]
    assert "x    no finalist: 1 STOPPED, 1 FAILED" in facts.to_text()


def test_the_protocol_says_how_everything_was_measured(facts):
    protocol = facts.to_json()["protocol"]
    assert protocol["accuracy"]["split"] == "test"
    assert (protocol["accuracy"]["conf"], protocol["accuracy"]["nms_iou"], protocol["accuracy"]["max_det"]) == (
        0.001,
        0.7,
        300,
    )
    assert protocol["latency"]["threads"] == 2
    assert "1.1 times" in protocol["reference_point"]


def test_a_terminal_shows_one_line_a_size(facts):
    lines = facts.to_text().splitlines()
    assert lines[0].startswith("demo: 3 of 4 finalists on the front")
    assert lines[4].split() == ["s", "t0006", "0.450", "0.630", "12.0", "14.4", "18.0", "+0.080", "front,", "knee"]


def test_candidates_are_the_finalists_with_test_accuracy_and_p50(facts):
    [n, *_] = candidates([one.judged for one in facts.finalists])
    assert (n.trial_id, n.variant, n.mask_map50_95, n.latency_ms) == ("t0004", "n", 0.33, 8.0)

"""Finalists in further precisions: further points of the chart, beside a front that stays what it was."""

from __future__ import annotations

import csv
import io
import json

import pytest

from fake_run import fake_tools, write_fake_copy
from segsweep.errors import ConfigError
from segsweep.report.bench import ReportOptions
from segsweep.report.build import open_study
from segsweep.report.charts import draw_front, front_figure, latency_limit, steps_of_all
from segsweep.report.page import render_page
from segsweep.report.sections import front_section, precisions_section
from segsweep.report.tables import front_csv


def named(judged):
    return [f"{one.record.variant} {one.exported.precision}" for one in judged]


def test_every_finalist_is_measured_in_every_precision(facts_of_precisions):
    points = [point.judged for point in facts_of_precisions.points]
    assert named(points) == [f"{size} {name}" for name in ("fp16", "int8") for size in "nsml"]
    assert [point.difference for point in facts_of_precisions.points] == pytest.approx([0.0] * 4 + [-0.02] * 4)
    assert {point.exported.calibration_images for point in points} == {0, 2}


def test_front_knee_and_hypervolume_are_those_of_fp32(facts, facts_of_precisions):
    assert [one.trial_id for one in facts_of_precisions.front] == [one.trial_id for one in facts.front]
    assert facts_of_precisions.knee == facts.knee
    assert facts_of_precisions.hypervolume == facts.hypervolume
    assert facts_of_precisions.reference_point == facts.reference_point


def test_the_front_of_all_precisions_is_worked_out_by_hand(facts_of_precisions):
    # n at fp32 falls to s at int8 (0.43 in 7.2 ms), m at int8 (0.45 in 18.6 ms) to s at fp32 (12 ms); ties stay.
    assert named(facts_of_precisions.front_of_all) == [
        *["n int8", "s int8", "s fp32", "s fp16", "m fp32", "m fp16"],
    ]


def test_the_json_and_the_table_keep_what_they_had_and_gain_the_rest(facts, facts_of_precisions):
    data, before = json.loads(facts_of_precisions.to_bytes()), json.loads(facts.to_bytes())
    assert [one["trial_id"] for one in data["finalists"]] == [one["trial_id"] for one in before["finalists"]]
    assert data["front"] == before["front"]
    assert before["further_points"] == []
    [int8] = [one for one in data["further_points"] if (one["variant"], one["precision"]) == ("s", "int8")]
    assert (int8["test_mask_map50_95"], int8["latency_ms"]["p50"]) == (pytest.approx(0.43), pytest.approx(7.2))
    assert int8["difference_to_fp32"] == pytest.approx(-0.02)
    assert {"trial_id": "t0006", "precision": "int8"} in data["front_of_all_precisions"]
    rows = list(csv.DictReader(io.StringIO(front_csv(facts_of_precisions).decode())))
    assert list(rows[0])[-3:] == ["on_front", "knee", "on_front_of_all"]
    assert [row["trial_id"] for row in rows if row["on_front"] == "True"] == before["front"]
    assert len(rows) == 12
    told = {(row["variant"], row["precision"]): row["on_front_of_all"] for row in rows}
    assert (told["n", "fp32"], told["s", "fp32"], told["s", "int8"], told["l", "int8"]) == (
        *("False", "True", "True", "False"),
    )


def test_a_report_in_fp32_alone_has_one_front(facts):
    assert [one.record.trial_id for one in facts.front_of_all] == [one.trial_id for one in facts.front]
    assert steps_of_all(facts) == []
    assert precisions_section(facts) == ""
    assert "dotted" not in front_section(facts)


def test_the_chart_shows_a_marker_for_every_precision(facts_of_precisions):
    figure = front_figure(facts_of_precisions)
    symbols = {trace["name"]: trace["marker"].get("symbol") for trace in figure["data"] if "name" in trace}
    assert (symbols["s"], symbols["s fp16"], symbols["s int8"]) == (None, "diamond", "square")
    [dotted] = [trace for trace in figure["data"] if trace.get("line", {}).get("dash") == "dot"]
    assert (dotted["x"][0], dotted["y"][0]) == (pytest.approx(4.8), 0.0)
    assert figure["layout"]["yaxis"]["range"][0] == pytest.approx(0.31 - 0.16 / 3)  # n at int8 is inside
    assert latency_limit(facts_of_precisions) >= 1.2 * 58.0
    json.dumps(figure, allow_nan=False)


@pytest.mark.slow(reason="draws with matplotlib")
@pytest.mark.timeout(20)
def test_the_picture_differs_from_that_of_fp32_alone(facts, facts_of_precisions):
    assert draw_front(facts_of_precisions) != draw_front(facts)


def test_the_page_and_the_terminal_tell_them(facts_of_precisions):
    html = render_page(facts_of_precisions, {}, {}).decode()
    assert "<h2>Precisions</h2>" in html
    assert "calibrated on 2 train images" in html
    assert "int8 squares; the dotted line is the front of all precisions" in html
    lines = facts_of_precisions.to_text().splitlines()
    assert sum(line.endswith("int8, front of all precisions") for line in lines) >= 2


def test_an_unknown_precision_is_refused_before_anything_is_measured(places):
    calls = []
    tools = fake_tools(write_fake_copy(places / "copy"), calls)
    options = ReportOptions(precisions=("fp32", "int4"))
    study = open_study(str(places / "runs" / "demo"), places / "cache", options, tools)
    with pytest.raises(ConfigError, match=r"--precision: int4: must be among fp32, fp16, int8"):
        study.facts()
    assert calls == []

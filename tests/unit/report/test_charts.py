"""What the charts show, as data."""

import json

import pytest

from segsweep.core.metrics import OBJECTIVE
from segsweep.core.theme import FAINT
from segsweep.report.charts import (
    accuracy_range,
    curves_figure,
    draw_front,
    front_figure,
    front_steps,
    gain_figure,
    plotly_js,
)
from segsweep.report.theme import VARIANT_COLOURS


@pytest.fixture(scope="module")
def curves(study):
    return {record.trial_id: study.bench.run.read_metrics(record) for record in study.trials}


def test_the_front_is_a_staircase_from_zero_to_the_end_of_the_axis(facts):
    end = pytest.approx(1.03 * 69.6)  # the slowest whisker lies beyond the reference point
    assert front_steps(facts) == [
        (8.0, 0.0),
        *[(8.0, 0.33), (12.0, 0.33)],
        *[(12.0, 0.45), (31.0, 0.45)],
        *[(31.0, 0.47), (end, 0.47)],
    ]


def test_finalists_are_labelled_by_size_and_dominated_ones_are_grey(facts):
    figure = front_figure(facts)
    points = {trace["name"]: trace for trace in figure["data"] if "name" in trace}
    assert {size: trace["marker"]["color"] for size, trace in points.items()} == {
        "n": VARIANT_COLOURS["n"],
        "s": VARIANT_COLOURS["s"],
        "m": VARIANT_COLOURS["m"],
        "l": FAINT,
    }
    assert [note["text"] for note in figure["layout"]["annotations"]] == [
        "<b>n</b>",
        "<b>s</b>",
        "<b>m</b>",
        "<b>l</b>",
    ]
    assert points["s"]["customdata"][0][-1] == "knee of the front"
    assert points["l"]["customdata"][0][-2:] == ["no default trial to compare", "dominated"]


def test_the_ring_is_around_the_knee(facts):
    ring = front_figure(facts)["data"][1]
    assert (ring["x"], ring["y"]) == ([12.0], [0.45])


def test_gains_go_from_the_default_to_the_best_of_the_sizes_that_have_both(facts):
    lines = {trace["y"][0]: trace["x"] for trace in gain_figure(facts)["data"]}
    assert lines == {
        "n": pytest.approx([0.28, 0.33]),
        "s": pytest.approx([0.37, 0.45]),
        "m": pytest.approx([0.41, 0.47]),
    }


def test_curves_show_every_trial_and_the_rungs(facts, curves):
    figure = curves_figure(facts, curves)
    drawn = {trace["meta"][0]: trace for trace in figure["data"] if "meta" in trace}
    assert len(drawn) == 12
    assert drawn["t0001"]["line"]["dash"] == "dot"
    assert drawn["t0005"]["opacity"] < drawn["t0004"]["opacity"]
    assert drawn["t0012"]["marker"]["symbol"] == "x"
    assert drawn["t0007"]["x"] == [1.0, 2.0, 3.0]
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [1, 3]
    assert [trace["name"] for trace in figure["data"] if trace.get("name")] == ["n", "s", "m", "l", "x"]


def test_a_trial_without_epochs_has_no_curve(facts):
    assert curves_figure(facts, {"t0001": []})["data"] == []
    assert curves_figure(facts, {"t0001": [{"epoch": 1.0}]})["data"] == []
    assert len(curves_figure(facts, {"t0001": [{"epoch": 1.0, OBJECTIVE: 0.1}]})["data"]) == 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.3, 0.6], (0.2, 0.7)), ([0.01], (0.0, 0.06)), ([1.0], (0.95, 1.0)), ([0.0], (0.0, 0.05))],
)
def test_the_accuracy_axis_shows_differences(values, expected):
    assert accuracy_range(values) == pytest.approx(expected)


def test_figures_are_strict_json(facts, curves):
    for figure in (front_figure(facts), gain_figure(facts), curves_figure(facts, curves)):
        json.dumps(figure, allow_nan=False)


@pytest.mark.slow(reason="imports plotly")
@pytest.mark.timeout(60)
def test_plotly_accepts_every_property_of_the_figures(facts, curves):
    from plotly.graph_objects import Figure

    for figure in (front_figure(facts), gain_figure(facts), curves_figure(facts, curves)):
        Figure(figure)  # raises ValueError for a property that does not exist


def test_the_script_is_plotly_itself():
    assert "plotly.js" in plotly_js()[:200]


@pytest.mark.slow(reason="imports matplotlib")
@pytest.mark.timeout(60)
def test_the_picture_is_a_png_and_the_same_facts_give_the_same_bytes(facts):
    picture = draw_front(facts)
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (1600, 1000)
    assert draw_front(facts) == picture

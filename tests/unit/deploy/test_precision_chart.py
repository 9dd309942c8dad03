"""Precision-recall charts: the same bytes for the same curves, and names of any kind."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from segsweep.core.average_precision import RECALLS
from segsweep.deploy.precision_chart import Line, draw_curves

FALLING = [1.0 - recall for recall in RECALLS]


def texts(svg: bytes) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.slow(reason="imports matplotlib")
@pytest.mark.timeout(60)
def test_a_chart_is_a_small_svg_that_names_each_curve_and_its_area():
    svg = draw_curves("Masks, IoU 0.5", [Line("cat", FALLING), Line("", FALLING), Line("mean", [0.25] * 101, True)])
    assert {"Masks, IoU 0.5", "recall", "precision"} <= set(texts(svg))
    assert [text.split() for text in texts(svg) if "0.500" in text or "0.250" in text] == [
        ["cat", "0.500"],
        ["mean", "0.250"],
    ]
    assert len(svg) < 40_000
    assert svg == draw_curves(
        "Masks, IoU 0.5", [Line("cat", FALLING), Line("", FALLING), Line("mean", [0.25] * 101, True)]
    )


@pytest.mark.slow(reason="imports matplotlib")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["_hidden", "a $x^2$", "猫", "<script>", "m" * 300, "bad \udcff"])
def test_names_of_any_kind_are_shown_as_they_are(name):
    shown = "".join(texts(draw_curves("t", [Line(name, FALLING)])))
    expected = name.encode("utf-8", "backslashreplace").decode()
    assert (expected if len(name) < 22 else "mmm...") in shown


@pytest.mark.slow(reason="imports matplotlib")
@pytest.mark.timeout(60)
def test_no_figure_stays_behind():
    import matplotlib.pyplot as plt

    draw_curves("t", [Line("cat", FALLING)])
    assert plt.get_fignums() == []
    assert plt.rcParams["svg.fonttype"] == "path"

"""What the page of an evaluation says, and that nothing on it is fetched."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from segsweep.core.average_precision import OperatingPoint
from segsweep.deploy import evaluation_page
from segsweep.deploy.evaluation import ClassFigures, Curves, Evaluated, EvaluateOptions, Figures, ImageScore
from segsweep.deploy.evaluation_page import render_page
from segsweep.deploy.precision_chart import draw_curves
from segsweep.deploy.second_evaluator import SecondOpinion
from segsweep.deploy.side_by_side import Pair

pytestmark = [pytest.mark.slow(reason="imports matplotlib"), pytest.mark.timeout(60)]

drawn: dict[object, bytes] = {}


@pytest.fixture(autouse=True)
def draw_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most pages here have the same charts, and drawing takes its time."""

    def draw(title, lines):
        key = (title, tuple(lines))
        if key not in drawn:
            drawn[key] = draw_curves(title, lines)
        return drawn[key]

    monkeypatch.setattr(evaluation_page, "draw_curves", draw)


FLAT = Curves((0.5,) * 101, (0.25,) * 101)
SIZES = {"map50_95": 0.3, "map50": 0.5, "map75": 0.2, "map_small": None, "map_medium": 0.11, "map_large": 0.4}


def figures(label: str, **other) -> Figures:
    cat, dog = (ClassFigures(name, 5, 0.5, 0.3, 0.5, 0.3, 0.7, 0.6, 0.7, 0.6, FLAT, FLAT) for name in ("cat", "<dog>"))
    made = Figures(
        **{"label": label, "path": Path("m.onnx"), "sha256": "abc", "imgsz": (64, 64), "remarks": (), "renamed": {}},
        **{"dropped": (), "missed": (), "box_map50": 0.5, "box_map50_95": 0.3, "mask_map50": 0.5},
        **{"mask_map50_95": 0.3, "mask_map50_95_interval": (0.2, 0.4), "box_curves": FLAT, "mask_curves": FLAT},
        **{"operating_point": OperatingPoint(0.42, 0.7, 0.6), "box_operating_point": OperatingPoint(0.4, 0.7, 0.6)},
        **{"box_confusion": ((3, 1, 0), (0, 4, 2), (2, 0, 0)), "mask_confusion": ((7, 1, 0), (0, 4, 2), (2, 0, 0))},
        **{"classes": (cat, dog), "worst": (ImageScore("images/test/a.jpg", 0.1),), "best": ()},
        **{"second": SecondOpinion(SIZES, SIZES), "largest_gap": 0.0},
    )
    return replace(made, **other)


def page(*models: Figures, **other) -> str:
    options = EvaluateOptions(command="segsweep evaluate 'a b'")
    facts = replace(Evaluated("pets-1", "d1", ("cat", "<dog>"), options, 4, 10, models), **other)
    pairs = {one.label: (Pair(b"TRUE", b"FOUND"),) for one in models}
    return render_page(facts, pairs).decode()


def test_the_page_fetches_nothing_and_runs_nothing():
    html = page(figures("n"))
    assert re.findall(r'(?:src|href)="(?!data:)', html) == []
    assert "<script" not in html
    assert "default-src 'none'" in html


def test_names_are_escaped():
    html = page(figures("<b>n</b>"))
    assert "<dog>" not in html
    assert "<b>n</b>" not in html.replace("<b>&lt;b&gt;n&lt;/b&gt;</b>", "")


def test_figures_both_judges_and_the_operating_points_are_told():
    html = page(figures("n"))
    row = html[html.index('<td class="name">n</td>') :]
    cells = re.findall(r'<td class="number">([^<]*)</td>', row[: row.index("</tr>")])
    assert cells == ["64", "0.300", "0.200 to 0.400", "0.300", "0.0000", "0.500", "0.300", "0.500"]
    row = row[row.index("</table>") :]
    cells = re.findall(r'<td class="number">([^<]*)</td>', row[row.index("<tbody>") : row.index("</tbody>")])
    assert cells == ["0.700", "0.600", "0.420", "0.700", "0.600", "0.400", "-", "0.110", "0.400"]


def test_the_best_model_is_named_first_and_marked():
    html = page(figures("weak", mask_map50_95=0.1), figures("strong"))
    assert "Of 2 models, <b>strong</b> is the most accurate" in html
    assert html.count('<tr class="top">') == 2  # in both tables
    assert '<tr class="top"><td class="name">strong</td>' in html


def test_the_matrix_has_predictions_down_truth_across_and_shares_of_columns():
    html = page(figures("n"))
    masks = html[html.index("Masks: predicted down") : html.index("Boxes: predicted down")]
    assert re.findall(r">(\d*)</td>", masks) == ["7", "1", "0", "0", "4", "2", "2", "0", ""]
    assert 'title="cat as cat: 78 %"' in masks
    assert 'title="cat as background: 22 %"' in masks


def test_classes_that_nowhere_occur_are_left_out_of_the_matrix():
    empty = ((3, 0, 1), (0, 0, 0), (2, 0, 0))
    masks = page(figures("n", mask_confusion=empty, box_confusion=empty))
    masks = masks[masks.index("Masks: predicted down") :]
    assert re.findall(r'<th scope="col">([^<]*)', masks[: masks.index("</thead>")]) == ["cat", "background"]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"largest_gap": 0.02}, "The two judges differ by up to 0.0200 on n"),
        ({"remarks": ("does not know lynx: their objects count as missed",)}, "n: does not know lynx"),
    ],
)
def test_what_makes_figures_doubtful_is_said_at_the_top(other, told):
    assert f'<p class="warn">{told}' in page(figures("n", **other))
    assert '<p class="warn">' not in page(figures("n"))


def test_images_that_training_saw_are_named_so():
    assert "training or selection may have seen" in page(figures("n"), options=EvaluateOptions("val"))


def test_a_split_without_objects_has_a_page_as_well():
    nan = float("nan")
    none = figures("n", mask_map50_95=nan, mask_map50=nan, classes=(), worst=())
    html = page(none, objects=0, options=EvaluateOptions(resamples=0))
    assert "there is nothing to find" in html
    assert ">nan" not in re.sub(r"base64,[^\"]*", "", html)


def test_pictures_and_the_command_are_there():
    html = page(figures("n"))
    assert "images/test/a.jpg: F1 0.10" in html
    assert html.index("VFJVRQ==") < html.index("Rk9VTkQ=")  # the truth first
    assert "<pre>segsweep evaluate &#x27;a b&#x27;</pre>" in html

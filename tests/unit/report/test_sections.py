"""The sections of the page."""

from dataclasses import replace

from segsweep.report.sections import (
    classes_section,
    curves_section,
    finalists_section,
    gains_section,
    pictures_section,
    timing_section,
    trials_section,
)


def test_every_size_has_a_row_also_without_a_finalist(facts):
    html = finalists_section(facts)
    assert html.count("<tr") == 1 + 4 + 1
    assert "no finalist: 1 STOPPED, 1 FAILED" in html
    assert html.count('class="badge knee"') == 1


def test_a_gain_is_signed_and_a_missing_one_is_a_dash(facts):
    html = finalists_section(facts)
    assert '<span class="up">+0.080</span>' in html
    assert 'not trained to the end">-</span>' in html


def test_classes_and_errors_are_escaped(facts):
    assert "star &lt;b&gt;" in classes_section(facts)
    assert "CUDA out of memory &lt;script&gt;" in trials_section(facts)


def test_a_single_class_needs_no_table(facts):
    assert classes_section(replace(facts, setting=replace(facts.setting, classes=("cat",)))) == ""


def test_bars_are_drawn_to_one_scale(facts):
    html = timing_section(facts)
    assert 'class="forward" style="width:80.00%"' in html  # l, the slowest
    assert 'class="forward" style="width:11.03%"' in html  # n: 6.4 of 58 ms
    assert "0.8 + 6.4 + 0.8 ms" in html


def test_sections_without_content_are_left_out(facts):
    without = tuple(replace(one, gain_over_default=None) for one in facts.finalists)
    assert gains_section(replace(facts, finalists=without)) == ""
    assert curves_section(facts, {}) == ""
    assert pictures_section(facts, {}) == ""


def test_pictures_are_inside_the_page(facts):
    html = pictures_section(facts, {"t0006": [('a"b', b"jpeg")]})
    assert 'src="data:image/jpeg;base64,anBlZw=="' in html
    assert 'title="a&quot;b"' in html

"""Small pieces of HTML."""

import json
import re

from segsweep.report.markup import chart, number, section, table


def test_text_is_escaped():
    assert section("<a>", "<b>", "<i>") == '<section><h2>&lt;a&gt;</h2><p class="note">&lt;b&gt;</p><i></section>'
    assert number("<1") == '<td class="number">&lt;1</td>'
    assert "<th>&lt;x&gt;</th>" in table(["<x>"], [])


def test_a_figure_cannot_end_its_script_element():
    html = chart("front", {"data": [{"name": "</script><img>"}]})
    [content] = re.findall(r"<script[^>]*>(.*?)</script>", html)
    assert json.loads(content) == {"data": [{"name": "</script><img>"}]}


def test_columns_of_numbers_are_aligned_as_such():
    assert '<th class="number">p50</th>' in table(["#p50"], [])


def test_a_long_table_scrolls():
    assert "tall" not in table(["a"], ["<tr></tr>"] * 14)
    assert "tall" in table(["a"], ["<tr></tr>"] * 15)

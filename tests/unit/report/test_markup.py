"""Small pieces of HTML that only a report has."""

import json
import re

from segsweep.report.markup import chart


def test_a_figure_cannot_end_its_script_element():
    html = chart("front", {"data": [{"name": "</script><img>"}]})
    [content] = re.findall(r"<script[^>]*>(.*?)</script>", html)
    assert json.loads(content) == {"data": [{"name": "</script><img>"}]}

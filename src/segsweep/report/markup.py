"""Pieces of HTML that only a report has; those of every page are in `segsweep.core.markup`."""

from __future__ import annotations

import json

from segsweep.core.variants import Variant
from segsweep.report.charts import Figure
from segsweep.report.theme import VARIANT_COLOURS


def chart(name: str, figure: Figure, height_px: int | None = None) -> str:
    """A figure and the element it is drawn in; the page's script joins them by name."""
    # "<" cannot end the script element, whatever a class or a trial is called.
    data = json.dumps(figure, allow_nan=False).replace("<", "\\u003c")
    kind = "chart" if height_px is None else "chart low"
    style = "" if height_px is None else f' style="--chart-height:{height_px}px"'
    return (
        f'<script type="application/json" id="figure-{name}">{data}</script>'
        f'<div class="{kind}"{style} data-figure="figure-{name}" role="img" aria-label="chart: {name}"></div>'
    )


def size_badge(variant: Variant) -> str:
    """The size's letter on its colour."""
    return f'<span class="size" style="--c:{VARIANT_COLOURS[variant]}">{variant}</span>'

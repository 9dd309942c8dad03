"""Small pieces of HTML that the report is made of. Arguments named `html...` are trusted; all else is escaped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from segsweep.core.variants import Variant
from segsweep.report.charts import Figure
from segsweep.report.theme import VARIANT_COLOURS


def section(title: str, note: str, html: str) -> str:
    """A heading, a line of explanation, and content."""
    told = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{told}{html}</section>"


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


def table(head: Sequence[str], html_rows: Sequence[str]) -> str:
    """A table that scrolls sideways where it must, and up and down when it is long.

    Args:
        head: Column titles; a leading `#` makes a column of numbers.
        html_rows: `<tr>` elements.
    """
    cells = "".join(
        f'<th class="number">{escape(title[1:])}</th>' if title.startswith("#") else f"<th>{escape(title)}</th>"
        for title in head
    )
    kind = "scroll tall" if len(html_rows) > 14 else "scroll"
    body = f"<thead><tr>{cells}</tr></thead><tbody>{''.join(html_rows)}</tbody>"
    return f'<div class="{kind}" tabindex="0"><table>{body}</table></div>'


def number(text: str) -> str:
    """A table cell that is aligned as a number."""
    return f'<td class="number">{escape(text)}</td>'


def size_badge(variant: Variant) -> str:
    """The size's letter on its colour."""
    return f'<span class="size" style="--c:{VARIANT_COLOURS[variant]}">{variant}</span>'

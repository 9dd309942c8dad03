"""Small pieces of HTML that pages are made of. Arguments named `html...` are trusted; all else is escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

# A page may show itself and nothing else; a browser enforces it.
_POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

_LONG_TABLE = 14  # rows


def document(title: str, style: str, html_body: str, html_head: str = "") -> str:
    """A whole page in one file: nothing is fetched, everything is inside.

    Args:
        title: Of the browser's window.
        style: The style sheet.
        html_body: What `<body>` holds.
        html_head: Scripts that `<body>` needs.
    """
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(title)}</title>
<style>{style}</style>
{html_head}</head>
<body>
{html_body}
</body>
</html>
"""


def section(title: str, note: str, html: str) -> str:
    """A heading, a line of explanation, and content."""
    told = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{told}{html}</section>"


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
    kind = "scroll tall" if len(html_rows) > _LONG_TABLE else "scroll"
    body = f"<thead><tr>{cells}</tr></thead><tbody>{''.join(html_rows)}</tbody>"
    return f'<div class="{kind}" tabindex="0"><table>{body}</table></div>'


def number(text: str) -> str:
    """A table cell that is aligned as a number."""
    return f'<td class="number">{escape(text)}</td>'


def definitions(pairs: Mapping[str, str]) -> str:
    """A list of terms and what is said of each."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs.items())
    return f"<dl>{items}</dl>"


def picture(data: bytes, alt: str, title: str = "", media_type: str = "image/jpeg") -> str:
    """A picture inside the page.

    Args:
        data: Its bytes.
        alt: What it shows, for those who do not see it.
        title: Shown when the pointer rests on it; `alt` where absent.
        media_type: What the bytes are.
    """
    text = base64.b64encode(data).decode()
    return f'<img alt="{escape(alt)}" title="{escape(title or alt)}" src="data:{media_type};base64,{text}">'

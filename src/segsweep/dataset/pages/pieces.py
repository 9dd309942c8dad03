"""Pieces of HTML that the pages of a dataset share. Arguments named `html...` are trusted; all else is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from segsweep.core.markup import number, picture, table
from segsweep.dataset.augmentation.preview import Preview

_MOST_BARS = 12
_MOST_PLACES = 4
_LONG = re.compile(r"\S{33,}")  # names that a caption has no room for


def bars(title: str, counts: Sequence[tuple[str, int]]) -> str:
    """A distribution as horizontal bars to one scale, the longest full; those beyond the twelfth are added up."""
    if not counts:
        return ""
    shown = list(counts[:_MOST_BARS])
    rest = counts[_MOST_BARS:]
    if rest:
        shown.append((f"{len(rest)} more", sum(count for _, count in rest)))
    longest = max(1, *(count for _, count in shown))
    rows = "".join(
        f'<span>{escape(label)}</span><div class="bar"><i style="width:{100 * count / longest:.2f}%"></i></div>'
        f"<span>{count:,}</span>"
        for label, count in shown
    )
    return f'<div><h3>{escape(title)}</h3><div class="bars">{rows}</div></div>'


def split_table(
    splits: Sequence[str], totals: Mapping[str, Sequence[int]], classes: Mapping[str, Sequence[int]]
) -> str:
    """Classes by splits, each count with its share of the class.

    Args:
        splits: Columns.
        totals: Rows before the classes, without shares: title -> a count for each split.
        classes: Rows: class -> a count for each split.
    """
    rows = []
    for kind in (totals, classes):
        for title, counts in kind.items():
            total = sum(counts)
            cells = "".join(_counted(count, total if kind is classes else 0) for count in counts)
            rows.append(f"<tr><td>{escape(title)}</td>{cells}{number(f'{total:,}')}</tr>")
    return table(["", *(f"#{name}" for name in splits), "#all"], rows)


def figures(previews: Iterable[Preview], kind: str) -> str:
    """Pictures with captions.

    Args:
        previews: The pictures.
        kind: `sheet` of small squares, `pair` side by side, `strip` one below the other.
    """
    shorten = str if kind == "strip" else _shortened
    shown = "".join(
        f"<figure>{picture(one.jpeg, one.caption)}<figcaption>{escape(shorten(one.caption))}</figcaption></figure>"
        for one in previews
    )
    return f'<div class="{kind}">{shown}</div>' if shown else ""


def places(names: Sequence[str], count: int) -> str:
    """Where something was found, and how many more there are."""
    shown = names[:_MOST_PLACES]
    more = count - len(shown)
    items = [*shown, *([f"and {more:,} more"] if more > 0 and shown else [])]
    return f'<ul class="places">{"".join(f"<li>{escape(name)}</li>" for name in items)}</ul>' if items else ""


def _shortened(caption: str) -> str:
    """The caption with long names cut in their middle; the whole is in the picture's title."""
    return _LONG.sub(lambda found: f"{found[0][:20]}\N{HORIZONTAL ELLIPSIS}{found[0][-9:]}", caption)


def _counted(count: int, total: int) -> str:
    share = f' <span class="share">{count / total:.0%}</span>' if total else ""
    return f'<td class="number">{count:,}{share}</td>'

"""Precision-recall curves as SVG: a few kilobytes that are sharp on any screen."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from segsweep.core.average_precision import RECALLS
from segsweep.core.theme import FAINT, INK, MUTED, PAPER, RULE
from segsweep.errors import MissingExtraError, Problem

# Okabe and Ito, "Color Universal Design" (2008), those that are read on white.
LINE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1f2933")
_DASHES = ("-", "--", ":")
_LONGEST = 22  # of a name, in characters
_COLUMNS = 2  # of the legend


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        name: Told in the legend; faint and not told where empty.
        precision: At each of `RECALLS`, 0-1.
        strong: Whether it is the one to look at.
    """

    name: str
    precision: Sequence[float]
    strong: bool = False

    @property
    def area(self) -> float:
        """Its mean, which is the AP."""
        return sum(self.precision) / len(self.precision)


def draw_curves(title: str, lines: Sequence[Line]) -> bytes:
    """A chart of them, recall to the right, precision up.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: PLC0415  (heavy)
        from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as exc:
        raise MissingExtraError(Problem("matplotlib", "is needed", fix="pip install 'segsweep[train]'")) from exc
    rows = -(-sum(bool(line.name) for line in lines) // _COLUMNS)
    figure = Figure(figsize=(4.8, 4.0 + 0.22 * rows), facecolor=PAPER, layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    told: dict[Any, str] = {}
    for line in lines:
        if not line.name:
            axes.plot(RECALLS, line.precision, color=FAINT, linewidth=0.8, alpha=0.7, zorder=2)
            continue
        turn, colour = divmod(len(told), len(LINE_COLOURS))
        style: dict[str, Any] = (
            {"color": INK, "linewidth": 2.4} if line.strong else {"color": LINE_COLOURS[colour], "linewidth": 1.6}
        )
        dash = _DASHES[turn % len(_DASHES)]
        (drawn,) = axes.plot(RECALLS, line.precision, linestyle=dash, zorder=3, **style)
        told[drawn] = f"{_plain(line.name)}  {line.area:.3f}"
    axes.set_xlim(0.0, 1.005)
    axes.set_ylim(0.0, 1.02)
    axes.set_xlabel("recall", color=MUTED, fontsize=11)
    axes.set_ylabel("precision", color=MUTED, fontsize=11)
    axes.set_title(title, loc="left", color=INK, fontsize=12)
    if told:
        below: dict[str, Any] = {"ncols": _COLUMNS, "frameon": False, "fontsize": 9.5}
        figure.legend(list(told), list(told.values()), loc="outside lower left", **below)
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, length=0, labelsize=10)
    for side in axes.spines.values():
        side.set_visible(False)
    svg = io.BytesIO()
    # Text stays text, so that names in any writing are shown; matplotlib, which only measures them, need not know it.
    how: Any = {"svg.hashsalt": "segsweep", "svg.fonttype": "none"}
    with matplotlib.rc_context(how), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return svg.getvalue()


def _plain(name: str) -> str:
    """A name that is not too long, and not read as a formula."""
    short = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."
    return short.encode("utf-8", "backslashreplace").decode("utf-8").replace("$", r"\$")

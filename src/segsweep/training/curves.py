"""A trial's losses, accuracy and learning rate by epoch, as one picture beside its weights."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segsweep.core.metrics import OBJECTIVE
from segsweep.core.theme import ACCENT, INK, MUTED, PAPER, RULE

_LOSSES = {"box_loss": "box loss", "seg_loss": "mask loss", "cls_loss": "class loss", "dfl_loss": "DFL loss"}
_MAPS = {
    OBJECTIVE: "mask mAP50-95",
    "mask_map50": "mask mAP50",
    "box_map50_95": "box mAP50-95",
    "box_map50": "box mAP50",
}
_COLOURS = (ACCENT, "#d9730d", "#2f6fde", "#c8477e")
_FEW = 12  # epochs, up to which each is marked


@dataclass(frozen=True)
class Line:
    """One curve: a value an epoch, NaN where there is none that can be drawn."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Panel:
    """One chart of the picture, over the epochs, and the corner where its curves leave room for their names."""

    title: str
    lines: tuple[Line, ...]
    legend: str = "upper right"


def panels(rows: Sequence[Mapping[str, float]]) -> tuple[Panel, ...]:
    """What the picture shows, from left to right and from top to bottom.

    Args:
        rows: Of metrics.csv: a loss is there for train and val, learning rates by parameter group; equal ones are
            shown once.
    """

    def line(name: str, column: str) -> Line:
        found = (row.get(column, math.nan) for row in rows)
        return Line(name, tuple(value if math.isfinite(value) else math.nan for value in found))

    losses = [
        Panel(title, (line("train", f"train_{column}"), line("val", f"val_{column}")))
        for column, title in _LOSSES.items()
    ]
    values = tuple(line(name, column) for column, name in _MAPS.items())
    accuracy = Panel("on val, while training", values, "lower right")
    groups = sorted(name for name in (rows[0] if rows else {}) if name.startswith("lr_pg"))
    rates = {one.values: one for one in (line(name.removeprefix("lr_"), name) for name in reversed(groups))}
    return (*losses, accuracy, Panel("learning rate", tuple(reversed(rates.values()))))


def draw_curves(rows: Sequence[Mapping[str, float]], title: str) -> bytes:
    """The picture as PNG, 1800 x 1000 px.

    Args:
        rows: Of metrics.csv, one an epoch, each once.
        title: Above it.
    """
    # Here, for it takes a second, and not through pyplot, which keeps every figure and changes what others draw with.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(14.4, 8), dpi=125, facecolor=PAPER)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.04, right=0.99, bottom=0.07, top=0.89, hspace=0.3, wspace=0.16)
    epochs = [row["epoch"] for row in rows]
    for axes, panel in zip(figure.subplots(2, 3).flat, panels(rows), strict=True):
        for line, colour in zip(panel.lines, _COLOURS, strict=False):
            mark = "o" if len(rows) <= _FEW else ""
            axes.plot(epochs, line.values, color=colour, linewidth=1.8, marker=mark, markersize=4, label=line.name)
        axes.set_title(panel.title, loc="left", color=INK, fontsize=12)
        axes.set_xlim(min(epochs, default=1) - 0.5, max(epochs, default=1) + 0.5)
        axes.set_ylim(bottom=0.0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("epoch", color=MUTED)
        axes.legend(frameon=False, fontsize=10, loc=panel.legend)
        axes.grid(color=RULE, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=MUTED, length=0)
        for side in axes.spines.values():
            side.set_visible(False)
    figure.suptitle(title.replace("$", r"\$"), x=0.01, ha="left", color=INK, fontsize=14)
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()

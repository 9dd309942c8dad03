"""The chart of a comparison: how long each stage takes, one bar a configuration, beside its memory and agreement."""

from __future__ import annotations

import io
from dataclasses import dataclass

from segsweep.core.theme import INK, MUTED, PAPER, RULE
from segsweep.deploy.comparison import STAGES, Comparison, Measured
from segsweep.errors import MissingExtraError, Problem

STAGE_COLOURS = {"read": "#c9d3dd", "prepare": "#9fb3c8", "forward": "#3e6a94", "postprocess": "#d8a657"}
_LONGEST = 48  # of a model's name, in characters


@dataclass(frozen=True)
class Bar:
    """One configuration, ready to be drawn.

    Attributes:
        label: Its model, runtime, precision, input and threads.
        stages_ms: Medians by `STAGES`.
        p50_ms: Of the total, which holds what lies between the stages.
        p90_ms: Of the total.
        note: What is written beside it.
    """

    label: str
    stages_ms: tuple[float, ...]
    p50_ms: float
    p90_ms: float
    note: str


def bars(comparison: Comparison) -> tuple[Bar, ...]:
    """What the chart shows, from top to bottom."""
    return tuple(_bar(one) for one in comparison.measured)


def draw_comparison(comparison: Comparison) -> bytes:
    """The chart as a PNG, 2000 px wide.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  (heavy)
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as exc:
        raise MissingExtraError(Problem("matplotlib", "is needed", fix="pip install 'segsweep[train]'")) from exc
    shown = bars(comparison)
    figure = Figure(figsize=(10, 1.4 + 0.62 * len(shown)), dpi=200, facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    rows = range(len(shown))
    left = [0.0] * len(shown)
    for column, stage in enumerate(STAGES):
        widths = [bar.stages_ms[column] for bar in shown]
        axes.barh(rows, widths, left=left, height=0.56, color=STAGE_COLOURS[stage], label=stage, zorder=2)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    for row, bar in enumerate(shown):
        axes.plot([bar.p50_ms, bar.p90_ms], [row, row], color=INK, linewidth=1.2, zorder=3)
        axes.plot([bar.p50_ms], [row], marker="|", markersize=11, markeredgewidth=1.6, color=INK, zorder=3)
        end = max(bar.p90_ms, left[row])
        axes.annotate(
            bar.note, (end, row), xytext=(7, 0), textcoords="offset points", va="center", color=INK, fontsize=8
        )
    axes.set_yticks(rows, [_plain(bar.label) for bar in shown], color=INK, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.45 * max((max(bar.p90_ms, sum(bar.stages_ms)) for bar in shown), default=1.0))
    axes.set_xlabel("ms an image: medians of the stages; the line is the total, p50 to p90", color=MUTED)
    axes.set_title(f"{len(comparison.images)} images on {_plain(str(comparison.machine))}", loc="left", color=INK)
    axes.legend(loc="lower left", bbox_to_anchor=(0, -0.02), bbox_transform=figure.transFigure, ncols=4, frameon=False)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()


def _bar(one: Measured) -> Bar:
    name = one.model if len(one.model) <= _LONGEST else f"...{one.model[3 - _LONGEST :]}"
    share = None if one.agreement is None else one.agreement.matched_share
    notes = [f"{one.ms['total'].p50:.1f} ms", f"{one.peak_memory_bytes / 1e6:.0f} MB"]
    notes += [] if share is None else [f"{100 * share:.0f} % same"]
    threads = f"{one.threads} thread{'s' if one.threads > 1 else ''}"
    return Bar(
        label=f"{name}\n{one.runtime}, {one.precision}, {max(one.canvas)} px, {threads}",
        stages_ms=tuple(one.ms[stage].p50 for stage in STAGES),
        p50_ms=one.ms["total"].p50,
        p90_ms=one.ms["total"].p90,
        note=", ".join([*notes, *one.flags]),
    )


def _plain(text: str) -> str:
    """Text that is not read as a formula, and that can be drawn."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("$", r"\$")

"""Charts of a report: figures as plain data for plotly.js, and the front as a PNG.

A figure is the mapping `{"data": [...], "layout": {...}}` of https://plotly.com/javascript/reference/; nothing is drawn
here but the PNG.
"""

from __future__ import annotations

import importlib.resources
import io
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from segsweep.core.metrics import OBJECTIVE
from segsweep.core.theme import ACCENT, FAILURE, FAINT, FONT, INK, MUTED, PAPER, RULE
from segsweep.core.trials import Status, TrialRecord
from segsweep.core.variants import VARIANTS, Variant
from segsweep.errors import MissingExtraError, Problem
from segsweep.inference.forms import FP16, INT8
from segsweep.report.facts import Facts, Finalist, Judged, Point
from segsweep.report.theme import VARIANT_COLOURS

Figure = dict[str, Any]
Curves = Mapping[str, Sequence[Mapping[str, float]]]

LATENCY_TITLE = "latency, ms an image (p50, whisker to p90)"
ACCURACY_TITLE = "mask mAP50-95 on test"
# Of points that are not fp32, which are circles: plotly's name, matplotlib's, and what it looks like.
PRECISION_MARKERS = {FP16: ("diamond", "D", "diamonds"), INT8: ("square", "s", "squares")}


def plotly_js() -> str:
    """The source of plotly.js, to be inlined.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    try:
        script = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
        return script.read_text(encoding="utf-8")
    except (ModuleNotFoundError, FileNotFoundError) as exc:
        raise MissingExtraError(
            Problem("plotly", "is needed for a report", fix="pip install 'segsweep[train]'")
        ) from exc


def front_steps(facts: Facts) -> list[tuple[float, float]]:
    """Corners of the line under which everything is dominated, (ms, mAP), from mAP 0 up and right to the axis' end."""
    return _steps([one.judged for one in facts.front], facts)


def steps_of_all(facts: Facts) -> list[tuple[float, float]]:
    """The same for all precisions together; empty where there is but one."""
    return _steps(facts.front_of_all, facts) if facts.points else []


def _steps(judged: Sequence[Judged], facts: Facts) -> list[tuple[float, float]]:
    front = [(one.latency.total.p50, one.test.mask_map50_95) for one in judged]
    if not front:
        return []
    corners = [(front[0][0], facts.reference_point[0])]
    for (x, y), (next_x, _) in itertools.pairwise([*front, (latency_limit(facts), 0.0)]):
        corners += [(x, y), (next_x, y)]
    return corners


def accuracy_range(values: Sequence[float]) -> tuple[float, float]:
    """Axis limits that show differences: a margin of a third of the spread, at least 0.05, within 0-1."""
    margin = max(0.05, (max(values) - min(values)) / 3)
    return max(0.0, min(values) - margin), min(1.0, max(values) + margin)


def latency_limit(facts: Facts) -> float:
    """End of the latency axis in ms: the reference point and every whisker are inside."""
    return max(facts.reference_point[1], *(1.03 * one.latency.total.p90 for one in facts.all_judged))


def front_figure(facts: Facts) -> Figure:
    """Accuracy against latency: finalists by size, dominated ones in grey, the front as steps, the knee ringed."""
    steps = front_steps(facts)
    data: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [x for x, _ in steps],
            "y": [y for _, y in steps],
            "line": {"color": INK, "width": 1.5, "shape": "linear"},
            "fill": "tozeroy",
            "fillcolor": "rgba(11,110,95,0.05)",
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    knee = [one for one in facts.finalists if one.trial_id == facts.knee]
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": [one.judged.latency.total.p50 for one in knee],
            "y": [one.judged.test.mask_map50_95 for one in knee],
            "marker": {"size": 30, "color": "rgba(0,0,0,0)", "line": {"color": ACCENT, "width": 2}},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    )
    if facts.points:
        steps = steps_of_all(facts)
        data.append(
            {
                **{"type": "scatter", "mode": "lines", "x": [x for x, _ in steps], "y": [y for _, y in steps]},
                **{"line": {"color": INK, "width": 1.2, "dash": "dot"}, "hoverinfo": "skip", "showlegend": False},
            }
        )
    data += [_finalist_trace(one, facts) for one in facts.finalists]
    data += [_point_trace(one) for one in facts.points]
    layout = _layout(LATENCY_TITLE, ACCURACY_TITLE)
    layout["xaxis"]["range"] = [0.0, latency_limit(facts)]
    layout["yaxis"]["range"] = list(accuracy_range([one.test.mask_map50_95 for one in facts.all_judged]))
    layout["showlegend"] = False
    layout["hovermode"] = "closest"
    layout["annotations"] = [
        {
            **{"x": one.judged.latency.total.p50, "y": one.judged.test.mask_map50_95, "showarrow": False},
            **{"text": f"<b>{one.variant}</b>", "yshift": 26 if one.trial_id == facts.knee else 20},
            "font": {"size": 15, "color": INK if one.on_front else MUTED},
        }
        for one in facts.finalists
    ]
    return {"data": data, "layout": layout}


def gain_figure(facts: Facts) -> Figure:
    """What the search gained: for every size the default trial and the finalist, both on test."""
    data: list[Figure] = []
    compared = [one for one in facts.finalists if one.gain_over_default is not None]
    for one in compared:
        best = one.judged.test.mask_map50_95
        default = best - (one.gain_over_default or 0.0)
        colour = VARIANT_COLOURS[one.variant]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [default, best],
                "y": [one.variant, one.variant],
                "line": {"color": colour, "width": 3},
                "marker": {
                    "size": 12,
                    "color": [PAPER, colour],
                    "line": {"color": colour, "width": 2},
                },
                "customdata": [[one.default_trial, "default hyperparameters"], [one.trial_id, "best found"]],
                "hovertemplate": (
                    "<b>%{y}</b> %{customdata[1]}<br>%{x:.3f} mask mAP50-95<br>%{customdata[0]}<extra></extra>"
                ),
            }
        )
    layout = _layout(ACCURACY_TITLE, "")
    layout["yaxis"] |= {"type": "category", "autorange": "reversed", "showgrid": False}
    layout["showlegend"] = False
    layout["hovermode"] = "closest"
    layout["margin"] |= {"t": 8}
    return {"data": data, "layout": layout}


def curves_figure(facts: Facts, curves: Curves) -> Figure:
    """Validation accuracy of every trial by epoch, the epochs at which trials were stopped as vertical lines."""
    data = []
    shown: dict[Variant, None] = {}
    for trial in sorted(facts.setting.trials, key=lambda trial: (VARIANTS.index(trial.variant), trial.number)):
        rows = [row for row in curves.get(trial.trial_id, ()) if OBJECTIVE in row]
        if rows:
            data.append(_curve_trace(trial, rows))
            shown[trial.variant] = None
    data += [_legend_entry(variant) for variant in shown]
    layout = _layout("epoch", "mask mAP50-95 on val, while training")
    layout["yaxis"]["rangemode"] = "tozero"
    layout["xaxis"] |= {"showgrid": False, "range": [0.5, facts.setting.max_epochs + 0.5], "tickformat": "d"}
    layout["hovermode"] = "closest"
    layout["legend"] = {"orientation": "h", "x": 0, "y": 1.16, "yanchor": "top", "bgcolor": "rgba(0,0,0,0)"}
    layout["margin"] |= {"t": 64}
    layout["shapes"] = [
        {
            **{"type": "line", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"},
            **{"x0": epoch, "x1": epoch, "line": {"color": FAINT, "width": 1.2, "dash": "dash"}},
        }
        for epoch in facts.setting.milestones
    ]
    layout["annotations"] = [
        {
            **{"x": epoch, "xref": "x", "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False},
            **{
                "text": f"rung {number}" if len(facts.setting.milestones) < 6 else str(number),
                "font": {"size": 11, "color": MUTED},
            },
        }
        for number, epoch in enumerate(facts.setting.milestones, start=1)
    ]
    return {"data": data, "layout": layout}


def draw_front(facts: Facts) -> bytes:
    """The front as a PNG, 1600 x 1000 px.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  (heavy)
        from matplotlib.figure import Figure as Canvas  # noqa: PLC0415
    except ImportError as exc:
        raise MissingExtraError(Problem("matplotlib", "is needed", fix="pip install 'segsweep[train]'")) from exc
    figure = Canvas(figsize=(8, 5), dpi=200, facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    steps = front_steps(facts)
    axes.fill_between([x for x, _ in steps], [y for _, y in steps], color=ACCENT, alpha=0.05, linewidth=0)
    axes.plot([x for x, _ in steps], [y for _, y in steps], color=INK, linewidth=1.2, zorder=2)
    if facts.points:
        steps = steps_of_all(facts)
        axes.plot([x for x, _ in steps], [y for _, y in steps], color=INK, linewidth=0.9, linestyle=":", zorder=2)
    for point in facts.points:
        where = ([point.judged.latency.total.p50], [point.judged.test.mask_map50_95])
        colour, precision = VARIANT_COLOURS[point.judged.record.variant], point.judged.exported.precision
        axes.scatter(*where, s=38, color=colour, marker=PRECISION_MARKERS[precision][1], zorder=4)
    for one in facts.finalists:
        total, accuracy = one.judged.latency.total, one.judged.test.mask_map50_95
        colour = VARIANT_COLOURS[one.variant] if one.on_front else FAINT
        axes.plot([total.p50, total.p90], [accuracy, accuracy], color=colour, linewidth=1.2, zorder=3)
        axes.scatter([total.p50], [accuracy], s=70, color=colour, zorder=4)
        if one.trial_id == facts.knee:
            axes.scatter([total.p50], [accuracy], s=320, facecolors="none", edgecolors=ACCENT, linewidths=1.6, zorder=4)
        label = f"{one.variant}  {accuracy:.3f}, {total.p50:.1f} ms"
        ink = INK if one.on_front else MUTED
        paper = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
        axes.annotate(
            label,
            (total.p50, accuracy),
            xytext=(0, 15),
            textcoords="offset points",
            ha="center",
            color=ink,
            fontsize=9,
            bbox=paper,
        )
    axes.set_xlim(0.0, latency_limit(facts))
    axes.set_ylim(*accuracy_range([one.test.mask_map50_95 for one in facts.all_judged]))
    axes.set_xlabel(LATENCY_TITLE, color=MUTED)
    axes.set_ylabel(ACCURACY_TITLE, color=MUTED)
    axes.set_title(f"{facts.setting.run} on {facts.setting.device}", loc="left", color=INK, fontsize=11)
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()


def _finalist_trace(one: Finalist, facts: Facts) -> Figure:
    total, test = one.judged.latency.total, one.judged.test
    colour = VARIANT_COLOURS[one.variant] if one.on_front else FAINT
    verdict = "knee of the front" if one.trial_id == facts.knee else "on the front" if one.on_front else "dominated"
    gain = (
        "no default trial to compare" if one.gain_over_default is None else f"{one.gain_over_default:+.3f} over default"
    )
    return {
        "type": "scatter",
        "mode": "markers",
        "name": one.variant,
        "x": [total.p50],
        "y": [test.mask_map50_95],
        "marker": {"size": 14, "color": colour, "line": {"color": PAPER, "width": 1.5}},
        "error_x": {
            **{"type": "data", "symmetric": False, "array": [max(0.0, total.p90 - total.p50)], "arrayminus": [0.0]},
            **{"color": colour, "thickness": 1.5, "width": 3},
        },
        "customdata": [[one.trial_id, total.p90, total.p99, test.mask_map50, gain, verdict]],
        "hovertemplate": (
            f"<b>{one.variant}</b> · %{{customdata[0]}} · %{{customdata[5]}}<br>"
            "%{y:.3f} mask mAP50-95, %{customdata[3]:.3f} mAP50<br>"
            "%{x:.1f} ms p50, %{customdata[1]:.1f} p90, %{customdata[2]:.1f} p99<br>"
            "%{customdata[4]}<extra></extra>"
        ),
    }


def _point_trace(one: Point) -> Figure:
    judged, total, test = one.judged, one.judged.latency.total, one.judged.test
    variant, precision = judged.record.variant, judged.exported.precision
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{variant} {precision}",
        "x": [total.p50],
        "y": [test.mask_map50_95],
        "marker": {
            **{"size": 11, "symbol": PRECISION_MARKERS[precision][0], "color": VARIANT_COLOURS[variant]},
            "line": {"color": PAPER, "width": 1.5},
        },
        "customdata": [[judged.record.trial_id, total.p90, total.p99, test.mask_map50, one.difference, precision]],
        "hovertemplate": (
            f"<b>{variant}</b> · %{{customdata[0]}} · %{{customdata[5]}}<br>"
            "%{y:.3f} mask mAP50-95, %{customdata[3]:.3f} mAP50<br>"
            "%{x:.1f} ms p50, %{customdata[1]:.1f} p90, %{customdata[2]:.1f} p99<br>"
            "%{customdata[4]:+.3f} to fp32<extra></extra>"
        ),
    }


def _legend_entry(variant: Variant) -> Figure:
    """A size in the legend by itself: curves differ in strength and dash, the legend should not."""
    return {
        **{"type": "scatter", "mode": "lines", "x": [None], "y": [None], "name": variant, "legendgroup": variant},
        "line": {"color": VARIANT_COLOURS[variant], "width": 3},
    }


def _curve_trace(trial: TrialRecord, rows: Sequence[Mapping[str, float]]) -> Figure:
    finished = trial.status is Status.COMPLETED
    colour = VARIANT_COLOURS[trial.variant]
    mark = FAILURE if trial.status is Status.FAILED else colour
    sizes = [0] * (len(rows) - 1) + [8 if finished else 6]
    words = (
        "default hyperparameters" if trial.is_default else ", ".join(f"{k} {short(v)}" for k, v in trial.params.items())
    )
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "legendgroup": trial.variant,
        "showlegend": False,
        "x": [row["epoch"] for row in rows],
        "y": [row[OBJECTIVE] for row in rows],
        "opacity": 1.0 if finished else 0.5,
        "line": {"color": colour, "width": 2 if finished else 1.3, "dash": "dot" if trial.is_default else "solid"},
        "marker": {"size": sizes, "color": mark, "symbol": "x" if trial.status is Status.FAILED else "circle"},
        "meta": [trial.trial_id, trial.status.value.lower(), words],
        "hovertemplate": (
            f"<b>{trial.variant}</b> · %{{meta[0]}} · %{{meta[1]}}<br>"
            "epoch %{x}: %{y:.3f}<br>%{meta[2]}<extra></extra>"
        ),
    }


def short(value: object) -> str:
    """A hyperparameter's value in three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _layout(x_title: str, y_title: str) -> Figure:
    def axis(title: str) -> Figure:
        return {
            "title": {"text": title, "font": {"size": 13, "color": MUTED}, "standoff": 12},
            "gridcolor": RULE,
            "zeroline": False,
            "tickfont": {"color": MUTED, "size": 12},
            "automargin": True,
            "fixedrange": True,
        }

    return {
        "xaxis": axis(x_title),
        "yaxis": axis(y_title),
        "font": {"family": FONT, "color": INK},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "margin": {"l": 56, "r": 16, "t": 24, "b": 48},
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": FAINT, "font": {"family": FONT, "size": 13, "color": INK}},
    }

"""How a report looks beside what all pages share, and the few lines of script that draw its charts."""

from __future__ import annotations

from collections.abc import Mapping

from segsweep.core import theme
from segsweep.core.variants import Variant

# Small to large, told apart in grey print too.
VARIANT_COLOURS: Mapping[Variant, str] = {
    "n": "#12a594",
    "s": "#2f6fde",
    "m": "#8347c9",
    "l": "#c8477e",
    "x": "#d9730d",
}

_OWN = """
.chart { width: 100%; height: 440px; margin: 8px 0 0; }
.chart.low { height: var(--chart-height, 220px); }
tr.knee td { background: #f0f9f7; }
tr.knee td:first-child { box-shadow: inset 3px 0 #0b6e5f; }
.size { display: inline-block; min-width: 1.9em; text-align: center; border-radius: 6px; padding: 0 6px; color: #fff;
  font-weight: 600; background: var(--c, #66727f); }
.badge.knee { background: #0b6e5f; border-color: #0b6e5f; color: #fff; }
.up { color: #0b6e5f; } .down { color: #b42318; }
.status { color: #52606d; } .status.FAILED { color: #b42318; } .status.COMPLETED { color: #1f2933; }
.prepare { background: #9fb3c8; } .forward { background: #3e6a94; } .postprocess { background: #d8a657; }
.pictures { grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); }
@media (max-width: 640px) { .chart { height: 360px; } .pictures { grid-template-columns: 1fr; } }
"""

STYLE = theme.STYLE + _OWN

SCRIPT = """
for (const holder of document.querySelectorAll("[data-figure]")) {
  const figure = JSON.parse(document.getElementById(holder.dataset.figure).textContent);
  Plotly.newPlot(holder, figure.data, figure.layout, { responsive: true, displayModeBar: false });
}
"""

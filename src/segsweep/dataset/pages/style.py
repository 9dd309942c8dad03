"""What the pages of a dataset have beside the look that all pages share."""

from __future__ import annotations

from segsweep.core import theme

STYLE = (
    theme.STYLE
    + """
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 8px 48px; }
.facts h3 { margin-top: 20px; }
.bar i { background: #3e6a94; }
.bars span:nth-child(3n) { text-align: right; color: #52606d; }
.bars span:nth-child(3n+1) { overflow-wrap: anywhere; max-width: 22ch; }
figure { margin: 0; }
figcaption { color: #66727f; font-size: 12px; line-height: 1.4; margin-top: 4px; overflow-wrap: anywhere; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(138px, 1fr)); gap: 14px 10px; }
.pair { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 260px)); gap: 10px; margin-bottom: 24px; }
.strip { display: grid; gap: 18px; }
.sheet img, .pair img, .strip img { display: block; width: 100%; height: auto; border-radius: 6px;
  background: #f4f6f8; }
.strip img { width: auto; max-width: 100%; }
.badge.fault { background: #b42318; border-color: #b42318; color: #fff; }
.badge.warning { background: #fff4e5; border-color: #d9730d; color: #8a4b08; }
.places { margin: 0; padding: 0; list-style: none; font-size: 12px; color: #66727f; overflow-wrap: anywhere; }
.places li { margin: 2px 0; }
.findings td { white-space: normal; vertical-align: top; }
.findings td.what { width: 46%; min-width: 26ch; } .findings td.wide { min-width: 20ch; }
.findings td.number { white-space: nowrap; }
td.place { white-space: normal; overflow-wrap: anywhere; min-width: 24ch; }
.share { color: #66727f; font-size: 12px; }
@media (max-width: 640px) {
  .facts { grid-template-columns: 1fr; } .sheet { grid-template-columns: repeat(2, 1fr); }
  .pair { grid-template-columns: repeat(2, 1fr); } td.place { min-width: 16ch; } th, td { padding-right: 10px; }
  .findings thead { display: none; } .findings tr { display: block; border-bottom: 1px solid #e4e8ec; padding: 10px 0; }
  .findings td { display: block; border: 0; padding: 2px 0; text-align: left; }
  .findings td:first-child { padding-left: 0; } .findings td.what { width: auto; }
  .findings td[data-head]::before { content: attr(data-head) ": "; color: #66727f; }
}
"""
)

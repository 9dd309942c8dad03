"""How the pages look: colours and the style sheet that all of them share."""

from __future__ import annotations

INK = "#1f2933"
MUTED = "#66727f"
FAINT = "#a8b2bd"
RULE = "#e4e8ec"
PAPER = "#ffffff"
ACCENT = "#0b6e5f"
FAILURE = "#b42318"
FONT = "Inter, ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

STYLE = """
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; color-scheme: light; }
body { margin: 0; background: #fff; color: #1f2933; line-height: 1.55; font-size: 16px;
  font-family: Inter, ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif;
  font-variant-numeric: tabular-nums; }
main { max-width: 1040px; margin: 0 auto; padding: 48px 24px 96px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.02em; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 20px; letter-spacing: -0.01em; margin: 64px 0 4px; }
h3 { font-size: 15px; margin: 24px 0 8px; }
p { margin: 0 0 16px; max-width: 70ch; }
a { color: #0b6e5f; }
.eyebrow { color: #66727f; font-size: 13px; margin: 0 0 6px; letter-spacing: 0.02em; }
.lead { font-size: 19px; line-height: 1.5; margin: 16px 0 0; max-width: 62ch; }
.note { color: #66727f; font-size: 14px; max-width: 84ch; }
.scroll { overflow-x: auto; margin: 8px -4px 0; padding: 0 4px; }
.scroll.tall { max-height: 560px; overflow-y: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 9px 14px 9px 0; border-bottom: 1px solid #e4e8ec; white-space: nowrap;
  vertical-align: baseline; }
th { font-weight: 600; color: #66727f; font-size: 13px; border-bottom-color: #cbd2d9; }
.tall th { position: sticky; top: 0; background: #fff; box-shadow: inset 0 -1px #cbd2d9; border-bottom: 0; }
th.number, td.number { text-align: right; }
td.wide { white-space: normal; min-width: 22ch; color: #52606d; font-size: 13px; }
tr.off td { color: #66727f; }
td:first-child, th:first-child { padding-left: 10px; }
.badge { display: inline-block; border: 1px solid #cbd2d9; border-radius: 99px; padding: 0 8px; font-size: 12px;
  color: #52606d; margin-right: 4px; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: 8px 14px; align-items: center;
  font-size: 14px; margin-top: 12px; }
.bar { display: flex; height: 16px; border-radius: 4px; overflow: hidden; background: #f4f6f8; }
.bar i { display: block; height: 100%; }
.key i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin: 0 6px 0 14px; }
.key i:first-child { margin-left: 0; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 10px; }
.pictures img { display: block; width: 100%; height: auto; border-radius: 6px; background: #f4f6f8; }
dl { display: grid; grid-template-columns: minmax(120px, max-content) 1fr; gap: 10px 24px; font-size: 14px;
  margin: 16px 0 0; }
dt { color: #66727f; } dd { margin: 0; overflow-wrap: anywhere; max-width: 78ch; }
pre { background: #f4f6f8; border-radius: 8px; padding: 14px 16px; overflow-x: auto; font-size: 13.5px;
  margin: 8px 0 16px;  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace; }
pre .c { color: #66727f; }
.alarm { border-left: 3px solid #b42318; padding: 2px 0 2px 14px; margin: 16px 0; font-size: 14px; max-width: 72ch; }
.warn { border-left: 3px solid #d9730d; padding: 2px 0 2px 14px; margin: 16px 0; font-size: 14px; max-width: 72ch; }
footer { margin-top: 72px; padding-top: 16px; border-top: 1px solid #e4e8ec; color: #66727f; font-size: 13px; }
@media (max-width: 640px) {
  main { padding: 28px 16px 64px; } h1 { font-size: 25px; } .lead { font-size: 17px; } h2 { margin-top: 48px; }
  dl { grid-template-columns: 1fr; gap: 2px; } dd { margin-bottom: 10px; }
  .pictures { grid-template-columns: repeat(2, 1fr); }
}
@media print { .scroll.tall { max-height: none; } h2 { break-after: avoid; } }
"""

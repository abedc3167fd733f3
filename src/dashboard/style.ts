/** How the dashboard looks, in light and in dark. */
import { palette } from "../page/palette.ts";

/** The sheet. Lines of charts take their colours from it, too. */
export const css: string = `
${palette(
  "--warn: #8a5200; --line-0: #0b5cad; --line-1: #c2410c; --line-2: #17703a; --line-3: #8b3fb0; --line-4: #0f7c85; --line-5: #a11d4e;",
  "--warn: #f2b35b; --line-0: #7db8f7; --line-1: #ff9e64; --line-2: #6fd08c; --line-3: #d59bf0; --line-4: #5fd0d8; --line-5: #ff8fb1;",
)}
[hidden] { display: none !important; }
body { margin: 0 auto; max-width: 1400px; padding: 0 20px 32px; background: var(--page); color: var(--text); line-height: 1.45; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.25rem, 4vw, 1.7rem); line-height: 1.2; margin: 0; }
h2 { font-size: 1.2rem; margin: 0 0 8px; }
h3 { font-size: 0.95rem; margin: 0; font-weight: 600; }
p { margin: 0; }
a { color: var(--accent); }
.note { color: var(--muted); font-size: 0.875rem; margin: 0 0 6px; }
.away { position: absolute; left: -9999px; }
.skip:focus { position: fixed; left: 8px; top: 8px; z-index: 3; background: var(--card); padding: 8px 12px; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.bar { position: sticky; top: 0; z-index: 2; background: var(--page); border-bottom: 1px solid var(--grid); margin: 0 -20px; padding: 12px 20px 8px; }
.bar > div { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 14px; }
.bar .who { flex: 1 1 260px; min-width: 0; }
nav { display: flex; gap: 2px 16px; flex-wrap: wrap; font-size: 0.9rem; margin-top: 4px; }
nav a { padding: 3px 0; }
.pill { border: 1px solid currentColor; border-radius: 999px; padding: 3px 12px; font-size: 0.875rem; font-weight: 600; color: var(--muted); font-variant-numeric: tabular-nums; }
[data-tone=good] { color: var(--good); }
[data-tone=warn] { color: var(--warn); font-weight: 600; }
[data-tone=bad] { color: var(--broken); font-weight: 600; }
[data-tone=muted] { color: var(--muted); }
button { font: inherit; font-size: 0.9rem; padding: 4px 14px; min-height: 32px; border: 1px solid var(--line); border-radius: 8px; background: var(--card); color: var(--text); cursor: pointer; }
button:hover { border-color: var(--accent); }
button[aria-pressed=true] { background: var(--accent); border-color: var(--accent); color: var(--page); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
:target, section { scroll-margin-top: 110px; }
section { margin-top: 28px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin: 16px 0 0; }
.tiles > div { background: var(--card); border: 1px solid var(--grid); border-radius: 10px; padding: 10px 14px; }
.tiles dt { color: var(--muted); font-size: 0.85rem; }
.tiles dd { margin: 0; }
.tiles .figure { font-size: 1.45rem; line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums; }
.tiles .more { color: var(--muted); font-size: 0.85rem; font-variant-numeric: tabular-nums; }
#notices { margin: 14px 0 0; padding: 10px 16px 10px 34px; background: var(--card); border: 1px solid var(--grid); border-left: 4px solid var(--broken); border-radius: 0 10px 10px 0; font-variant-numeric: tabular-nums; }
#notices li::marker { content: "▲  "; color: var(--broken); font-size: 0.8em; }
#notices li { padding-left: 4px; }
#all-well { color: var(--muted); font-size: 0.9rem; margin-top: 12px; }
#all-well:empty { display: none; }
#graph { display: block; width: 100%; background: var(--card); border: 1px solid var(--grid); border-radius: 10px; min-height: 150px; }
#graph text { fill: var(--text); font-size: 13px; }
#graph .self circle { fill: var(--accent); }
#graph .self .here { fill: var(--page); text-anchor: middle; font-weight: 600; font-size: 12px; }
#graph .name { text-anchor: middle; font-weight: 600; }
#graph .name.start { text-anchor: start; }
#graph .name.end { text-anchor: end; }
#graph .name.more { fill: var(--muted); font-weight: 400; font-size: 12px; }
#graph .name.said { fill: var(--tone); font-size: 12px; }
#graph .good { --tone: var(--good); }
#graph .warn { --tone: var(--warn); }
#graph .bad { --tone: var(--broken); }
#graph .peer > path { fill: var(--tone); }
#graph .link path { fill: none; stroke: var(--tone); stroke-width: 2; }
#graph .link.behind path { stroke-dasharray: 10 5; stroke-width: 3; }
#graph .link.stalled path { stroke-dasharray: 4 6; stroke-width: 3; }
#graph .link.connecting path { stroke-dasharray: 2 5; }
#graph .link.away path, #graph .link.refused path { stroke-dasharray: 2 6; stroke-width: 1.5; }
#graph .link path.cross { stroke-width: 3; stroke-dasharray: none; }
#graph .lag { fill: var(--tone); text-anchor: middle; font-weight: 600; font-size: 12.5px; paint-order: stroke; stroke: var(--card); stroke-width: 5px; stroke-linejoin: round; font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 290px), 1fr)); gap: 14px; }
figure { margin: 0; min-width: 0; background: var(--card); border: 1px solid var(--grid); border-radius: 10px; padding: 12px 14px 10px; }
.plot { position: relative; height: 170px; margin-top: 6px; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 6px 0 0; padding: 0; font-size: 0.85rem; color: var(--muted); min-height: 1.4em; }
.legend li { display: flex; align-items: center; gap: 6px; min-width: 0; }
.legend b { color: var(--text); font-weight: 600; font-variant-numeric: tabular-nums; }
.legend svg { flex: none; }
.line { stroke-width: 2.5; fill: none; }
.line-0 { stroke: var(--line-0); } .line-1 { stroke: var(--line-1); } .line-2 { stroke: var(--line-2); }
.line-3 { stroke: var(--line-3); } .line-4 { stroke: var(--line-4); } .line-5 { stroke: var(--line-5); }
.pair { display: grid; gap: 28px 20px; grid-template-columns: minmax(0, 1fr); }
.pair > section { margin-top: 0; min-width: 0; }
.pair + section, section + .pair { margin-top: 28px; }
.scroll { overflow-x: auto; max-height: 460px; overflow-y: auto; border: 1px solid var(--grid); border-radius: 10px; background: var(--card); }
.scroll + h3, .scroll + .note { margin-top: 16px; }
table { border-collapse: collapse; width: 100%; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 10px; text-align: right; border-bottom: 1px solid var(--grid); vertical-align: top; white-space: nowrap; }
tbody tr:last-child > * { border-bottom: 0; }
tbody th { font-weight: 500; }
thead th { color: var(--muted); font-weight: 600; position: sticky; top: 0; background: var(--card); z-index: 1; box-shadow: 0 1px var(--grid); }
th.text, td.text { text-align: left; }
td.wide, td.text:last-child { white-space: normal; min-width: 20em; }
th[scope=row] { max-width: 22em; overflow: hidden; text-overflow: ellipsis; }
td.none { text-align: left; color: var(--muted); padding: 12px 10px; white-space: normal; }
dialog { border: 1px solid var(--line); border-radius: 12px; background: var(--card); color: var(--text); padding: 20px 24px; max-width: min(420px, calc(100vw - 32px)); }
dialog::backdrop { background: rgb(0 0 0 / 45%); }
dialog form { display: grid; gap: 10px; margin-top: 10px; }
input { font: inherit; padding: 7px 10px; border: 1px solid var(--line); border-radius: 8px; background: var(--page); color: var(--text); width: 100%; }
footer { margin-top: 32px; color: var(--muted); font-size: 0.85rem; }
[data-stale=true] main { opacity: 0.62; }
#content[data-empty] > :not(#waiting) { visibility: hidden; }
#content:not([data-empty]) > #waiting { display: none; }
@media (min-width: 1000px) { .pair { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
@media (max-width: 600px) {
  body { padding: 0 12px 24px; }
  .bar { margin: 0 -12px; padding: 8px 12px 6px; position: static; }
  .bar .who { flex-basis: 100%; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .tiles .figure { font-size: 1.2rem; }
  nav a, button { padding-top: 8px; padding-bottom: 8px; }
  :target, section { scroll-margin-top: 12px; }
  th, td { padding: 6px 8px; }
  th[scope=row] { max-width: 11em; }
}
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } main { transition: opacity 0.3s; } }
@media (forced-colors: active) { .pill, .tiles > div, figure { border-color: CanvasText; } }
`;

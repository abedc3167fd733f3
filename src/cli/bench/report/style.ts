/** How the page looks, in light and in dark. */
import { palette } from "../../../page/palette.ts";

/** Hues are by the families of strategies; `draw.ts` takes its colours from here. */
export const css: string = `
${palette(
  "--trellis: 212 85%; --lock: 24 88%; --atomic: 285 48%; --replicated: 158 60%; --baseline: 220 9%; --light: 42%;",
  "--light: 62%;",
)}
body { margin: 0 auto; max-width: 1240px; padding: 20px; background: var(--page); color: var(--text); line-height: 1.5; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.6rem, 5vw, 2.3rem); line-height: 1.15; margin: 0.4em 0 0.2em; }
h2 { font-size: 1.45rem; margin: 0 0 0.3em; }
h3 { font-size: 1.05rem; margin: 1.2em 0 0.2em; }
p { margin: 0.4em 0 0.8em; max-width: 78ch; }
figcaption p { color: var(--muted); font-size: 0.9rem; margin: 0; }
small { font-size: 0.85rem; }
a { color: var(--accent); }
.lead { color: var(--muted); }
.bad { color: var(--broken); }
.verdict { border-left: 4px solid var(--good); background: var(--card); padding: 10px 16px; border-radius: 0 8px 8px 0; color: inherit; }
.verdict.bad { border-color: var(--broken); }
.verdict.bad b { color: var(--broken); }
.verdict p { margin: 0.2em 0; max-width: none; }
nav { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 14px 0; }
nav a { padding: 4px 0; }
section { margin-top: 32px; padding-top: 24px; border-top: 1px solid var(--grid); }
figure { margin: 0; padding: 0; min-width: 0; }
.plot { position: relative; width: 100%; margin-top: 6px; }
.pair { display: grid; gap: 8px 32px; grid-template-columns: minmax(0, 1fr); }
.picker { border: 0; padding: 0; margin: 10px 0; display: flex; flex-wrap: wrap; gap: 6px; }
.picker legend { padding: 0 0 4px; font-size: 0.85rem; color: var(--muted); }
.picker label { position: relative; cursor: pointer; }
.picker input { position: absolute; inset: 0; margin: 0; opacity: 0; cursor: pointer; }
.picker span { display: block; padding: 7px 14px; border: 1px solid var(--line); border-radius: 999px; background: var(--card); font-size: 0.95rem; }
.picker input:checked + span { background: var(--accent); border-color: var(--accent); color: var(--page); font-weight: 600; }
.picker input:focus-visible + span, summary:focus-visible, .scroll:focus-visible, a:focus-visible, button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 16px; padding: 0; margin: 4px 0; font-size: 0.85rem; color: var(--muted); }
.legend li::before { content: ""; display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.45em; border-radius: 2px; background: var(--swatch); vertical-align: -0.05em; }
.legend .trellis { --swatch: hsl(var(--trellis) var(--light)); }
.legend .lock { --swatch: hsl(var(--lock) var(--light)); }
.legend .atomic { --swatch: hsl(var(--atomic) var(--light)); }
.legend .replicated { --swatch: hsl(var(--replicated) var(--light)); }
.legend .baseline { --swatch: hsl(var(--baseline) var(--light)); }
.legend .pale { --swatch: color-mix(in srgb, var(--muted) 50%, transparent); }
.legend .pale::before { border: 1px solid var(--muted); }
.legend .broken { --swatch: repeating-linear-gradient(135deg, var(--broken) 0 2px, transparent 2px 4px); }
details { margin: 8px 0; }
summary { cursor: pointer; color: var(--accent); padding: 4px 0; width: fit-content; }
.scroll { overflow-x: auto; border: 1px solid var(--grid); border-radius: 8px; margin: 8px 0; background: linear-gradient(to left, var(--card) 40%, transparent) right / 36px 100% no-repeat local, linear-gradient(to left, var(--line), transparent) right / 12px 100% no-repeat scroll, var(--card); }
table { border-collapse: collapse; width: 100%; font-size: 0.85rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: 5px 7px; text-align: right; border-bottom: 1px solid var(--grid); vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
tbody th { font-weight: 500; }
thead th { color: var(--muted); font-weight: 600; vertical-align: bottom; line-height: 1.25; }
th.text, td.text { text-align: left; }
td.text { min-width: 12em; }
td small { display: block; color: var(--muted); white-space: nowrap; }
td.short { white-space: nowrap; min-width: 0; }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--card); white-space: nowrap; box-shadow: 1px 0 var(--grid); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 4px 16px; margin: 8px 0; }
dt { color: var(--muted); }
dd { margin: 0; }
pre { overflow-x: auto; background: var(--card); border: 1px solid var(--grid); border-radius: 8px; padding: 10px 14px; }
button { font: inherit; padding: 6px 14px; border: 1px solid var(--line); border-radius: 8px; background: var(--card); color: var(--text); cursor: pointer; margin-right: 8px; }
@media (min-width: 900px) { .pair { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
@media (max-width: 600px) {
  body { padding: 14px; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { margin-bottom: 8px; }
}
`;

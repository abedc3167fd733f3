/**
 * The dashboard: one HTML file, which asks nobody but the replica that served it for anything. It has no
 * figures in it: those come by `v1/events`, to whom they may be shown.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { chartLibrary } from "../page/chart-library.ts";
import { empty, type Html, html, program } from "../page/html.ts";
import { css } from "./style.ts";

/** The page, and what it has to be served with. */
export interface DashboardPage {
  readonly html: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Modules of the page's script, each after those that it needs. */
const modules = [
  "wording",
  "event-stream",
  "history",
  "health",
  "elements",
  "graph",
  "charts",
  "tables",
  "main",
] as const;

let made: DashboardPage | undefined;

/**
 * The page: made once, then kept. It works from what is built: its script is read there.
 * @throws when a file of the build is missing.
 */
export function dashboardPage(): DashboardPage {
  made ??= makePage();
  return made;
}

function makePage(): DashboardPage {
  const text = document(chartLibrary(), script()).html.replaceAll("\r\n", "\n");
  const hashes = (tag: string): string =>
    [...text.matchAll(new RegExp(`<${tag}(?: [^>]*)?>([\\s\\S]*?)</${tag}>`, "gu"))]
      .map(([, content = ""]) => createHash("sha256").update(content).digest("base64"))
      .map((hash) => `'sha256-${hash}'`)
      .join(" ");
  const policy = [
    "default-src 'none'",
    `script-src ${hashes("script")}`,
    `style-src ${hashes("style")}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
  return {
    html: text,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-cache",
      "content-security-policy": policy,
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
      "permissions-policy": "camera=(), geolocation=(), microphone=()",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    },
  };
}

/** The modules as one script. */
const script = (): string =>
  modules
    .map((name) => {
      const source = readFileSync(new URL(`browser/${name}.js`, import.meta.url), "utf8");
      return scoped(name, source);
    })
    .join("\n");

const variable = (module: string): string => `module_${module.replaceAll("-", "_")}`;

/** One module as a constant that has what it exports; what it imports are constants that stand before it. */
function scoped(name: string, source: string): string {
  const exported: string[] = [];
  const body = source
    .replaceAll(
      /^import \{([^}]*)\} from "\.\/([a-z-]+)\.js";$/gmu,
      (_, names: string, from: string) => {
        return `const {${names.replaceAll(" as ", ": ")}} = ${variable(from)};`;
      },
    )
    .replaceAll(
      /^export (?=(?:async )?(?:const|let|function\*?|class) (\w+))/gmu,
      (_, one: string) => {
        exported.push(one);
        return "";
      },
    )
    .replaceAll(/^export \{\};$/gmu, "");
  if (/^(?:import|export)\b/mu.test(body)) throw new Error(`assertion: ${name} cannot be inlined`);
  return `const ${variable(name)} = (() => {\n${body}\nreturn { ${exported.join(", ")} };\n})();`;
}

/** A leaf on a trellis. */
const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E" +
  "%3Cpath d='M2 2l12 12M14 2L2 14M8 1v14' stroke='%230b5cad' stroke-width='2'/%3E%3C/svg%3E";

function document(library: string, main: string): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        <title>Trellis</title>
        <link rel="icon" href="${icon}" />
        <style>
          ${{ html: css }}
        </style>
      </head>
      <body>
        ${header}
        <main id="content" data-empty tabindex="-1">
          <p id="waiting" class="note">Nothing was heard of the replica yet.</p>
          ${overview}${peers}${charts}
          <div class="pair">${hotKeys}${collections}</div>
          ${locks}${rights}${events}
        </main>
        <footer>
          <p>
            Lags, waits and counts are those of this replica. Peers that it does not know are not
            here: look at theirs, too. Key names are cut at 64 characters, and values are never
            shown.
          </p>
        </footer>
        ${dialog}
        <script>
          ${program(library)};
        </script>
        <script type="module">
          ${program(main)};
        </script>
      </body>
    </html> `;
}

const header = html`<a class="away skip" href="#content">To the content</a>
  <header class="bar">
    <div>
      <div class="who">
        <h1 id="name">Trellis</h1>
        <p id="facts" class="note"></p>
      </div>
      <span id="ready" class="pill" data-tone="muted">…</span>
      <span id="link" class="pill" data-tone="warn">▲ connecting</span>
      <button id="again" type="button" hidden>Try again</button>
      <button id="pause" type="button" aria-pressed="false">Pause</button>
    </div>
    <p id="spoken" class="unseen" role="status"></p>
    <nav aria-label="Sections">
      <a href="#peers">Peers</a><a href="#rates">Rates</a><a href="#keys">Keys</a
      ><a href="#locks">Locks</a><a href="#rights">Rights</a><a href="#events">Events</a>
    </nav>
  </header>`;

const tile = (id: string, title: string): Html =>
  html`<div>
    <dt>${title}</dt>
    <dd class="figure" id="tile-${id}">–</dd>
    <dd class="more" id="tile-${id}-more"></dd>
  </div>`;

const overview = html`<section aria-label="Overview">
  <p id="all-well"></p>
  <ul id="notices" aria-label="What needs attention" hidden></ul>
  <dl class="tiles">
    ${[
      tile("peers", "Peers in step"),
      tile("lag", "Largest lag"),
      tile("changes", "Changes made here"),
      tile("keys", "Keys"),
      tile("disk", "Disk"),
      tile("clock", "Clock"),
    ]}
  </dl>
</section>`;

/** A column; those of text stand on the left. */
type Column = string | { readonly text: string };

const table = (id: string, caption: string, columns: readonly Column[]): Html =>
  html`<div class="scroll" role="region" tabindex="0" aria-label="${caption}">
    <table id="table-${id}">
      <caption class="unseen">
        ${caption}
      </caption>
      <thead>
        <tr>
          ${columns.map(
            (column) =>
              html`<th scope="col" ${typeof column === "string" ? empty : html`class="text"`}>
                ${typeof column === "string" ? column : column.text}
              </th>`,
          )}
        </tr>
      </thead>
      <tbody></tbody>
    </table>
  </div>`;

const peers = html`<section id="peers" aria-labelledby="peers-title">
  <h2 id="peers-title">Peers</h2>
  <svg id="graph" role="img" aria-label="Peers"></svg>
  <p id="graph-note" class="note"></p>
  ${table("peers", "Peers, as a table", [
    { text: "Peer" },
    { text: "State" },
    "Batches it lacks",
    "Oldest on the way",
    "Heard",
    "Clock, to ours",
    "Sent",
    "Received",
    { text: "Keeps" },
    { text: "Why" },
  ])}
</section>`;

const chart = (id: string, title: string): Html =>
  html`<figure id="chart-${id}">
    <figcaption><h3>${title}</h3></figcaption>
    <div class="plot"><canvas role="img" aria-label="${title}"></canvas></div>
    <ul class="legend" aria-label="${title}, now"></ul>
  </figure>`;

const charts = html`<section id="rates" aria-labelledby="rates-title">
  <h2 id="rates-title">Rates and lags</h2>
  <p class="note">
    Since this page was opened, at most the last 10 minutes. The figures under the lines are the
    latest.
  </p>
  <div class="charts">
    ${[
      chart("changes", "Changes a second"),
      chart("bytes", "Bytes a second"),
      chart("lag-batches", "Batches that a peer lacks"),
      chart("lag-ms", "Oldest frame on the way"),
      chart("locks", "Locks: mean wait and hold"),
      chart("trouble", "Conflicts, timeouts and losses a second"),
      chart("frames", "Frames and batches a second"),
      chart("clocks", "Clocks of peers, ahead of ours"),
    ]}
  </div>
</section>`;

const hotKeys = html`<section id="keys" aria-labelledby="keys-title">
  <h2 id="keys-title">Hot keys</h2>
  <p class="note">
    Changed most lately, a minute ago counts half. In brackets: by how much the count may be too
    high.
  </p>
  ${table("hot-keys", "Hot keys", [
    { text: "Key" },
    { text: "Collection" },
    "Changes",
    "Made here",
  ])}
</section>`;

const collections = html`<section aria-labelledby="collections-title">
  <h2 id="collections-title">Collections</h2>
  <p id="collections-note" class="note"></p>
  ${table("collections", "Collections", [{ text: "Collection" }, { text: "Type" }, "Live keys", "Memory, about"])}
</section>`;

const locks = html`<section id="locks" aria-labelledby="locks-title">
  <h2 id="locks-title">Locks and contention</h2>
  <p id="locks-note" class="note"></p>
  ${table("contention", "Contended values", [
    { text: "Contended value" },
    "Conflicts lately",
    "Conflicts",
    "Calls",
    "In line here",
    "Under a lease",
    "Round trip",
  ])}
  <p class="note">Locks that were used here, the latest first; in brackets the longest.</p>
  ${table("locks", "Locks", [
    { text: "Lock" },
    { text: "Now" },
    "Waiting",
    "Wait",
    "Hold",
    "Granted",
    "Not granted",
    "Lost",
  ])}
</section>`;

const rights = html`<section id="rights" aria-labelledby="rights-title">
  <h2 id="rights-title">Rights by holder</h2>
  <p class="note">
    Of bounded counters that were used here; others as their pools said when last asked.
  </p>
  ${table("rights", "Rights by holder", [
    { text: "Counter" },
    { text: "Holder" },
    "To decrement",
    "To increment",
    "As of",
  ])}
</section>`;

const events = html`<section id="events" aria-labelledby="events-title">
  <h2 id="events-title">Errors and events</h2>
  <p class="note">How often each code was seen since the start.</p>
  ${table("errors", "Errors by code", [{ text: "Code" }, "Times", "Last"])}
  <p class="note">The last 100 events; what happens again is one of them.</p>
  ${table("events", "Events", [
    { text: "When" },
    { text: "How bad" },
    { text: "What" },
    { text: "Code" },
    { text: "Whom" },
    "Times",
    { text: "Text" },
  ])}
</section>`;

const dialog = html`<dialog id="token-dialog" aria-labelledby="token-title">
  <h2 id="token-title">Token</h2>
  <p id="token-why"></p>
  <form id="token-form">
    <label for="token">Token with the right <code>observe</code></label>
    <input id="token" type="password" autocomplete="off" spellcheck="false" required />
    <p class="note">It is kept until this tab is closed, and sent to this replica only.</p>
    <button type="submit">Look</button>
  </form>
</dialog>`;

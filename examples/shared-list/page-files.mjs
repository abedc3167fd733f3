/**
 * The page and the modules that it imports, as they are in `node_modules`: no bundle. Browsers do not know what
 * `yjs` means, so the page has an import map that says where each package's module is.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const folder = fileURLToPath(new URL("page/", import.meta.url));

/** Reads everything once; returns what answers requests for it, for `serveHttp`. */
export async function openPage({ peer, otherUrl }) {
  const { files, imports } = await modulesFrom("main.mjs");
  const importMap = JSON.stringify({ imports });
  const template = await readFile(join(folder, "index.html"), "utf8");
  // In one pass: what is filled in is not looked at again.
  const filling = {
    importMap: `<script type="importmap">${importMap}</script>`,
    peer: escaped(peer),
    otherUrl: escaped(otherUrl),
  };
  const html = template.replaceAll(/\{\{(\w+)\}\}/gu, (_, name) => filling[name]);
  files.set("/", { type: "text/html", body: html, headers: pageHeaders(importMap) });
  const style = await readFile(join(folder, "style.css"), "utf8");
  files.set("/style.css", { type: "text/css", body: style });

  return (request, response) => {
    const [path] = request.url.split("?");
    const file = files.get(path);
    if (!file) return false;
    response.writeHead(200, {
      "content-type": `${file.type}; charset=utf-8`,
      "content-length": Buffer.byteLength(file.body),
      "cache-control": "no-cache",
      "x-content-type-options": "nosniff",
      ...file.headers,
    });
    response.end(request.method === "HEAD" ? undefined : file.body);
    return true;
  };
}

/** Our scripts, our style, our peer, and nothing else; the import map is the one script in the page itself. */
function pageHeaders(importMap) {
  const hash = createHash("sha256").update(importMap).digest("base64");
  return {
    "content-security-policy": [
      "default-src 'none'",
      `script-src 'self' 'sha256-${hash}'`,
      "style-src 'self'",
      "connect-src 'self'",
      "img-src data:",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
      "trusted-types 'none'",
    ].join("; "),
    "referrer-policy": "no-referrer",
  };
}

// Modules.

/** What stands at the start of a line and names another module. */
const importing = /^(?:import|export)\b(?:[\w$*{},\s]*?\bfrom)?\s*["']([^"']+)["']/gmu;

/** A module of the page, and all that it leads to: files by path, and the import map's names. */
async function modulesFrom(entry) {
  const files = new Map();
  const imports = {};
  const found = [{ path: `/${entry}`, file: join(folder, entry) }];
  // It grows while it is gone through.
  for (const { path, file } of found) {
    if (files.has(path)) continue;
    const body = await readFile(file, "utf8");
    files.set(path, { type: "text/javascript", body });
    for (const [, name] of body.matchAll(importing)) {
      if (name.startsWith(".")) {
        found.push({
          path: new URL(name, `http://page${path}`).pathname,
          file: join(dirname(file), name),
        });
      } else {
        const module = moduleOf(name);
        imports[name] = module.path;
        found.push(module);
      }
    }
  }
  return { files, imports };
}

/** Where a package has that module for browsers. */
function moduleOf(name) {
  const [packageName, ...rest] = name.split("/");
  const manifest = `${packageName}/package.json`;
  const target = forBrowsers(require(manifest).exports[[".", ...rest].join("/")]);
  return {
    path: `/modules/${packageName}/${target.slice("./".length)}`,
    file: join(dirname(require.resolve(manifest)), target),
  };
}

const conditions = new Set(["browser", "module", "import", "default"]);

/** The first target of a package's export whose conditions a browser meets. */
function forBrowsers(target) {
  if (typeof target !== "object") return target;
  const [, inner] = Object.entries(target).find(([condition]) => conditions.has(condition));
  return forBrowsers(inner);
}

const escaped = (text) =>
  text.replaceAll(/[&<>"']/gu, (character) => `&#${character.codePointAt(0)};`);

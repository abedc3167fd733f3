/** HTML from templates: whatever is put into one is escaped, unless it was made by one. */

/** A piece of HTML. */
export interface Html {
  readonly html: string;
}

type Piece = string | number | Html | readonly Html[];

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Tag of a template. */
export function html(texts: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  const rest = pieces.map((piece, index) => `${rendered(piece)}${texts[index + 1] ?? ""}`);
  return { html: `${texts[0] ?? ""}${rest.join("")}` };
}

/** Nothing. */
export const empty: Html = html``;

/** Data for a script: no tag can begin or end in it. */
export const embedded = (value: unknown): Html => ({
  html: JSON.stringify(value).replaceAll("<", String.raw`\u003c`),
});

/** A program of ours, or of a package of ours: the one text in it that would end it is written another way. */
export const program = (source: string): Html => ({
  html: source
    .replaceAll(/^\/\/# sourceMappingURL=.*$/gmu, "")
    .replaceAll(/<(?=\/script|!--)/giu, String.raw`\x3c`),
});

function rendered(piece: Piece): string {
  if (typeof piece === "object") {
    return "html" in piece ? piece.html : piece.map((each) => each.html).join("");
  }
  return String(piece).replaceAll(/[&<>"']/gu, (character) => escapes[character] ?? "");
}

/** A column of text, which stands on the left; others hold numbers and stand on the right. */
export interface TextColumn {
  readonly text: string;
}

/** Texts of a cell that are not broken into lines. */
const shortMax = 24;

/** A table whose first column names its rows; where it is too wide it scrolls in a box of its own. */
export function dataTable(
  caption: string,
  head: readonly (string | TextColumn)[],
  rows: readonly (readonly (string | Html)[])[],
): Html {
  const isText = head.map((each) => typeof each !== "string");
  const names = head.map((each) => (typeof each === "string" ? each : each.text));
  const kind = (index: number, cell?: string | Html): Html => {
    if (!isText[index]) return empty;
    const isShort = typeof cell === "string" && cell.length <= shortMax;
    return isShort ? html` class="text short"` : html` class="text"`;
  };
  const line = ([first = "", ...rest]: readonly (string | Html)[]): Html =>
    html`<tr>
      <th scope="row">${first}</th>
      ${rest.map((cell, index) => html`<td${kind(index + 1, cell)}>${cell}</td>`)}
    </tr>`;
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${caption}">
    <table>
      <thead>
        <tr>
          ${names.map((name, index) => html`<th scope="col" ${kind(index)}>${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(line)}
      </tbody>
    </table>
  </div>`;
}

/** What can be folded away, and is, unless told otherwise. */
export const details = (summary: string, content: Html, isOpen = false): Html =>
  html`<details${isOpen ? html` open` : empty}>
    <summary>${summary}</summary>
    ${content}
  </details>`;

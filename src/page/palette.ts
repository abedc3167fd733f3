/** What all pages look like: their colours, light and dark, and their letters. */

/** Custom properties of `:root`; `own` and `ownDark` are those of one page besides. */
export const palette = (own = "", ownDark = ""): string => `
:root {
  ${own}
  --page: #fcfcfb; --card: #fff; --text: #1a1d21; --muted: #5a626c; --grid: #e3e6ea; --line: #b9c0c9;
  --broken: #c81e1e; --good: #17703a; --accent: #0b5cad;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root {
    ${ownDark}
    --page: #14171a; --card: #1c2024; --text: #e8eaed; --muted: #a4acb6; --grid: #31373e; --line: #5b6570;
    --broken: #ff7a70; --good: #6fd08c; --accent: #7db8f7;
  }
}
* { box-sizing: border-box; }
`;

/**
 * The little of a browser that the scripts of pages use. The library `dom` would give `document` and the like to every
 * file of the project, and servers have none.
 */

/** What is drawn on. */
export interface Pen {
  fillStyle: unknown;
  strokeStyle: unknown;
  lineWidth: number;
  font: string;
  textBaseline: string;
  fillRect(x: number, y: number, width: number, height: number): void;
  fillText(text: string, x: number, y: number): void;
  beginPath(): void;
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
  stroke(): void;
  createPattern(image: PageElement, repetition: string): unknown;
}

/** What happened to an element. */
export interface PageEvent {
  preventDefault(): void;
}

/** An element. */
export interface PageElement {
  readonly dataset: Readonly<Record<string, string | undefined>>;
  readonly offsetParent: PageElement | null;
  readonly clientWidth: number;
  textContent: string | null;
  value?: string;
  hidden: boolean;
  open: boolean;
  width: number;
  height: number;
  href: string;
  download: string;
  click(): void;
  focus(): void;
  /** Of a dialog. */
  showModal(): void;
  close(): void;
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
  getAttribute(name: string): string | null;
  append(...children: (PageElement | string)[]): void;
  replaceChildren(...children: (PageElement | string)[]): void;
  getContext(kind: "2d"): Pen | null;
  querySelector(selector: string): PageElement | null;
  querySelectorAll(selector: string): Iterable<PageElement>;
  addEventListener(event: string, listener: (event: PageEvent) => void): void;
}

/** The page. */
export interface Page extends PageElement {
  readonly documentElement: PageElement;
  readonly visibilityState: "visible" | "hidden";
  title: string;
  createElement(name: string): PageElement;
  createElementNS(namespace: string, name: string): PageElement;
}

/** What Chart.js makes of a chart, as far as we touch it. */
export interface Drawn {
  readonly ctx: Pen;
  readonly width: number;
  readonly data: { readonly datasets: readonly { readonly notes?: readonly string[] }[] };
  getDatasetMeta(index: number): {
    readonly hidden: boolean | null;
    readonly data: readonly { readonly x: number; readonly y: number }[];
  };
  update(mode: "none"): void;
  destroy(): void;
}

/** Of Chart.js; configurations are checked by it. */
export interface ChartLibrary {
  new (canvas: PageElement, configuration: object): Drawn;
  readonly defaults: {
    color: string;
    borderColor: string;
    animation: boolean;
    font: { family: string; size: number };
  };
}

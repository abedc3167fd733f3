/**
 * Server-sent events over `fetch`: an `EventSource` cannot send a token.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */

/** Characters of one event, at most: more is no snapshot of ours. */
export const eventCharactersMax: number = 8 * 1024 * 1024;

/** One event. */
export interface ServerEvent {
  readonly name: string;
  readonly data: string;
}

/** Makes events of text that comes in pieces. */
export class EventParser {
  #rest = "";
  #name = "";
  #data: string[] = [];
  #characters = 0;
  #skipsLineFeed = false;

  /** The events that end in this piece. @throws Error one is too long */
  take(piece: string): readonly ServerEvent[] {
    const events: ServerEvent[] = [];
    let text =
      this.#rest + (this.#skipsLineFeed && piece.startsWith("\n") ? piece.slice(1) : piece);
    if (piece !== "") this.#skipsLineFeed = piece.endsWith("\r");
    for (let end = text.search(/[\r\n]/u); end !== -1; end = text.search(/[\r\n]/u)) {
      const event = this.#line(text.slice(0, end));
      if (event) events.push(event);
      text = text.slice(end + (text.startsWith("\r\n", end) ? 2 : 1));
    }
    this.#rest = text;
    if (this.#rest.length + this.#characters > eventCharactersMax) {
      throw new Error("an event is too long");
    }
    return events;
  }

  #line(line: string): ServerEvent | undefined {
    if (line === "") return this.#end();
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /u, "");
    if (field === "event") this.#name = value;
    else if (field === "data") {
      this.#data.push(value);
      this.#characters += value.length;
    }
    return undefined;
  }

  #end(): ServerEvent | undefined {
    const event = { name: this.#name || "message", data: this.#data.join("\n") };
    const isEmpty = this.#data.length === 0;
    this.#name = "";
    this.#data = [];
    this.#characters = 0;
    return isEmpty ? undefined : event;
  }
}

/** How it goes with the replica. */
export type Connection =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** It broke; the next try comes. */
  | { readonly kind: "waiting"; readonly why: string; readonly retryAtMs: number }
  /** Nothing is tried until there is a token. */
  | { readonly kind: "token"; readonly why: "missing" | "refused" | "not-enough" };

/** Where events go to. */
export interface StreamOptions {
  readonly url: string;
  readonly token: () => string | undefined;
  readonly onEvent: (event: ServerEvent) => void;
  readonly onConnection: (connection: Connection) => void;
}

/** Between two tries, in ms. */
const pauseMsMin = 500;
const pauseMsMax = 15_000;
/** A replica says something every second; who says nothing for so long is gone, in ms. */
export const silentMsMax = 15_000;

/** What a reader of bytes gives. */
type Piece = { readonly done: true } | { readonly done: false; readonly value: Uint8Array };

/** Keeps a stream open. */
export class EventStream {
  readonly #options: StreamOptions;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #abort: AbortController | undefined;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  /** Connects now, whatever was under way. */
  start(): void {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.#options.onConnection({ kind: "connecting" });
    this.#run(abort).then(
      (end) => end === "ended" && this.#again(abort, "the stream ended"),
      (error: unknown) => this.#again(abort, error instanceof Error ? error.message : "it failed"),
    );
  }

  async #run(abort: AbortController): Promise<"ended" | "denied"> {
    const { url, token, onConnection, onEvent } = this.#options;
    const bearer = token();
    this.#heard(abort);
    const response = await fetch(url, {
      credentials: "same-origin",
      signal: abort.signal,
      headers: {
        accept: "text/event-stream",
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      },
    });
    if (response.status === 401 || response.status === 403) {
      clearTimeout(this.#watchdog);
      abort.abort();
      const refused = bearer === undefined ? "missing" : "refused";
      onConnection({ kind: "token", why: response.status === 403 ? "not-enough" : refused });
      return "denied";
    }
    if (!response.ok || response.body === null) {
      throw new Error(`it answered ${response.status}`);
    }
    const parser = new EventParser();
    const decoder = new TextDecoder();
    for (const reader = response.body.getReader(); ;) {
      const piece = (await reader.read()) as Piece;
      if (piece.done) return "ended";
      this.#heard(abort);
      for (const event of parser.take(decoder.decode(piece.value, { stream: true }))) {
        this.#failures = 0;
        onConnection({ kind: "live" });
        onEvent(event);
      }
    }
  }

  #heard(abort: AbortController): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      abort.abort(new Error(`nothing was heard for ${silentMsMax / 1_000} s`));
    }, silentMsMax);
  }

  #again(abort: AbortController, why: string): void {
    clearTimeout(this.#watchdog);
    if (this.#abort !== abort) return;
    this.#abort = undefined;
    const longMs = Math.min(pauseMsMax, pauseMsMin * 2 ** Math.min(this.#failures++, 10));
    const pauseMs = longMs * (0.5 + Math.random() / 2);
    const retryAtMs = Date.now() + pauseMs;
    this.#options.onConnection({ kind: "waiting", why, retryAtMs });
    this.#timer = setTimeout(() => this.start(), pauseMs);
  }
}

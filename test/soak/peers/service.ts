/** A service beside one peer: it asks at a steady rate, whatever becomes of the peer, and keeps the books. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Books } from "./books.ts";
import { type Answer, HttpClient } from "./http-client.ts";

/** What a service is given. */
export interface ServiceOptions {
  readonly name: string;
  readonly port: number;
  readonly ca: string;
  readonly token: string;
  readonly perSecond: number;
  readonly books: Books;
  readonly random: () => number;
}

const keys = 200;
const accounts = 10;
/** A write with a key is asked again for so long, in ms. */
const retriesMsMax = 300_000;
const retryMs = 250;
/** Requests under way at a time: more wait, so a peer that is stopped is not flooded when it goes on. */
const underWayMax = 64;

const json = (text: string): unknown => (text === "" ? undefined : JSON.parse(text));

/** One service. */
export class Service {
  readonly #options: ServiceOptions;
  readonly #client: HttpClient;
  readonly #underWay = new Set<Promise<void>>();
  readonly faults: string[] = [];
  #requests = 0;
  #isStopped = false;

  constructor(options: ServiceOptions) {
    this.#options = options;
    const { port, ca, token } = options;
    const limits = { timeoutMs: 10_000, connectionsMax: underWayMax };
    this.#client = new HttpClient({ port, ca, token, ...limits });
  }

  /** Asks until `stop`; resolves when every answer is there. */
  async run(): Promise<void> {
    const { perSecond, random } = this.#options;
    while (!this.#isStopped) {
      if (this.#underWay.size < underWayMax) {
        const work: Promise<void> = this.#one(random())
          .catch((error: unknown) => void this.faults.push(String(error)))
          .finally(() => this.#underWay.delete(work));
        this.#underWay.add(work);
      }
      await sleep((2 * random() * 1_000) / perSecond);
    }
    await Promise.all(this.#underWay);
    this.#client.close();
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #one(choice: number): Promise<void> {
    if (choice < 0.35) await this.#like();
    else if (choice < 0.55) await this.#pay();
    else if (choice < 0.7) await this.#read();
    else if (choice < 0.8) await this.#tag();
    else if (choice < 0.85) await this.#write();
    else if (choice < 0.95) await this.#buy();
    else await this.#credit();
  }

  /** Not asked again: what no answer came to may be done. */
  async #like(): Promise<void> {
    const key = this.#key();
    try {
      const answer = await this.#ask(`likes/${key}/increment`, { by: 1 });
      if (answer.status === 200) this.#options.books.liked(key, true);
      else this.#expect(answer, [503, 429]);
    } catch {
      this.#options.books.liked(key, false);
    }
  }

  async #pay(): Promise<void> {
    const key = this.#key();
    const by = 1 + Math.floor(this.#options.random() * 9);
    const answer = await this.#untilAnswered(`paid/${key}/increment`, { by });
    if (this.#expect(answer, [200])) this.#options.books.paid(key, by);
  }

  async #buy(): Promise<void> {
    const answer = await this.#untilAnswered("stock/sku/decrement", { by: 1, waitMs: 2_000 });
    if (answer.status === 200) this.#options.books.sold++;
    else if (this.#expect(answer, [409])) this.#options.books.refused++;
  }

  /** Reads a balance and writes what follows from it, until nobody came between. */
  async #credit(): Promise<void> {
    const path = `accounts/${Math.floor(this.#options.random() * accounts)}`;
    const endMs = performance.now() + retriesMsMax;
    while (performance.now() < endMs) {
      const read = await this.#untilAnswered(`${path}?consistency=linearizable`);
      const { value } = (json(read.text) ?? {}) as { readonly value?: number };
      const { etag } = read.headers;
      const condition = etag === undefined ? { "if-none-match": "*" } : { "if-match": etag };
      const written = await this.#untilAnswered(path, { value: (value ?? 0) + 1 }, condition);
      if (written.status === 412) continue;
      if (this.#expect(written, [204])) this.#options.books.credited(path.slice(9));
      return;
    }
    this.faults.push(`${path} was overtaken for ${retriesMsMax} ms`);
  }

  async #read(): Promise<void> {
    const key = this.#key();
    await this.#quietly(this.#ask(`likes/${key}`), [200, 404]);
  }

  async #tag(): Promise<void> {
    const act = this.#options.random() < 0.5 ? "add" : "remove";
    const element = Math.floor(this.#options.random() * 20);
    await this.#quietly(this.#ask(`tags/${this.#key()}/${act}`, { element }), [200, 204]);
  }

  async #write(): Promise<void> {
    const value = { name: this.#options.name, at: this.#requests };
    const asked = this.#ask(`profile/${this.#key()}`, { value }, {}, "PUT");
    await this.#quietly(asked, [200, 204]);
  }

  // Asking.

  #key(): string {
    return `post:${Math.floor(this.#options.random() * keys)}`;
  }

  async #quietly(asked: Promise<Answer>, expected: readonly number[]): Promise<void> {
    const answer = await asked.catch(() => undefined);
    if (answer) this.#expect(answer, [...expected, 429, 503]);
  }

  /** With one `Idempotency-Key`, until it is known what became of it. */
  async #untilAnswered(
    path: string,
    body?: object,
    condition: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const key = `${this.#options.name}-${++this.#requests}`;
    const headers = body === undefined ? {} : { "idempotency-key": key, ...condition };
    const method = body === undefined ? "GET" : Object.hasOwn(body, "value") ? "PUT" : "POST";
    const endMs = performance.now() + retriesMsMax;
    let last = "";
    while (performance.now() < endMs) {
      try {
        const answer = await this.#ask(path, body, headers, method);
        const isDecided = answer.status < 500 && answer.status !== 429;
        if (isDecided && !isUnderWay(answer)) {
          if (answer.headers["idempotency-replayed"] === "true") this.#options.books.replays++;
          return answer;
        }
        last = `${answer.status} ${answer.text}`;
      } catch (error) {
        last = String(error);
      }
      await sleep(retryMs * (1 + this.#options.random()));
    }
    throw new Error(`${path}: nothing was decided within ${retriesMsMax} ms: ${last}`);
  }

  async #ask(
    path: string,
    body?: object,
    headers: Readonly<Record<string, string>> = {},
    method: string = body === undefined ? "GET" : "POST",
  ): Promise<Answer> {
    const { books } = this.#options;
    try {
      const asked = { method, headers, ...(body && { body }) };
      const answer = await this.#client.ask(`/v1/collections/${path}`, asked);
      books.answered(answer.status, answer.tookMs);
      return answer;
    } catch (error) {
      books.lost++;
      throw error;
    }
  }

  /** Notes an answer that there should not be. */
  #expect({ status, text }: Answer, expected: readonly number[]): boolean {
    const isExpected = expected.includes(status);
    if (!isExpected) this.faults.push(`${this.#options.name}: ${status} ${text}`);
    return isExpected;
  }
}

/** The same request is being done: what becomes of it is not known yet. */
const isUnderWay = ({ status, text }: Answer): boolean =>
  status === 409 && !text.includes("TRELLIS_INSUFFICIENT");

/** Makes the lines of one golden file: a writer, and a reader that is linked to it now and then. */
import { deepStrictEqual } from "node:assert/strict";
import type { Exchange } from "../../src/store/exchange.ts";
import type { FrameLimits } from "../../src/store/frame.ts";
import type { Stage, StagePoint } from "../../src/store/stage.ts";
import { type Golden, type GoldenLine, hex, type Word } from "./file.ts";
import { type GoldenCollections, Party } from "./party.ts";

/** One file in the making. Everything that the reader gets is written down. */
export class Scene {
  readonly writer: Party;
  /** Writes too; what it writes reaches the reader through the writer. */
  readonly other: Party = new Party("other");
  readonly #reader = new Party("reader");
  readonly #name: string;
  readonly #lines: GoldenLine[];
  #sending: Exchange | undefined;
  #receiving: Exchange | undefined;

  constructor(name: string, about: string, limits?: FrameLimits) {
    this.#name = name;
    this.#lines = [{ word: "#", text: about }];
    this.writer = new Party("writer", limits === undefined ? {} : { limits });
  }

  get golden(): Golden {
    return { name: this.#name, lines: this.#lines };
  }

  /** Writes one batch a call. */
  write(...batches: readonly ((collections: GoldenCollections) => void)[]): this {
    for (const batch of batches) {
      batch(this.writer.collections);
      this.writer.keyspace.flush();
      this.writer.environment.nowMs += 1;
    }
    return this;
  }

  /** The other writes one batch, concurrently to what the writer has not told it. */
  writeElsewhere(batch: (collections: GoldenCollections) => void): this {
    this.other.environment.nowMs += 10;
    batch(this.other.collections);
    this.other.keyspace.flush();
    return this;
  }

  /** Writer and other come to hold the same. */
  meet(): this {
    this.writer.learn(this.other);
    this.other.learn(this.writer);
    return this;
  }

  /** The reader gets a new link to the writer; what it had received by halves is gone on with. */
  link(): this {
    const stage = this.unlink();
    const told = this.writer.told();
    const resume: StagePoint | undefined = stage && {
      series: stage.series,
      frames: stage.frames.length,
    };
    this.#sending = this.writer.exchange(this.#reader.told(), { resume });
    this.#receiving = this.#reader.exchange(told, { stage });
    this.#say("link", JSON.stringify(told));
    return this;
  }

  unlink(): Stage | undefined {
    this.#sending?.close();
    const stage = this.#receiving?.close();
    this.#sending = undefined;
    this.#receiving = undefined;
    return stage;
  }

  /** Up to so many frames go to the reader; without a number, all there is to say. */
  send(frames = Number.POSITIVE_INFINITY): this {
    for (let left = frames; left > 0; left--) {
      const frame = this.#sending?.next();
      if (frame === undefined) break;
      this.#say("frame", hex(frame));
      this.#receiving?.receive(frame);
      this.#sending?.acknowledge(1);
    }
    if (frames === Number.POSITIVE_INFINITY) this.shows();
    return this;
  }

  /** The writer forgets its removals: who has not heard of them gets a complete state. */
  forget(): this {
    while (this.writer.keyspace.forgetting.step([], 1_000));
    return this;
  }

  /** What the reader shows now is what the writer shows. */
  shows(): this {
    deepStrictEqual(this.#reader.shows(), this.writer.shows());
    this.#say("shows", JSON.stringify(this.writer.shows()));
    return this;
  }

  #say(word: Word, text: string): void {
    this.#lines.push({ word, text });
  }
}

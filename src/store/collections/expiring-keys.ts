/** The keys of a collection whose keys expire: what a write does to the life of its key. */
import {
  contentName,
  expireAheadMsMax,
  type ExpiringType,
  lifeName,
  neverMs,
  writeUntil,
} from "../../crdt/expiring.ts";
import { InvalidValueError } from "../../errors.ts";
import { contentOf, hasExpired, isOver, lifeIn, lifeSlotOf } from "../expiry/life.ts";
import type { Lives } from "../expiry/lives.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Container, Root } from "../nodes.ts";
import { checkKey } from "../values.ts";
import { type CollectionKeys, type KeysOptions, listKeys } from "./keys.ts";

/** What an expiring collection is made of. */
export interface ExpiringKeysOptions {
  readonly keyspace: Keyspace;
  readonly root: Root;
  readonly type: ExpiringType;
  readonly lives: Lives;
}

const noNodes: ReadonlyMap<string, number> = new Map();

/** The keys of one expiring collection. */
export class ExpiringKeys implements CollectionKeys {
  readonly keyspace: Keyspace;
  readonly quick: ReadonlyMap<string, number> = noNodes;
  readonly renews = true;
  readonly #root: Root;
  readonly #lives: Lives;
  readonly #expireAfterMs: number;

  constructor({ keyspace, root, type, lives }: ExpiringKeysOptions) {
    this.keyspace = keyspace;
    this.#root = root;
    this.#lives = lives;
    this.#expireAfterMs = type.expireAfterMs;
    lives.add(root);
  }

  find(key: string): number | undefined {
    const node = this.#find(key);
    if (node === undefined || hasExpired(this.keyspace, node)) return undefined;
    return contentOf(this.keyspace, node);
  }

  /** The content's node for writing: the key's life is renewed, or begins anew. */
  make(key: string): number {
    const { keyspace } = this;
    if (keyspace.isClosed) keyspace.assertOpen();
    // What is written next must be in one batch with its deadline, or a crash could part them.
    keyspace.reserve();
    const node = this.#root.keys.get(key) ?? keyspace.key(this.#root, checkKey(key));
    const envelope = this.#envelope(node);
    const content = envelope.children.get(contentName) ?? keyspace.child(envelope, contentName);
    const life = envelope.children.get(lifeName);
    const { untilMs, expiredMs } = lifeIn(keyspace, life);
    const isNew = isOver({ untilMs, expiredMs });
    if (isNew) {
      this.#lives.revive(node);
      keyspace.clearAll(content);
      keyspace.reserve();
    }
    const wantedMs = this.#deadline(isNew, untilMs);
    if (wantedMs > 0) {
      keyspace.assign(life ?? keyspace.child(envelope, lifeName), writeUntil(wantedMs));
    }
    return content;
  }

  children(key: string): Container | undefined {
    const node = this.find(key);
    return node === undefined ? undefined : this.keyspace.nodes.container(node);
  }

  container(key: string): Container {
    const container = this.keyspace.nodes.container(this.make(key));
    if (container === undefined) throw new Error("assertion: a key that is no container");
    return container;
  }

  list(options: KeysOptions = {}): string[] {
    const isShown = (node: number): boolean =>
      this.keyspace.isLive(node) && !hasExpired(this.keyspace, node);
    return listKeys(this.keyspace, this.#root, isShown, options);
  }

  has(key: string): boolean {
    const content = this.find(key);
    return content !== undefined && this.keyspace.isLive(content);
  }

  size(): number {
    this.keyspace.assertOpen();
    return this.#root.live - this.#lives.hidden(this.#root);
  }

  remove(key: string): void {
    const node = this.#find(key);
    if (node === undefined || hasExpired(this.keyspace, node)) return;
    const [content, life] = [contentOf(this.keyspace, node), lifeSlotOf(this.keyspace, node)];
    if (content !== undefined) this.keyspace.clearAll(content);
    if (life !== undefined) this.keyspace.clear(life);
  }

  isLive(node: number): boolean {
    return this.keyspace.isLive(node);
  }

  /** Sets the deadline of a key that is there. @returns whether it is. @throws InvalidValueError */
  expireAt(key: string, atMs: number): boolean {
    const untilMs = this.#checkDeadline(atMs);
    const node = this.#find(key);
    if (node === undefined || !this.has(key)) return false;
    const envelope = this.#envelope(node);
    const life = envelope.children.get(lifeName) ?? this.keyspace.child(envelope, lifeName);
    this.keyspace.assign(life, writeUntil(untilMs));
    return true;
  }

  /** The deadline of a key; undefined if it has none, or is not there. */
  expiresAt(key: string): number | undefined {
    const node = this.#find(key);
    if (node === undefined || !this.has(key)) return undefined;
    const { untilMs } = lifeIn(this.keyspace, lifeSlotOf(this.keyspace, node));
    return untilMs === 0 || untilMs === neverMs ? undefined : untilMs;
  }

  /** What a write sets: later than what is there. 0 for nothing. */
  #deadline(isNew: boolean, untilMs: number): number {
    if (this.#expireAfterMs === Number.POSITIVE_INFINITY) {
      // A deadline that was given stays; it is written again, so that it goes with what is written now.
      return isNew ? neverMs : untilMs;
    }
    const renewedMs = Math.floor(this.keyspace.environment.now()) + this.#expireAfterMs;
    return isNew ? renewedMs : Math.max(untilMs, renewedMs);
  }

  #checkDeadline(atMs: number): number {
    if (atMs === Number.POSITIVE_INFINITY) return neverMs;
    const latestMs = Math.floor(this.keyspace.environment.now()) + expireAheadMsMax;
    if (Number.isSafeInteger(atMs) && atMs >= 0 && atMs <= latestMs) return Math.max(1, atMs);
    throw new InvalidValueError(
      `a deadline is ms since the Unix epoch, at most ${expireAheadMsMax} ms ahead, not ${atMs}; ` +
        "nothing was changed",
      { path: "atMs", reason: "is no time, or too far ahead" },
    );
  }

  #envelope(node: number): Container {
    const envelope = this.keyspace.nodes.container(node);
    if (envelope === undefined) throw new Error("assertion: a key that is no envelope");
    return envelope;
  }

  #find(key: string): number | undefined {
    if (this.keyspace.isClosed) this.keyspace.assertOpen();
    const node = this.#root.keys.get(key);
    if (node === undefined) checkKey(key);
    return node;
  }
}

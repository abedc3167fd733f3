/**
 * A session of ZooKeeper as the lock on it needs it. The client has no deadlines, and what it cannot send while there
 * is no connection it sends later.
 */
import { randomUUID } from "node:crypto";
import type { Client as Session } from "node-zookeeper-client";

const waitMs = 5_000;
const answerMs = 2_000;
const leaveAgainMs = 1_000;
const leaveTriesMax = 20;
// As the client names them, which is not loaded here.
const ephemeralSequential = 3;
const noNode = -101;
const nodeExists = -110;

/** Asks something. @throws Error after 2 s: it may be done, also later */
export async function ask<T>(
  send: (done: (error: unknown, answer: T) => void) => void,
): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const late = (): void => reject(new Error(`ZooKeeper did not answer within ${answerMs} ms`));
    const timer = setTimeout(late, answerMs);
    send((error, answer) => {
      clearTimeout(timer);
      if (error instanceof Error) reject(error);
      else resolve(answer);
    });
  });
}

/** What lies on a node, if there is one. */
export async function readNode(session: Session, path: string): Promise<string | undefined> {
  return await unless(noNode, ask<Buffer>((done) => session.getData(path, done)).then(String));
}

/** Makes a node, if there is none. */
export async function makeNode(session: Session, path: string): Promise<void> {
  await unless(
    nodeExists,
    ask<string>((done) => session.create(path, done)),
  );
}

/** One's place in the line before a lock; who is first holds it. */
export class Place {
  readonly #session: Session;
  readonly #line: string;
  /** Finds the node again when the answer to its creation was lost. */
  readonly #id: string = randomUUID();
  #path: string | undefined;

  constructor(session: Session, line: string) {
    this.#session = session;
    this.#line = line;
  }

  /** Stands in line until it is first, and tells the node that is there as long as the lock is held. */
  async first(): Promise<string> {
    const endMs = performance.now() + waitMs;
    let path = await unless(noNode, this.#stand());
    if (path === undefined) {
      await makeNode(this.#session, this.#line);
      path = await this.#stand();
    }
    this.#path = path;
    for (;;) {
      const own = numberOf(path);
      const names = await this.#names();
      const before = names
        .filter((name) => numberOf(name) < own)
        .toSorted((a, b) => numberOf(a) - numberOf(b));
      const last = before.at(-1);
      if (last === undefined) return path;
      await this.#changes(`${this.#line}/${last}`, endMs);
    }
  }

  /** Gives the place back; what cannot be done now is tried again until the session must have ended. */
  async leave(triesLeft: number = leaveTriesMax): Promise<void> {
    try {
      for (const path of await this.#paths()) {
        await unless(
          noNode,
          ask<void>((done) => this.#session.remove(path, -1, done)),
        );
      }
    } catch {
      if (triesLeft === 0) return;
      setTimeout(() => void this.leave(triesLeft - 1), leaveAgainMs).unref();
    }
  }

  async #stand(): Promise<string> {
    const path = `${this.#line}/${this.#id}-`;
    return await ask((done) => this.#session.create(path, ephemeralSequential, done));
  }

  async #names(): Promise<readonly string[]> {
    const names = ask<string[]>((done) => this.#session.getChildren(this.#line, done));
    return (await unless(noNode, names)) ?? [];
  }

  async #paths(): Promise<readonly string[]> {
    if (this.#path !== undefined) return [this.#path];
    const names = (await this.#names()).filter((name) => name.startsWith(this.#id));
    return names.map((name) => `${this.#line}/${name}`);
  }

  /** Resolves once that node is gone, or the line should be looked at for another reason. */
  async #changes(path: string, endMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const late = (): void => reject(new Error(`no lock within ${waitMs} ms, behind ${path}`));
      const timer = setTimeout(late, endMs - performance.now());
      const look = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#session.getData(path, look, (error) => {
        if (error !== null && error !== undefined) look();
      });
    });
  }
}

/** That ZooKeeper puts behind the name. */
const numberOf = (name: string): number => Number(name.slice(-10));

/** Undefined if it is refused with that code. */
async function unless<T>(code: number, answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === code) return undefined;
    throw error;
  }
}

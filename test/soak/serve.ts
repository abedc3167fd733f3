/** The inside of a process of a soak: it does what its parent asks for, one message a call. */

/** A call, as the parent sends it. */
export interface Call {
  readonly id: number;
  readonly action: string;
  readonly args: readonly unknown[];
}

/** What came of it. */
export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** Answers calls of the methods of `actions`, until the parent is gone. */
export function serve(actions: object): void {
  const answer = async ({ id, action, args }: Call): Promise<Answer> => {
    try {
      const perform: unknown = Reflect.get(actions, action);
      if (typeof perform !== "function") throw new Error(`there is no action ${action}`);
      return { id, result: await (Reflect.apply(perform, actions, args) as unknown) };
    } catch (error) {
      return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  };
  process.on("message", (call: Call) => {
    void answer(call).then((answered) => process.send?.(answered));
  });
  process.on("disconnect", () => process.exit());
}

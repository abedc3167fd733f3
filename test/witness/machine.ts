/**
 * The memory of a machine, and the processes on it, as witnesses of the directories that they have open.
 *
 *   const machine = new Machine();
 *   const process = machine.process();   // what a replica is given as its witness
 *   process.kill();                      // what it marked stays, and it is known to be gone
 *   machine.reboot();                    // nothing is remembered
 */
import type { Stand, Testimony, Witness } from "../../src/escalate/witness.ts";

interface Entry {
  readonly turn: number;
  serial: number;
  owner: MachineProcess | undefined;
}

/** A machine. */
export class Machine {
  readonly entries = new Map<string, Entry>();

  /** A process that runs on it until it is killed. */
  process(): MachineProcess {
    return new MachineProcess(this);
  }

  /** Its memory is gone, and with it who ran there. */
  reboot(): void {
    this.entries.clear();
  }
}

/** A process on a machine. */
export class MachineProcess implements Witness {
  readonly #machine: Machine;
  #isAlive = true;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  kill(): void {
    this.#isAlive = false;
  }

  async recall(id: string): Promise<Testimony> {
    const entry = this.#machine.entries.get(id);
    if (!entry) return { kind: "absent", turn: 0, why: "this machine has not seen it run" };
    const { turn, serial, owner } = entry;
    return owner !== undefined && owner.#isAlive
      ? { kind: "in-use", by: "process 1" }
      : { kind: "left", turn, serial };
  }

  async take(id: string, turn: number, serial: number): Promise<Stand | undefined> {
    const before = this.#machine.entries.get(id);
    if ((before?.turn ?? 0) > turn) return undefined;
    const entry: Entry = { turn: turn + 1, serial, owner: this };
    this.#machine.entries.set(id, entry);
    return {
      mark: (next) => {
        if (this.#isAlive) entry.serial = next;
      },
      leave: () => {
        if (this.#isAlive) entry.owner = undefined;
      },
    };
  }
}

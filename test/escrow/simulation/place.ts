/** Where a replica lives: a machine, a disk or none, and the process that runs there now. */
import type { Witness } from "../../../src/escalate/witness.ts";
import { noWitness } from "../../../src/escalate/witness.ts";
import type { Random, VirtualEnvironment } from "../../simulation/virtual-environment.ts";
import { type DiskImage, FaultyDisk } from "../../storage/faulty-disk.ts";
import type { Machine, MachineProcess } from "../../witness/machine.ts";
import { type Flaw, tooEarly, withoutDoubt } from "./flaws.ts";
import type { Shop } from "./shop.ts";

/** One place. */
export class Place {
  readonly name: string;
  readonly disk: FaultyDisk | undefined;
  readonly machine: Machine | undefined;
  shop: Shop | undefined;
  /** An operator may say that no copy runs and that this is the newest state. */
  isTrue = true;
  /** An older state of the disk. */
  image: DiskImage | undefined;
  #process: MachineProcess | undefined;

  constructor(name: string, disk: FaultyDisk | undefined, machine: Machine | undefined) {
    this.name = name;
    this.disk = disk;
    this.machine = machine;
  }

  get isAlive(): boolean {
    return this.shop?.isAlive === true;
  }

  /** Opens its disk for a process. */
  async open(shop: Shop, isExclusive: boolean, flaw?: Flaw): Promise<void> {
    this.shop = shop;
    this.#process = this.machine?.process();
    const witness: Witness = this.#process ?? noWitness("there is none here");
    if (!this.disk) return shop.open();
    const engine = await this.disk.backend(shop.environment).open();
    await shop.open({
      engine: flaw === "is told by its disk too early" ? tooEarly(engine) : engine,
      witness: flaw === "believes every directory" ? withoutDoubt(witness) : witness,
      isExclusive,
    });
  }

  /** The process is gone, amid whatever it did. */
  kill(): void {
    this.shop?.environment.stop();
    this.disk?.crash();
    this.#process?.kill();
  }

  /** It has closed by itself. */
  async left(environment: VirtualEnvironment): Promise<void> {
    environment.stop();
    // What was synchronised stays.
    this.disk?.crash();
    this.#process?.kill();
  }

  /** The directory as a copying program sees it. */
  copy(name: string, machine: Machine | undefined): Place {
    const copy = new Place(name, this.disk?.copy(), machine);
    // From now on nobody can answer for either of them.
    this.isTrue = false;
    copy.isTrue = false;
    return copy;
  }
}

/** One with a disk and a witness. */
export const durablePlace = (name: string, random: Random, machine: Machine): Place =>
  new Place(name, new FaultyDisk(random.fork()), machine);

/** A place of some kind. */
export function newPlace(name: string, random: Random, machine: Machine): Place {
  const kind = random.below(10);
  if (kind < 2) return new Place(name, undefined, undefined);
  return new Place(name, new FaultyDisk(random.fork()), kind < 8 ? machine : undefined);
}

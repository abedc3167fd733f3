/** What goes wrong: each happens to a place, and returns whether it could. */
import type { Place } from "./place.ts";
import type { Run } from "./run.ts";

const placesMax = 9;

type Happens = (run: Run, place: Place) => boolean | Promise<boolean>;

/** Every kind of trouble, and what ends it. */
export const troubles = {
  kill: async (run, place) => {
    if (!place.isAlive) return false;
    await run.strike(place);
    return true;
  },
  open: async (run, place) => {
    const isFree = place.shop === undefined || place.shop.environment.isStopped;
    if (!isFree) return false;
    await run.open(place, place.isTrue && run.world.random.chance(0.3));
    return true;
  },
  leave: (run, place) => {
    const { shop } = place;
    if (!shop?.isAlive) return false;
    void run.leave(place, shop);
    return true;
  },
  pause: ({ world }, { shop }) => {
    if (!shop?.isAlive) return false;
    shop.environment.pause();
    world.environment().schedule(world.random.next() * 3_000, () => shop.environment.resume());
    return true;
  },
  cut: (run, { name }) => {
    run.cut.add(name);
    return true;
  },
  unlink: (run) => {
    run.isLinked = !run.isLinked;
    return true;
  },
  mend: (run) => {
    run.cut.clear();
    run.isLinked = true;
    return true;
  },
  copy: (run, place) => {
    if (!place.disk || run.places.length >= placesMax) return false;
    const machine = run.world.random.pick([...run.machines, undefined]);
    run.places.push(place.copy(`copy${run.names++}`, machine));
    return true;
  },
  image: (_run, place) => {
    if (!place.disk) return false;
    place.image = place.disk.image();
    return true;
  },
  back: (_run, place) => {
    if (!place.disk || !place.image || place.isAlive) return false;
    place.disk.restore(place.image);
    place.isTrue = false;
    return true;
  },
  weather: ({ world, weather }) => {
    const bad = world.random.next();
    Object.assign(weather, { lost: 0.1 * bad, doubled: 0.1 * bad, late: 0.05 * bad });
    return true;
  },
  disk: (_run, { disk }) => {
    if (disk) disk.isFull = !disk.isFull;
    return disk !== undefined;
  },
  reboot: (run) => {
    const machine = run.world.random.pick(run.machines);
    for (const place of run.places) {
      if (place.machine === machine && place.isAlive) run.kill(place);
    }
    machine.reboot();
    return true;
  },
} satisfies Readonly<Record<string, Happens>> as Readonly<Record<Trouble, Happens>>;

/** A kind of trouble. */
export type Trouble =
  | "kill"
  | "open"
  | "leave"
  | "pause"
  | "cut"
  | "unlink"
  | "mend"
  | "copy"
  | "image"
  | "back"
  | "weather"
  | "disk"
  | "reboot";

const menu = (troublesOften: string): readonly Trouble[] => troublesOften.split(" ") as Trouble[];

/** What may happen, each as often as it is listed. Runs differ in what they dwell on. */
export const menus = {
  crashes: menu("kill kill kill open open open open open leave pause disk image weather mend mend"),
  copies: menu("kill kill open open open open leave copy copy image image back back reboot mend"),
  network: menu("kill open open cut cut mend mend unlink weather weather pause leave disk disk"),
  all: menu(
    "kill kill open open open leave pause cut cut mend unlink copy image back weather disk reboot",
  ),
} as const;

/** What a run dwells on. */
export type Dwelling = keyof typeof menus;
export const dwellings = Object.keys(menus) as readonly Dwelling[];

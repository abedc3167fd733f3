/**
 * The frame fuzzer as a program: `node dist-simulation/test/store/fuzz.js [inputs] [seed]`.
 * Prints what came of the inputs, or the first that did anything but be refused or taken.
 */
import { Random } from "../simulation/virtual-environment.ts";
import { fuzz } from "./mutation.ts";

const [inputs = "1000000", seed = "1"] = process.argv.slice(2);
const print = (line: string): void => void process.stdout.write(`${line}\n`);

let told = 0;
const outcomes = fuzz(
  { seed: Number(seed), inputs: Number(inputs), random: new Random(Number(seed)) },
  (done) => {
    if (done - told < 50_000) return;
    told = done;
    print(`${done} inputs, ${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB`);
  },
);
print(
  `${inputs} inputs from seed ${seed}: ${outcomes.refused} refused without a trace, ` +
    `${outcomes.taken} taken, nothing else`,
);

// Writes numbered batches into a directory until it is killed, and says which ones were promised.
// Arguments: the module of the engine, the directory, and every how many batches one is synchronised.
import { writeSync } from "node:fs";

const [module, directory, syncEvery] = process.argv.slice(2);
const { levelStorage } = await import(module);
const engine = await levelStorage(directory).open();

let number = 0;
for await (const page of engine.read(Buffer.from("a"), Buffer.from("b"))) number += page.length;
for (;;) {
  const batch = engine.batch();
  const name = String(number).padStart(8, "0");
  const filling = Buffer.alloc((number * 7_919) % 5_000, number & 0xff);
  batch.put(Buffer.from(`a${name}`), filling);
  batch.put(Buffer.from(`b${name}`), filling);
  await batch.write({ sync: number % Number(syncEvery) === 0 });
  writeSync(1, `${number}\n`);
  number++;
}

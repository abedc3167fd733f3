/** Who takes part: one adapter a library, loaded only when a row wants it. */
import { AbsentError } from "./measure.mjs";

const adapters = {
  floor: "./rivals/floor.mjs",
  ours: "./trellis.mjs",
  yjs: "./rivals/yjs.mjs",
  loro: "./rivals/loro.mjs",
};

/** The names of the rivals, in the order of the table. */
export const rivalNames = ["yjs", "loro"];

/**
 * The adapter called `name`.
 * @throws {AbsentError} when its library is not installed
 */
export async function adapter(name) {
  try {
    return await import(adapters[name]);
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND" || !rivalNames.includes(name)) throw error;
    throw new AbsentError(`${name} is not installed: npm ci`);
  }
}

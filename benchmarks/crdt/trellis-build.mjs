/** Which build of Trellis is measured: `dist`, or the folder that `TRELLIS_DIST` names. */
import { pathToFileURL } from "node:url";
import { AbsentError } from "./measure.mjs";

const { TRELLIS_DIST } = process.env;
const distribution = TRELLIS_DIST
  ? pathToFileURL(`${TRELLIS_DIST}/`)
  : new URL("../../dist/", import.meta.url);

/** A module of the build. @throws {AbsentError} when it is not there */
export async function built(path) {
  const url = new URL(path, distribution);
  try {
    return await import(url);
  } catch (error) {
    if (error.code === "ERR_MODULE_NOT_FOUND" && error.message.includes(url.pathname)) {
      throw new AbsentError(`dist/${path} is not built`);
    }
    throw error;
  }
}

/**
 * What is measured, and what starts the servers: both out of one build, `dist-simulation/bench`, so
 * that `dist` stays as it is while others run it.
 */
const distribution = new URL("../../dist-simulation/bench/", import.meta.url);

/** A module of the build, by its path in the repository without `.ts`. */
export async function built(path) {
  const url = new URL(`${path}.js`, distribution);
  try {
    return await import(url);
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND" || !error.message.includes(url.pathname)) throw error;
    throw new Error(`${path} is not built: npm run bench:locks builds it`, { cause: error });
  }
}

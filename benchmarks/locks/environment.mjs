/** The real clock and timers, as everything is handed in. */
import { built } from "./build.mjs";

export const systemEnvironmentOf = async () => (await built("src/environment")).systemEnvironment;

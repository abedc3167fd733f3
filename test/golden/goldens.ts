/** All that the present code says, to be compared with the files of its version. */
import { authorityGoldens } from "./authority.ts";
import type { Golden } from "./file.ts";
import { frameGoldens } from "./frames.ts";
import { imageGoldens } from "./images.ts";
import { messageGoldens } from "./messages.ts";

/** Every golden file, made anew. */
export const presentGoldens = async (): Promise<Golden[]> => [
  ...frameGoldens(),
  ...messageGoldens(),
  ...(await imageGoldens()),
  ...(await authorityGoldens()),
];

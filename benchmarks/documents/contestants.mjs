/** Who serves the documents, and to whom they are compared: the server that the clients come with. */

/**
 * @typedef {object} Contestant
 * @property {string} id names it for `--only`
 * @property {string} label
 * @property {"yjs" | "automerge"} family
 * @property {string} client file in `clients/`
 * @property {string} server file in `servers/`
 * @property {number} [peers] servers, each dialing the first; the clients are at the first and the last. 1 by default
 * @property {boolean} [isStored] whether it has a folder to write to
 * @property {boolean} [isOurs]
 * @property {boolean} [isExtra] takes part only if it is asked for by name
 */

/** Whose rate is 1x. */
export const floors = { yjs: "y-websocket", automerge: "automerge-repo" };

/** What the issue asks of ours. */
export const ratioMin = 0.8;

/** @type {Contestant[]} */
export const contestants = [
  {
    id: "y-websocket",
    label: "@y/websocket-server, memory",
    ...{ family: "yjs", client: "y-websocket", server: "y-websocket" },
  },
  {
    id: "hocuspocus",
    label: "@hocuspocus/server, its provider, memory",
    ...{ family: "yjs", client: "hocuspocus", server: "hocuspocus" },
  },
  {
    id: "trellis-yjs",
    label: "Trellis, memory",
    ...{ family: "yjs", client: "y-websocket", server: "trellis", isOurs: true },
  },
  {
    id: "y-websocket-stored",
    label: "@y/websocket-server, y-leveldb",
    ...{ family: "yjs", client: "y-websocket", server: "y-websocket", isStored: true },
  },
  {
    id: "trellis-yjs-stored",
    label: "Trellis, storage",
    ...{ family: "yjs", client: "y-websocket", server: "trellis", isStored: true, isOurs: true },
  },
  {
    id: "trellis-yjs-peers",
    label: "Trellis, memory, a client on each of two peers",
    ...{ family: "yjs", client: "y-websocket", server: "trellis", peers: 2, isOurs: true },
  },
  {
    id: "automerge-repo",
    label: "automerge-repo, memory",
    ...{ family: "automerge", client: "automerge-repo", server: "automerge-repo" },
  },
  {
    id: "trellis-automerge",
    label: "Trellis, memory",
    ...{ family: "automerge", client: "automerge-repo", server: "trellis", isOurs: true },
  },
  {
    id: "trellis-automerge-stored",
    label: "Trellis, storage",
    ...{ family: "automerge", client: "automerge-repo", server: "trellis" },
    ...{ isStored: true, isOurs: true },
  },
  {
    id: "trellis-automerge-peers",
    label: "Trellis, memory, a client on each of two peers",
    ...{ family: "automerge", client: "automerge-repo", server: "trellis", peers: 2 },
    ...{ isOurs: true, isExtra: true },
  },
];

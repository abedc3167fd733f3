/** What is used of y-leveldb, whose own declarations its package does not export. */
declare module "y-leveldb" {
  import type { Doc } from "yjs";

  export class LeveldbPersistence {
    constructor(location: string);
    storeUpdate(name: string, update: Uint8Array): Promise<number>;
    getYDoc(name: string): Promise<Doc>;
    getAllDocNames(): Promise<string[]>;
    destroy(): Promise<void>;
  }
}

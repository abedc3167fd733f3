/**
 * Is this directory the newest state that there ever was, and does nobody else spend from it? No process
 * can see that from inside: a disk can be set back, and a directory copied, beneath the file system. A
 * witness outside of the directory can tell, if it forgets at least as readily as the disk does: it is told
 * of each write of rights, after the disk and before anything is acknowledged, and it is gone when the
 * machine is started again.
 */

/** Testifies for the directories of one machine. */
export interface Witness {
  /**
   * Whether the process that wrote `serial` to this directory has ended, and nothing was written to it, or to
   * a copy of it, since. What agrees is used up in the same step: only one of all who ask is told so.
   */
  claim(directory: string, serial: number): Promise<boolean>;
  /** This process has written so much. It is known when the call returns. @throws StorageError nothing is known any more. */
  testify(directory: string, serial: number): void;
  /** Nothing is to be known of it any more. */
  withdraw(directory: string): void;
}

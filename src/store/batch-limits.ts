/** How large a batch may become: it travels whole. */

/** What a touched slot counts for in a batch, in bytes, besides names and values. */
export const touchBytes = 64;
/** An open batch is closed before the turn ends when it has become so large, in bytes. */
export const batchBytesMax: number = 4 * 1024 * 1024;
/** Room for the names of one write and a few slots; its value, being the last, needs none. In bytes. */
export const reservedBytes: number = 256 * 1024;
/** What one transaction may write, in bytes: it travels in one frame. */
export const transactionBytesMax: number = 16 * 1024 * 1024;

/** What is wrong with a file that was to be imported. */
import { TrellisError } from "../../errors.ts";

/** The file is no whole export. Nothing was written, unless the message says so. */
export class ExportFileError extends TrellisError {
  readonly code = "TRELLIS_EXPORT_FILE";
  /** From 1 on; absent when it is the file as a whole. */
  declare readonly line?: number;

  constructor(message: string, fields: { readonly line?: number; readonly cause?: unknown } = {}) {
    super(message, fields);
  }
}

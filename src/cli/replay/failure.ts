/** The error of a replay that could not be carried through. */
import { TrellisError } from "../../errors.ts";

/** A replica's process failed, ended, or did not answer in time. Nothing is left running. */
export class ReplayError extends TrellisError {
  readonly code = "TRELLIS_REPLAY";
}

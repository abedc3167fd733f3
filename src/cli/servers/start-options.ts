/** How a server is started. */
export interface StartOptions {
  /** It keeps what it acknowledged, also when the machine fails. Default: true. */
  readonly isDurable?: boolean;
}

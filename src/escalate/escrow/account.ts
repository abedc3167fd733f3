/**
 * The rights of one holder to one side of one counter, in memory. Taking some is a subtraction.
 *
 * Where a holder is durable, `spare` rights are spent with a write that is waited for; `block` is what the
 * disk counts as gone already, so it is spent at once. What is on its way from one to the other is
 * `blocking`. Where it is not, all is `block`.
 *
 *   spare + block + blocking = usable + granted - returned - spent - pending
 */

/** A block is at least so large once it is used, and at most. What a crash may strand is a block. */
const blockMin = 4;
const blockMax = 1_024;
/** After so many writes without it there is none. */
const unusedMax = 64;

/** The rights of one side. */
export class Account {
  block = 0;
  /** Below it the quick way looks up: for a larger block, or for more rights. */
  low = 0;
  spent = 0;
  /** With fewer rights it is time to ask for more; 0 while that is under way. */
  lowRights = 0;
  spare = 0;
  blocking = 0;
  granted = 0;
  returned = 0;
  created = 0;
  /** Of what was created, what may be spent. */
  usable = 0;
  /** Taken for changes of which it is not known yet whether they are to be. */
  pending = 0;
  readonly #isDurable: boolean;
  #isEnded = false;
  #target = 0;
  /** Writes since the block was used last. */
  #unused = 0;
  /** What was spent when the block was set aside last. */
  #spentBefore = 0;
  /** What was asked for the quick way when the block was low. */
  tried = 0;

  constructor(isDurable: boolean) {
    this.#isDurable = isDurable;
  }

  /** What can be taken now. */
  get rights(): number {
    return this.spare + this.block;
  }

  /** As the disk is to have it: what a crash leaves unknown. */
  get reserved(): number {
    return this.block + this.blocking;
  }

  /** More to spend. */
  gain(by: number): void {
    if (this.#isEnded) return;
    if (this.#isDurable) this.spare += by;
    else this.block += by;
  }

  /** Takes `by` away, if there is so much. What becomes of it is the caller's to count. */
  take(by: number): boolean {
    const fromBlock = by - this.spare;
    if (fromBlock <= 0) this.spare -= by;
    else if (fromBlock <= this.block) {
      this.spare = 0;
      this.block -= fromBlock;
    } else return false;
    return true;
  }

  /** The pool says what was granted in all. */
  learnGranted(granted: number): void {
    if (granted <= this.granted) return;
    this.gain(granted - this.granted);
    this.granted = granted;
  }

  /** So much of what was created may be spent. */
  learnUsable(usable: number): void {
    if (usable <= this.usable) return;
    this.gain(usable - this.usable);
    this.usable = usable;
  }

  /** When to ask for more from now on. */
  watch(lowRights: number): void {
    this.lowRights = lowRights;
    if (!this.#isDurable) this.low = lowRights;
  }

  /** Whether it is time to ask for more. */
  get isLow(): boolean {
    return this.rights < this.lowRights;
  }

  /** Takes some out for good, to be returned to the pool. */
  giveBack(by: number): void {
    if (!this.take(by)) throw new Error("assertion: more is given back than there is");
    this.returned += by;
  }

  /** Before a write: how much of it is to count as gone. */
  provision(): void {
    if (!this.#isDurable || this.#isEnded) return;
    const used = this.tried === 0 ? 0 : this.tried + this.spent - this.#spentBefore;
    this.tried = 0;
    this.#spentBefore = this.spent;
    if (used === 0 && this.#target === 0) return;
    const wished = Math.max(blockMin, 2 * used, Math.floor(this.#target * 0.75));
    this.#unused = used === 0 ? this.#unused + 1 : 0;
    this.#target = this.#unused > unusedMax ? 0 : Math.min(blockMax, wished);
    const lacking = this.#target - this.block;
    if (lacking > 0) {
      this.blocking = Math.min(lacking, this.spare);
      this.spare -= this.blocking;
    } else if (-lacking > this.#target) {
      this.spare -= lacking;
      this.block += lacking;
    }
  }

  /** The disk has it. */
  provided(): void {
    if (this.#isEnded) return;
    this.block += this.blocking;
    this.blocking = 0;
    this.low = this.#isDurable ? Math.floor(this.block / 2) : this.lowRights;
  }

  /** The disk has refused. */
  unprovided(): void {
    if (this.#isEnded) return;
    this.spare += this.blocking;
    this.blocking = 0;
  }

  /** Nothing is spent from here any more. `reserved` stays unknown, if it is. */
  end(reserved = 0): void {
    this.#isEnded = true;
    this.spare = 0;
    this.block = reserved;
    this.blocking = 0;
    this.low = 0;
    this.lowRights = 0;
  }
}

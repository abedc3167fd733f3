/** Names of documents as automerge-repo gives them: 16 bytes and a check of them, in base 58. */
import { createHash } from "node:crypto";

const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const idBytes = 16;
const checkBytes = 4;
/** What 20 bytes have at most. */
const charactersMax = 28;

/** Whether it is the name of a document. O(1). */
export function isDocumentId(text: string): boolean {
  const bytes = base58(text);
  if (bytes?.length !== idBytes + checkBytes) return false;
  const check = sha256(sha256(bytes.subarray(0, idBytes)));
  return check.subarray(0, checkBytes).equals(bytes.subarray(idBytes));
}

/** Each `1` in front is a byte of zeros. */
function base58(text: string): Buffer | undefined {
  if (text.length > charactersMax) return undefined;
  let value = 0n;
  for (const character of text) {
    const digit = alphabet.indexOf(character);
    if (digit === -1) return undefined;
    value = value * 58n + BigInt(digit);
  }
  const zeros = /^1*/u.exec(text)?.[0].length ?? 0;
  const digits = value === 0n ? "" : value.toString(16);
  return Buffer.from("00".repeat(zeros) + (digits.length % 2 === 1 ? "0" : "") + digits, "hex");
}

const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();

/** Our messages are those of y-protocols, byte for byte. */
import * as encoding from "lib0/encoding";
import { expect, test } from "vitest";
import * as authProtocol from "y-protocols/auth";
import * as awarenessProtocol from "y-protocols/awareness";
import * as syncProtocol from "y-protocols/sync";
import * as Y from "yjs";
import {
  awarenessMessage,
  deniedMessage,
  readMessage,
  step1Message,
  step2Message,
  updateMessage,
} from "../../../src/documents/yjs/messages.ts";
import { MalformedError } from "../../../src/store/bytes.ts";

const doc = new Y.Doc();
doc.getText("t").insert(0, "x".repeat(300));
const update = Y.encodeStateAsUpdate(doc);

function theirs(kind: number, write: (encoder: encoding.Encoder) => void): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, kind);
  write(encoder);
  return encoding.toUint8Array(encoder);
}

test("what we write is what y-protocols writes", () => {
  const awareness = new awarenessProtocol.Awareness(doc);
  awareness.setLocalState({ name: "Zoë \u{1F600}" });
  const states = awarenessProtocol.encodeAwarenessUpdate(awareness, [doc.clientID]);
  const entry = { id: doc.clientID, clock: 1, state: JSON.stringify(awareness.getLocalState()) };
  awareness.destroy();
  const pairs: [Uint8Array, Uint8Array][] = [
    [
      step1Message(Y.encodeStateVector(doc)),
      theirs(0, (encoder) => syncProtocol.writeSyncStep1(encoder, doc)),
    ],
    [step2Message(update), theirs(0, (encoder) => syncProtocol.writeSyncStep2(encoder, doc))],
    [updateMessage(update), theirs(0, (encoder) => syncProtocol.writeUpdate(encoder, update))],
    [
      awarenessMessage([entry]),
      theirs(1, (encoder) => encoding.writeVarUint8Array(encoder, states)),
    ],
    [
      deniedMessage("no"),
      theirs(2, (encoder) => authProtocol.writePermissionDenied(encoder, "no")),
    ],
  ];
  for (const [ours, expected] of pairs) expect([...ours]).toEqual([...expected]);
});

test("what y-protocols writes is read as it was meant", () => {
  const step1 = readMessage(theirs(0, (encoder) => syncProtocol.writeSyncStep1(encoder, doc)));
  expect(step1).toEqual({ kind: "step-1", vector: Y.encodeStateVector(doc) });
  const step2 = readMessage(theirs(0, (encoder) => syncProtocol.writeSyncStep2(encoder, doc)));
  expect(step2).toEqual({ kind: "step-2", update });
  const change = readMessage(theirs(0, (encoder) => syncProtocol.writeUpdate(encoder, update)));
  expect(change).toEqual({ kind: "update", update });
  expect(readMessage(Uint8Array.of(3))).toEqual({ kind: "query-awareness" });
  const entries = [{ id: 2 ** 32 - 1, clock: 300, state: '{"a":1}' }];
  expect(readMessage(awarenessMessage(entries))).toEqual({ kind: "awareness", entries });
  // Applications have kinds of their own, for each other.
  for (const kind of [2, 4, 100]) {
    expect(readMessage(Uint8Array.of(kind, 1, 2))).toEqual({ kind: "unknown" });
  }
});

test.each([
  [[]],
  [[0]],
  [[0, 3, 0]],
  [[0, 0, 5, 1]],
  [[0, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
  [[0, 2, 0, 0]],
  [[3, 0]],
  [[1, 1, 1]],
  [[1, 0]],
  [[1, 5, 1, 1, 1, 1, 0x7b]],
  [[1, 6, 1, 1, 1, 2, 0x22, 0xff]],
  [[1, 2, 0xff, 0x7f]],
])("bytes %j are no message", (bytes) => {
  expect(() => readMessage(Uint8Array.from(bytes))).toThrow(MalformedError);
});

/** The text of a Yjs document, for the clients of Yjs. */
import * as Y from "yjs";

export function yjsText() {
  const document = new Y.Doc();
  const text = document.getText("text");
  return {
    document,
    edit: ([at, removed, inserted]) => {
      document.transact(() => {
        if (removed > 0) text.delete(at, removed);
        if (inserted.length > 0) text.insert(at, inserted);
      });
    },
    holds: (wanted) => text.length === wanted.length && text.toJSON() === wanted,
    whenChanged: (listener) => document.on("update", listener),
  };
}

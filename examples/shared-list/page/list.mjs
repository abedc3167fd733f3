/**
 * The list: a `Y.Array` of `Y.Map`s { id, rank, done, text: Y.Text }. An item is moved by its rank, since one that
 * is deleted and inserted again would be there twice if two people move it.
 */
import { simpleDiffString } from "lib0/diff";
import * as Y from "yjs";
import { personOf } from "./people.mjs";
import { makeRow } from "./row.mjs";

/** Shows the list of `doc` in `#items`, and who is at which item. */
export function showList(doc, awareness) {
  const list = doc.getArray("items");
  const items = document.querySelector("#items");
  const rows = new Map();

  const show = () => {
    const focused = document.activeElement;
    const sorted = sortedItems(list);
    for (const [item, row] of rows) {
      if (sorted.includes(item)) continue;
      row.element.remove();
      rows.delete(item);
    }
    for (const [index, item] of sorted.entries()) {
      const row = rows.get(item) ?? makeRow(actionsOf(item));
      rows.set(item, row);
      row.show({
        text: item.get("text").toString(),
        isDone: item.get("done") === true,
        isFirst: index === 0,
        isLast: index === sorted.length - 1,
      });
      const there = items.children[index] ?? null;
      if (there !== row.element) items.insertBefore(row.element, there);
    }
    // Whatever is moved in the page loses the focus.
    if (focused?.isConnected && focused !== document.activeElement) focused.focus();
    const done = sorted.filter((item) => item.get("done") === true).length;
    document.querySelector("#done").textContent =
      sorted.length > 0 ? `${done} of ${sorted.length} done` : "";
    document.querySelector("#empty").hidden = sorted.length > 0;
    showWhoIsWhere();
  };

  const showWhoIsWhere = () => {
    const others = [...awareness.getStates()].filter(([id]) => id !== awareness.clientID);
    for (const [item, row] of rows) {
      const id = item.get("id");
      const there = others.find(([, state]) => id !== undefined && state.at === id);
      row.showEditor(there && personOf(there[1]));
    }
  };

  const actionsOf = (item) => ({
    tick: (isDone) => item.set("done", isDone),
    edit: (text) => {
      const shared = item.get("text");
      const { index, remove, insert } = simpleDiffString(shared.toString(), text);
      doc.transact(() => {
        shared.delete(index, remove);
        shared.insert(index, insert);
      });
    },
    move: (by) => doc.transact(() => move(sortedItems(list), item, by)),
    remove: () => {
      const next = nextTo(rows.get(item).element);
      const index = list.toArray().indexOf(item);
      if (index !== -1) list.delete(index);
      (next?.querySelector(".remove") ?? document.querySelector("#new-text")).focus();
    },
    enter: () => awareness.setLocalStateField("at", item.get("id")),
    leave: () => awareness.setLocalStateField("at", null),
  });

  document.querySelector("#new").addEventListener("submit", (event) => {
    event.preventDefault();
    const input = document.querySelector("#new-text");
    const text = input.value.trim();
    if (text === "") return;
    const last = sortedItems(list).at(-1);
    list.push([newItem(text, last ? rankOf(last) + 1 : 0)]);
    input.value = "";
  });
  list.observeDeep(show);
  awareness.on("change", showWhoIsWhere);
  show();
}

const nextTo = (element) => element.nextElementSibling ?? element.previousElementSibling;

function newItem(text, rank) {
  const item = new Y.Map();
  item.set("id", crypto.randomUUID());
  item.set("rank", rank);
  item.set("done", false);
  item.set("text", new Y.Text(text));
  return item;
}

const rankOf = (item) => (Number.isFinite(item.get("rank")) ? item.get("rank") : 0);

/** In order. Others may have put anything into the document: what is no item is left out. */
function sortedItems(list) {
  const items = list.toArray().filter((item) => {
    return item instanceof Y.Map && item.get("text") instanceof Y.Text;
  });
  const idOf = (item) => String(item.get("id"));
  return items.sort(
    (one, other) => rankOf(one) - rankOf(other) || (idOf(one) < idOf(other) ? -1 : 1),
  );
}

/** Ranks an item between those that it is to stand between; all anew where there is no room left. */
function move(sorted, item, by) {
  const from = sorted.indexOf(item);
  const to = from + by;
  if (to < 0 || to >= sorted.length) return;
  const others = sorted.toSpliced(from, 1);
  const before = to > 0 ? rankOf(others[to - 1]) : rankOf(others[0]) - 2;
  const after = to < others.length ? rankOf(others[to]) : before + 2;
  const rank = (before + after) / 2;
  if (before < rank && rank < after) item.set("rank", rank);
  else for (const [index, each] of others.toSpliced(to, 0, item).entries()) each.set("rank", index);
}

/** One item of the list, as it is shown. Text goes into the page as text only. */
import { simpleDiffString } from "lib0/diff";

/** Makes the row of an item, which calls `actions`. */
export function makeRow(actions) {
  const element = document.createElement("li");
  const tick = document.createElement("input");
  tick.type = "checkbox";
  tick.className = "tick";
  tick.addEventListener("change", () => actions.tick(tick.checked));

  const text = document.createElement("textarea");
  text.className = "text";
  text.rows = 1;
  text.ariaLabel = "Text";
  text.autocomplete = "off";
  text.maxLength = 500;
  text.addEventListener("input", () => actions.edit(text.value));
  text.addEventListener("focus", actions.enter);
  text.addEventListener("blur", actions.leave);
  text.addEventListener("keydown", (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.altKey && by !== undefined) {
      event.preventDefault();
      actions.move(by);
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      text.blur();
    }
  });

  const editor = document.createElement("span");
  editor.className = "editor";
  const up = button("up", "↑", () => actions.move(-1));
  const down = button("down", "↓", () => actions.move(1));
  const remove = button("remove", "×", actions.remove);
  element.append(tick, text, editor, up, down, remove);

  return {
    element,
    show({ text: now, isDone, isFirst, isLast }) {
      element.classList.toggle("is-done", isDone);
      tick.checked = isDone;
      tick.ariaLabel = `Done: ${now}`;
      up.ariaLabel = `Move up: ${now}`;
      down.ariaLabel = `Move down: ${now}`;
      remove.ariaLabel = `Delete: ${now}`;
      // Not `disabled`, which would take the focus away from it.
      up.ariaDisabled = isFirst;
      down.ariaDisabled = isLast;
      if (text.value === now) return;
      // Keeps the cursor where it is, while somebody else writes.
      const { index, remove: count, insert } = simpleDiffString(text.value, now);
      text.setRangeText(insert, index, index + count, "preserve");
    },
    /** Who else is at it, if anybody. */
    showEditor(person) {
      element.classList.toggle("is-edited", person !== undefined);
      editor.textContent = person ? person.name : "";
      if (person) element.style.setProperty("--hue", person.hue);
    },
  };
}

function button(name, sign, onClick) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = name;
  made.textContent = sign;
  made.addEventListener("click", onClick);
  return made;
}

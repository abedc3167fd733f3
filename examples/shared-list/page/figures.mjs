/** Likes, which are a counter, and a stock, which is a bounded one. */
import { follow, write } from "./http.mjs";

const key = "to-do";

/** Shows the likes in `#likes`; `#like` gives one, also offline. */
export function showLikes() {
  let value;
  let unsent = 0;
  let isSending = false;
  const show = () => {
    document.querySelector("#likes").textContent = value === undefined ? "–" : value + unsent;
  };
  const send = async () => {
    isSending = true;
    while (unsent > 0) {
      const by = unsent;
      const late = setTimeout(() => {
        document.querySelector("#likes-unsent").textContent = "Kept, and sent later.";
      }, 1_500);
      const answer = await write("likes", key, "increment", { by, isKept: true });
      clearTimeout(late);
      document.querySelector("#likes-unsent").textContent = answer.ok ? "" : "It was refused.";
      if (answer.ok && value !== undefined) value += by;
      unsent -= by;
      show();
    }
    isSending = false;
    readAgain();
  };
  document.querySelector("#like").addEventListener("click", () => {
    unsent++;
    show();
    if (!isSending) void send();
  });
  const readAgain = follow("likes", key, (now) => {
    // It may have what we still count as unsent.
    if (isSending) return;
    value = now;
    show();
  });
}

/** Shows what is left in `#stock`; `#buy` buys one. */
export function showStock() {
  const buy = document.querySelector("#buy");
  const told = document.querySelector("#bought");
  let left;
  let mine = 0;
  let isBuying = false;
  const show = () => {
    document.querySelector("#stock").textContent = left ?? "–";
    buy.textContent = isBuying ? "Buying…" : left === 0 ? "Sold out" : "Buy one";
    // Not `disabled`, which would take the focus away from it.
    buy.ariaDisabled = isBuying || !left;
  };
  const tell = (text) => (told.textContent = mine > 0 ? `${text} You have ${mine}.` : text);

  const buyOne = async () => {
    isBuying = true;
    show();
    tell("");
    const late = setTimeout(() => tell("Asking until it is known…"), 3_000);
    const answer = await write("stock", key, "decrement", { by: 1, isKept: false });
    clearTimeout(late);
    isBuying = false;
    if (answer.ok) {
      mine++;
      tell("Bought.");
    } else if (answer.status === 409) tell("Somebody else was faster.");
    else tell("Nothing was sold: try again in a moment.");
    show();
    readAgain();
  };
  buy.addEventListener("click", () => {
    if (!isBuying && left) void buyOne();
  });
  const readAgain = follow("stock", key, (now) => {
    left = now;
    show();
  });
}

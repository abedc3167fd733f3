/** What the figures ask of their peer over HTTP: see docs/http.md. */

const pathOf = (collection, key) => `/v1/collections/${collection}/${key}`;

/** Too many requests; and a peer that listens already, but does not serve HTTP yet. */
const notNow = new Set([429, 426]);
const pauseMsMax = 4_000;
const pause = (attempt) =>
  new Promise((over) => void setTimeout(over, Math.min(250 * 2 ** attempt, pauseMsMax)));

/**
 * Writes, and asks again with the same key until it is known what came of it: with one key it takes effect once,
 * however often it is sent. A 503 says that nothing was done; with `isKept` that is tried again, too.
 */
export async function write(collection, key, operation, { by, isKept }) {
  const headers = { "content-type": "application/json", "idempotency-key": crypto.randomUUID() };
  const request = { method: "POST", headers, body: JSON.stringify({ by }) };
  let isUnknown = false;
  for (let attempt = 0; ; attempt++) {
    const answer = await fetch(`${pathOf(collection, key)}/${operation}`, request).catch(
      () => undefined,
    );
    if (answer && answer.status < 500 && !notNow.has(answer.status)) return answer;
    isUnknown ||= answer === undefined || answer.status === 504;
    if (answer && !isKept && !isUnknown) return answer;
    await pause(attempt);
  }
}

/**
 * Calls `onValue` with what a key holds, now and after each change, wherever that was made. A hidden page hears
 * nothing: browsers open six connections to one address, whatever the number of tabs. Returns what reads it once more:
 * answers to writes may overtake each other, so what they say is not what is shown.
 */
export function follow(collection, key, onValue) {
  let events;
  let isReading = false;
  let isStale = false;
  const read = async () => {
    isStale = true;
    if (isReading) return;
    isReading = true;
    while (isStale) {
      isStale = false;
      const answer = await fetch(pathOf(collection, key)).catch(() => undefined);
      if (answer?.ok) onValue((await answer.json()).value);
    }
    isReading = false;
  };
  const listen = () => {
    events?.close();
    events = undefined;
    if (document.hidden) return;
    events = new EventSource(`/v1/watch?${new URLSearchParams({ collection, key })}`);
    for (const name of ["open", "change"]) events.addEventListener(name, () => void read());
    events.addEventListener("error", ({ target }) => void listenAgain(target));
  };
  /** It comes back by itself, but for an answer that is no stream. */
  const listenAgain = async (ended) => {
    if (ended !== events || ended.readyState !== EventSource.CLOSED) return;
    await pause(2);
    if (ended === events) listen();
  };
  document.addEventListener("visibilitychange", listen);
  listen();
  return () => void read();
}

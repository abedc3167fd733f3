/** How it goes with the peer. What is changed meanwhile is in the document, and y-websocket sends it when it is back. */

const wording = {
  connecting: "Connecting…",
  connected: "Connected",
  offline: "Offline: changes are kept and sent later",
};

/** Says in `#connection` how the provider is connected. */
export function showConnection(provider) {
  const shown = document.querySelector("#connection");
  let hasTried = false;
  let refusal;
  const show = () => {
    const state = provider.synced ? "connected" : hasTried ? "offline" : "connecting";
    const text = refusal === undefined ? wording[state] : `Refused: ${refusal}`;
    shown.dataset.state = refusal === undefined ? state : "offline";
    // Said again it would be spoken again.
    if (shown.textContent !== text) shown.textContent = text;
  };
  provider.on("sync", (isSynced) => {
    hasTried ||= isSynced;
    show();
  });
  provider.on("connection-error", () => {
    hasTried = true;
    show();
  });
  // For good: it does not try again.
  provider.on("closed", ({ code, reason }) => {
    refusal = reason || code;
    show();
  });
}

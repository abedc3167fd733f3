/** Who is here: awareness, which is not in the document and goes when its page does. */

const adjectives = ["Brisk", "Calm", "Early", "Keen", "Mellow", "Quiet", "Sunny", "Swift"];
const animals = ["badger", "finch", "heron", "lynx", "marten", "otter", "plover", "wren"];
const hues = [8, 40, 90, 150, 190, 225, 270, 320];
const nameMax = 32;
const shownMax = 24;

const oneOf = (all) => all[Math.floor(Math.random() * all.length)];

/** What somebody says of themself: anybody may say anything. */
export function personOf(state) {
  const { name, hue } = state?.user ?? {};
  return {
    name: typeof name === "string" && name.trim() !== "" ? name.slice(0, nameMax) : "Somebody",
    hue: Number.isInteger(hue) ? hue % 360 : 0,
  };
}

/** Shows in `#people` who is here, and says who we are as `#name` has it. */
export function showPeople(awareness) {
  const people = document.querySelector("#people");
  const input = document.querySelector("#name");
  const hue = Number(sessionStorage.getItem("hue") ?? oneOf(hues));
  input.value = sessionStorage.getItem("name") ?? `${oneOf(adjectives)} ${oneOf(animals)}`;

  const say = () => {
    sessionStorage.setItem("name", input.value);
    sessionStorage.setItem("hue", hue);
    awareness.setLocalStateField("user", { name: input.value, hue });
  };
  input.addEventListener("input", say);

  const show = () => {
    const { clientID } = awareness;
    const ids = [...awareness.getStates().keys()].sort((one, other) => one - other);
    const others = ids.filter((id) => id !== clientID);
    const shown = [clientID, ...others.slice(0, shownMax - 1)].map((id) => {
      const { name, hue: theirs } = personOf(awareness.getStates().get(id));
      return chip(id === clientID ? `${name} (you)` : name, theirs);
    });
    const more = others.length + 1 - shown.length;
    if (more > 0) shown.push(chip(`and ${more} more`));
    people.replaceChildren(...shown);
  };
  awareness.on("change", show);
  say();
}

function chip(text, hue) {
  const item = document.createElement("li");
  item.textContent = text;
  if (hue === undefined) item.className = "more";
  else item.style.setProperty("--hue", hue);
  return item;
}

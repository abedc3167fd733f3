// The oracle of expiry.mjs: what must be shown, by what events had seen of each other.

/** What must be shown after these events, by what they had seen of each other; and the longest deadline that stands. */
export function specification(events, elements) {
  const saw = (later, earlier) => later.saw.has(earlier.id);
  const users = events.filter(({ kind }) => kind !== "expire" && kind !== "gone");
  const lives = users.filter(({ deadline, kind }) => deadline !== undefined || kind === "delete");
  const standing = lives.filter((life) => !lives.some((later) => saw(later, life)));
  const until = Math.max(-1, ...standing.map(({ deadline }) => deadline ?? -1));
  const expiries = events.filter(
    (event) => event.kind === "expire" && !lives.some((life) => saw(life, event)),
  );
  const expired = Math.max(-1, ...expiries.map(({ upTo }) => upTo));
  const removes = (event, add) =>
    saw(event, add) &&
    (event.kind === "delete" || event.isNew === true || event.element === add.element);
  const present = elements.filter((element) =>
    users.some(
      (add) =>
        add.kind === "add" &&
        add.element === element &&
        !users.some((event) => removes(event, add)),
    ),
  );
  const longest = standing.filter(({ deadline }) => deadline === until);
  return { shown: until > expired ? present : [], present, longest };
}

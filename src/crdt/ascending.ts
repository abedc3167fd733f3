/** Sorting positions by integers, faster than a callback would: logs are put in order with it. */

/** Positions in `numbers` in ascending order of what stands there. */
export function ascending(numbers: Int32Array): ArrayLike<number> & Iterable<number> {
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  for (let i = 0; i < numbers.length; i++) {
    least = Math.min(least, numbers[i] as number);
    most = Math.max(most, numbers[i] as number);
  }
  const range = most - least + 1;
  return range <= 4 * numbers.length + 1024
    ? countingOrder(numbers, least, range)
    : sortedOrder(numbers, least);
}

function countingOrder(numbers: Int32Array, least: number, range: number): Int32Array {
  const starts = new Int32Array(range + 1);
  for (let i = 0; i < numbers.length; i++) {
    const at = (numbers[i] as number) - least + 1;
    starts[at] = (starts[at] as number) + 1;
  }
  for (let i = 1; i <= range; i++) starts[i] = (starts[i] as number) + (starts[i - 1] as number);
  const positions = new Int32Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    const at = (numbers[i] as number) - least;
    positions[starts[at] as number] = i;
    starts[at] = (starts[at] as number) + 1;
  }
  return positions;
}

/** One native sort of doubles, the position in the low bits, is several times faster than a callback. */
function sortedOrder(numbers: Int32Array, least: number): Float64Array {
  const keys = new Float64Array(numbers.length);
  const scale = 2 ** Math.ceil(Math.log2(numbers.length + 1));
  for (let i = 0; i < keys.length; i++) keys[i] = ((numbers[i] as number) - least) * scale + i;
  keys.sort();
  for (let i = 0; i < keys.length; i++) keys[i] = (keys[i] as number) % scale;
  return keys;
}

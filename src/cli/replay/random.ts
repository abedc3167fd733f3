/** Numbers that look random and follow from a seed, so that a run can be repeated. */

/** Numbers from 0 to below 1; the same seed gives the same ones. Only the low 32 bits of it count. */
export function seededRandom(seed: number): () => number {
  let position = seed >>> 0;
  return () => {
    // A step of 2^32 over the golden ratio visits every 32-bit number once; the rest scatters them.
    position = (position + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(position ^ (position >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}

/**
 * Ranks from 0 to below `count`, rank r in proportion to 1 / (r + 1) ** exponent: how paths and
 * visitors of a site are spread. O(count) once, O(log count) a draw.
 * @see Breslau et al. 1999, "Web caching and Zipf-like distributions"
 */
export function zipf(count: number, exponent: number, random: () => number): () => number {
  const cumulative = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) {
    sum += (rank + 1) ** -exponent;
    cumulative[rank] = sum;
  }
  return () => {
    const point = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((cumulative[middle] as number) > point) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

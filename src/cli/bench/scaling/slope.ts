/** How a cost grows: the slope of a line through the logarithms. */

/** One measurement. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Least squares over log x and log y: y grows as x to the power of it. 0 where there is no line. */
export function slopeOf(points: readonly Point[]): number {
  const logs = points
    .filter(({ x, y }) => x > 0 && y > 0)
    .map(({ x, y }) => ({ x: Math.log(x), y: Math.log(y) }));
  const mean = (of: keyof Point): number =>
    logs.reduce((sum, each) => sum + each[of], 0) / logs.length;
  const [meanX, meanY] = [mean("x"), mean("y")];
  const spread = logs.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
  if (!(spread > 0)) return 0;
  return logs.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0) / spread;
}

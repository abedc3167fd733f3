/** How often what happens in a random run. */

/** What happens in a run, as weights. Absent: never. */
export interface Weights {
  readonly write?: number;
  readonly send?: number;
  readonly deliver?: number;
  readonly connect?: number;
  readonly cut?: number;
  readonly forget?: number;
  readonly recreate?: number;
  readonly clock?: number;
}

/** Everything happens. */
export const mixedWeights: Required<Weights> = {
  write: 30,
  send: 30,
  deliver: 45,
  connect: 8,
  cut: 4,
  forget: 5,
  recreate: 0.7,
  clock: 3,
};

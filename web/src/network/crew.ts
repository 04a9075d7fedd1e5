/**
 * Several threads that do a plan's calls together: each takes the next few rows that nobody has yet.
 *
 * Nobody is waited for who has not taken any: a helper whose core is busy with something else costs nothing. A call is
 * begun when the one before it is finished, so all see what it wrote.
 */

import type { Call } from "./plan";

export type Kernels = Readonly<Record<string, (...values: number[]) => void>>;

const [TURN, OPEN, INSIDE, FIRST] = [0, 1, 2, 3]; // places in `state`; from FIRST on two for each call: rows taken, and done
const SPINS = 2000; // looks at a number before a thread goes to sleep over it
const PARTS = 4; // a thread gets so many parts of a call's rows, if all are equally fast

/** What all of them know. `state` is shared. */
export interface Work {
  readonly calls: readonly Call[];
  readonly threads: number;
  readonly state: Int32Array;
}

export function placesFor(calls: readonly Call[]): number {
  return FIRST + 2 * calls.length;
}

/** The one that has the work: returns when all of it is done. */
export function lead(work: Work, kernels: Kernels): void {
  const { state } = work;
  while (Atomics.load(state, INSIDE) > 0); // who is still on the way out of the last turn
  state.fill(0, FIRST);
  Atomics.store(state, OPEN, 1);
  Atomics.add(state, TURN, 1);
  Atomics.notify(state, TURN);
  goThrough(work, kernels);
  Atomics.store(state, OPEN, 0);
}

/** The others: for ever. */
export function help(work: Work, kernels: Kernels): never {
  const { state } = work;
  for (let turn = 0; ; ) {
    Atomics.wait(state, TURN, turn);
    turn = Atomics.load(state, TURN);
    Atomics.add(state, INSIDE, 1);
    if (Atomics.load(state, OPEN) === 1) goThrough(work, kernels);
    Atomics.sub(state, INSIDE, 1);
  }
}

function goThrough({ calls, threads, state }: Work, kernels: Kernels): void {
  calls.forEach(({ kernel, rows, values }, number) => {
    const run = kernels[kernel]!;
    const taken = FIRST + 2 * number;
    const done = taken + 1;
    const many = Math.ceil(rows / (PARTS * threads));
    for (;;) {
      const from = Atomics.add(state, taken, many);
      if (from >= rows) break;
      const to = Math.min(rows, from + many);
      run(from, to, ...values);
      if (Atomics.add(state, done, to - from) + to - from === rows) Atomics.notify(state, done);
    }
    waitFor(state, done, rows);
  });
}

function waitFor(state: Int32Array, place: number, wanted: number): void {
  for (let spin = 0; spin < SPINS; spin++) if (Atomics.load(state, place) === wanted) return;
  for (;;) {
    const now = Atomics.load(state, place);
    if (now === wanted) return;
    Atomics.wait(state, place, now);
  }
}

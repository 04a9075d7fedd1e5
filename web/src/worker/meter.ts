/** Times of the last frames. */

import type { Stage } from "./messages";

const KEPT = 60;

export class Meter {
  private readonly times: Record<Stage, number[]> = { read: [], infer: [], steady: [], composite: [], whole: [] };
  private readonly drawn: number[] = [];
  private begun = 0;
  private last = 0;

  begin(): void {
    this.begun = this.last = performance.now();
  }

  /** A stage is done. */
  lap(stage: Stage): void {
    const now = performance.now();
    keep(this.times[stage], now - this.last);
    this.last = now;
  }

  end(): void {
    keep(this.times.whole, performance.now() - this.begun);
    keep(this.drawn, performance.now());
  }

  /** Frames a second, over the last ones that came within two seconds. */
  get fps(): number {
    const recent = this.drawn.filter((time) => time > performance.now() - 2000);
    const first = recent[0];
    const last = recent.at(-1);
    return first === undefined || last === undefined || last === first ? 0 : ((recent.length - 1) * 1000) / (last - first);
  }

  get stages(): Record<Stage, number> {
    const { read, infer, steady, composite, whole } = this.times;
    return { read: median(read), infer: median(infer), steady: median(steady), composite: median(composite), whole: median(whole) };
  }
}

function keep(list: number[], value: number): void {
  list.push(value);
  if (list.length > KEPT) list.shift();
}

function median(list: readonly number[]): number {
  return [...list].sort((one, other) => one - other)[list.length >> 1] ?? 0;
}

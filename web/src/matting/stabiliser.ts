/** A steady alpha for a stream: temporal.py's `Stabiliser`, whose docstrings say why it is so. */

import { Motion, ONE, REACH, RISE as RISE_BY_CHANGE } from "./motion";
import { BoxMean } from "./planes";

const PATIENCE = 1.5;
const LETTING_GO = 0.1;
const FADE = 0.3;
const RISE = 0.06;
const MARGIN = 0.15;
const CUT = 0.5;
const GAP = 0.5;
const DIFFERENT = 0.5;
const TIMES = 2;

export class Stabiliser {
  private readonly motion: Motion;
  private readonly alpha: Float32Array;
  private readonly evidence: Float32Array;
  private readonly around: Float32Array;
  private readonly mean: BoxMean;
  private time = -Infinity;
  private contradictions = 0;

  constructor(width: number, height: number) {
    this.motion = new Motion(width, height);
    this.alpha = new Float32Array(width * height);
    this.evidence = new Float32Array(width * height);
    this.around = new Float32Array(width * height);
    this.mean = new BoxMean(width, height, REACH / 2, false);
  }

  /** Forget the stream: the next alpha passes as it is. */
  reset(): void {
    this.time = -Infinity;
  }

  /**
   * Take the next frame: `picture`, RGB with rows of `stride` pixels, as the network saw it; `alpha`, what it said,
   * which is written over; `time` in seconds.
   */
  apply(picture: Uint8Array, stride: number, alpha: Float32Array, time: number): void {
    const passed = time - this.time;
    this.time = time;
    const isNew = !(passed > 0 && passed <= GAP);
    if (isNew || this.motion.look(picture, stride, passed) > CUT || this.contradicted(alpha)) {
      this.motion.start(picture, stride);
      this.alpha.set(alpha);
      this.evidence.set(alpha);
      this.contradictions = 0;
    } else {
      this.blend(alpha, passed);
    }
    alpha.set(this.alpha);
  }

  private contradicted(alpha: Float32Array): boolean {
    let union = 0;
    let common = 0;
    for (let place = 0; place < alpha.length; place++) {
      const now = alpha[place]! >= 0.5;
      const before = this.alpha[place]! >= 0.5;
      if (now || before) union++;
      if (now && before) common++;
    }
    this.contradictions = common < DIFFERENT * union ? this.contradictions + 1 : 0;
    return this.contradictions >= TIMES;
  }

  private blend(alpha: Float32Array, passed: number): void {
    const { change, near } = this.motion;
    const least = -Math.expm1(-passed / PATIENCE);
    const release = -Math.expm1(-passed / LETTING_GO);
    const fade = -Math.expm1(-passed / FADE);
    this.mean.apply(alpha, this.around);
    for (let place = 0; place < alpha.length; place++) {
      const said = alpha[place]!;
      const before = this.alpha[place]!;
      const sure = (said - 0.5) * (said - 0.5);
      const doubt = ((4 * near[place]!) / 255) * sure;
      const changed = Math.round(change[place]!);
      let rate: number;
      if (said > before) {
        rate = Math.max(doubt * RISE * (1 - least) + least, RISE_BY_CHANGE[changed]!);
      } else {
        // A hole in the person is believed late, what lies outside of all but a few of the new pixels around it soon.
        const outside = Math.max(0, 4 * release - 8 * release * this.around[place]!) * sure;
        rate = changed >= ONE ? 1 : Math.max(doubt, outside) * (1 - least) + least;
      }
      const evidence = this.evidence[place]! + (said - this.evidence[place]!) * rate;
      this.evidence[place] = evidence;
      const was = before >= 0.5;
      if (said >= 0.5 !== was) {
        const convinced = was ? evidence < 0.5 - MARGIN : evidence >= 0.5 + MARGIN;
        rate = changed < ONE && !convinced ? 0 : Math.max(rate, fade);
      }
      const value = before + (said - before) * rate;
      // What no eye sees ends here: numbers that shrink for ever become slow to compute with.
      this.alpha[place] = value < 1e-4 ? 0 : value > 1 - 1e-4 ? 1 : value;
    }
  }
}

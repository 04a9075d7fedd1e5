/** From what the network says to an alpha: made crisp, judged, tidied (preprocess.py and live/plausible.py). */

import type { Fit } from "./fit";

const LOW = 0.25;
const HIGH = 0.75;
const FULL = 0.98; // of the picture: under such a mask there is nothing left to hide
const SUDDEN = 0.9; // a mask that jumps beyond this from one picture to the next ...
const BEFORE = 0.7; // ... and was below this is not believed until it is below SUDDEN again
const HOLE = 0.003; // parts of the picture
const SPECK = 0.002;
const SURE = 0.88; // of the network's output

/** What must not be shown, and why: one line for the user. */
export class Implausible extends Error {}

/** The network's border cut off and [LOW, HIGH] stretched to [0, 1], into `out`, (height, width). */
export function crisp(output: Float32Array, fit: Fit, out: Float32Array): void {
  for (let y = 0, place = 0; y < fit.height; y++) {
    const start = y * fit.inputWidth;
    for (let x = 0; x < fit.width; x++, place++) {
      const value = output[start + x]!;
      if (!(value > -1e30 && value < 1e30)) throw new Implausible("the network gave a value that is no number");
      out[place] = Math.min(1, Math.max(0, (value - LOW) / (HIGH - LOW)));
    }
  }
}

/** Looks at a stream's masks, one after another: one that hides nothing cannot be told from a broken one. */
export class Plausible {
  private covered = 1; // share of the picture under the last one that was believed; nothing is a jump at first

  check(alpha: Float32Array): void {
    let sum = 0;
    for (let place = 0; place < alpha.length; place++) sum += alpha[place]!;
    const covered = sum / alpha.length;
    if (!(covered < FULL)) throw new Implausible("the mask covers the whole picture");
    if (covered > SUDDEN && this.covered < BEFORE) {
      throw new Implausible("the mask suddenly covers almost the whole picture");
    }
    this.covered = covered;
  }
}

/** The connected parts of a mask, one after another; its own memory is used again. */
class Parts {
  readonly seen: Uint8Array; // 0 where a pixel is in the mask and in no part yet
  readonly part: Int32Array; // the pixels of one connected part; also the stack of those to look at

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.seen = new Uint8Array(width * height);
    this.part = new Int32Array(width * height);
  }

  /** The unseen part that `start` belongs to, into `part`; how many pixels it has. */
  collect(start: number, diagonal: boolean): number {
    const { width, height, seen, part } = this;
    let size = 0;
    const take = (place: number): void => {
      if (seen[place] === 0) {
        seen[place] = 1;
        part[size++] = place;
      }
    };
    take(start);
    for (let next = 0; next < size; next++) {
      const place = part[next]!;
      const x = place % width;
      const left = x > 0;
      const right = x < width - 1;
      if (left) take(place - 1);
      if (right) take(place + 1);
      if (place >= width) {
        take(place - width);
        if (diagonal && left) take(place - width - 1);
        if (diagonal && right) take(place - width + 1);
      }
      if (place < width * (height - 1)) {
        take(place + width);
        if (diagonal && left) take(place + width - 1);
        if (diagonal && right) take(place + width + 1);
      }
    }
    return size;
  }

  touchesBorder(size: number): boolean {
    const { width, height, part } = this;
    for (let one = 0; one < size; one++) {
      const x = part[one]! % width;
      if (x === 0 || x === width - 1 || part[one]! < width || part[one]! >= width * (height - 1)) return true;
    }
    return false;
  }
}

/** Empties the parts of a network's output that it is hardly sure of, in place. */
export class Doubt {
  private readonly parts: Parts;

  constructor(width: number, height: number) {
    this.parts = new Parts(width, height);
  }

  apply(output: Float32Array): void {
    const { seen, part } = this.parts;
    for (let place = 0; place < output.length; place++) seen[place] = output[place]! > 0.1 ? 0 : 1;
    for (let place = 0; place < output.length; place++) {
      if (seen[place] !== 0) continue;
      const size = this.parts.collect(place, true);
      let [person, sure] = [0, 0];
      for (let one = 0; one < size; one++) {
        const value = output[part[one]!]!;
        if (value >= 0.5) person++;
        if (value > SURE) sure++;
      }
      if (sure > MODEL_SURE * person) continue;
      for (let one = 0; one < size; one++) output[part[one]!] = 0;
    }
  }
}

/** Fills small holes inside the person and drops specks outside, in place. */
export class Tidy {
  private readonly parts: Parts;

  constructor(width: number, height: number) {
    this.parts = new Parts(width, height);
  }

  apply(alpha: Float32Array): void {
    this.fillHoles(alpha);
    this.dropSpecks(alpha);
  }

  private fillHoles(alpha: Float32Array): void {
    const { seen, part } = this.parts;
    const holes: number[] = [];
    for (let place = 0; place < alpha.length; place++) seen[place] = alpha[place]! < 0.5 ? 0 : 1;
    for (let place = 0; place < alpha.length; place++) {
      if (seen[place] !== 0) continue;
      const size = this.parts.collect(place, false);
      if (size >= HOLE * alpha.length || this.parts.touchesBorder(size)) continue;
      for (let one = 0; one < size; one++) holes.push(part[one]!);
    }
    for (const place of holes) this.fillAround(alpha, place);
  }

  /** With the hole's soft rim. */
  private fillAround(alpha: Float32Array, place: number): void {
    const { width, height } = this.parts;
    const x = place % width;
    const y = (place - x) / width;
    for (let row = Math.max(0, y - 2); row <= Math.min(height - 1, y + 2); row++) {
      alpha.fill(1, row * width + Math.max(0, x - 2), row * width + Math.min(width - 1, x + 2) + 1);
    }
  }

  private dropSpecks(alpha: Float32Array): void {
    const { seen, part } = this.parts;
    for (let place = 0; place < alpha.length; place++) seen[place] = alpha[place]! > 0.1 ? 0 : 1;
    for (let place = 0; place < alpha.length; place++) {
      if (seen[place] !== 0) continue;
      const size = this.parts.collect(place, true);
      let most = 0;
      for (let one = 0; one < size; one++) most = Math.max(most, alpha[part[one]!]!);
      if (size >= SPECK * alpha.length && most >= 0.5) continue;
      for (let one = 0; one < size; one++) alpha[part[one]!] = 0;
    }
  }
}

/** Blur that takes its colours from some pixels only, and the room blurred without the person (smoothing.py, backgrounds.py). */

import { BoxMean } from "./planes";

const ROUNDS = 3;

export interface Rgb {
  readonly data: Uint8ClampedArray; // RGBA, opaque
  readonly width: number;
  readonly height: number;
}

/** A few box means are near enough to a Gaussian of this sigma, and take the same time whatever it is. */
function sideOf(sigma: number): number {
  return 2 * Math.round((Math.sqrt((12 * sigma * sigma) / ROUNDS + 1) - 1) / 2) + 1;
}

/** Normalised convolution: a mean in which each pixel counts by its weight; where none is near, that of the picture. */
export class WeightedBlur {
  readonly out: Rgb;
  private readonly planes: [Float32Array, Float32Array, Float32Array, Float32Array];
  private mean: { side: number; box: BoxMean } | null = null;

  constructor(width: number, height: number) {
    const plane = (): Float32Array => new Float32Array(width * height);
    this.out = { data: new Uint8ClampedArray(4 * width * height).fill(128), width, height };
    this.planes = [plane(), plane(), plane(), plane()];
  }

  /** `colours`: rows of pixels of `step` numbers, red first. Nothing changes where no pixel has a weight. */
  apply(colours: Uint8Array | Uint8ClampedArray, step: number, weight: Float32Array, sigma: number): void {
    const { out, planes } = this;
    const [red, green, blue, share] = planes;
    const total = [0, 0, 0, 0];
    for (let place = 0, at = 0; place < share.length; place++, at += step) {
      const part = weight[place]!;
      total[0]! += red[place] = colours[at]! * part;
      total[1]! += green[place] = colours[at + 1]! * part;
      total[2]! += blue[place] = colours[at + 2]! * part;
      total[3]! += share[place] = part;
    }
    if (total[3] === 0) return void out.data.fill(128);
    for (const plane of planes) this.smooth(plane, sideOf(sigma));
    const little = 1e-4;
    for (let place = 0, at = 0; place < share.length; place++, at += 4) {
      const sum = share[place]! + little;
      out.data[at] = (red[place]! + (little * total[0]!) / total[3]!) / sum;
      out.data[at + 1] = (green[place]! + (little * total[1]!) / total[3]!) / sum;
      out.data[at + 2] = (blue[place]! + (little * total[2]!) / total[3]!) / sum;
      out.data[at + 3] = 255;
    }
  }

  private smooth(plane: Float32Array, side: number): void {
    if (this.mean?.side !== side) this.mean = { side, box: new BoxMean(this.out.width, this.out.height, side) };
    for (let round = 0; round < ROUNDS; round++) this.mean.box.apply(plane, plane);
  }
}

/** The room of a picture as the network saw it, blurred; no pixel of the person colours it, so the person has no halo. */
export class RoomBlur {
  private readonly blur: WeightedBlur;
  private readonly small: Uint8ClampedArray;
  private readonly person: Uint8Array;
  private readonly room: Float32Array;

  constructor(
    private readonly width: number,
    private readonly height: number,
    private readonly shrink: 1 | 2,
  ) {
    const [across, down] = [Math.max(1, Math.floor(width / shrink)), Math.max(1, Math.floor(height / shrink))];
    this.blur = new WeightedBlur(across, down);
    this.small = new Uint8ClampedArray(4 * across * down);
    this.person = new Uint8Array(across * down);
    this.room = new Float32Array(across * down);
  }

  /** A wide blur needs few pixels; `strength` is its sigma in thousandths of the longest side. */
  static shrinkFor(strength: number): 1 | 2 {
    return strength >= 10 ? 2 : 1;
  }

  /** `picture`: RGB with rows of `stride` pixels; `alpha`, (height, width). */
  apply(picture: Uint8Array, stride: number, alpha: Float32Array, strength: number): Rgb {
    this.gather(picture, stride, alpha);
    this.keepRoom();
    const sigma = (Math.max(this.width, this.height) * strength) / 1000 / this.shrink;
    this.blur.apply(this.small, 4, this.room, sigma);
    return this.blur.out;
  }

  /** Any pixel of the person, be it a single one, takes its whole block out. */
  private gather(picture: Uint8Array, stride: number, alpha: Float32Array): void {
    const { shrink, small, person, blur } = this;
    for (let y = 0, place = 0; y < blur.out.height; y++) {
      for (let x = 0; x < blur.out.width; x++, place++) {
        let red = 0;
        let green = 0;
        let blue = 0;
        let most = 0;
        for (let row = y * shrink; row < (y + 1) * shrink; row++) {
          for (let column = x * shrink; column < (x + 1) * shrink; column++) {
            const at = 3 * (row * stride + column);
            red += picture[at]!;
            green += picture[at + 1]!;
            blue += picture[at + 2]!;
            most = Math.max(most, alpha[row * this.width + column]!);
          }
        }
        const scale = 1 / (shrink * shrink);
        small[4 * place] = red * scale;
        small[4 * place + 1] = green * scale;
        small[4 * place + 2] = blue * scale;
        person[place] = most > 0.02 ? 1 : 0;
      }
    }
  }

  /** What is not next to the person either. The guided filter reaches two pixels further than the alpha it was given. */
  private keepRoom(): void {
    const { person, room, blur } = this;
    const { width, height } = blur.out;
    const reach = Math.ceil(4 / this.shrink);
    for (let y = 0, place = 0; y < height; y++) {
      for (let x = 0; x < width; x++, place++) room[place] = this.isNear(person, x, y, reach) ? 0 : 1;
    }
  }

  private isNear(person: Uint8Array, x: number, y: number, reach: number): boolean {
    const { width, height } = this.blur.out;
    for (let row = Math.max(0, y - reach); row <= Math.min(height - 1, y + reach); row++) {
      const start = row * width;
      for (let at = start + Math.max(0, x - reach); at <= start + Math.min(width - 1, x + reach); at++) {
        if (person[at] !== 0) return true;
      }
    }
    return false;
  }
}

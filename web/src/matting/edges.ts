/**
 * On the CPU, for frames of one size: the alpha's edges moved to those of the frame (refine.py), and the frame cut out
 * along them, its colours freed of the room's (compositor.py's `cutout`).
 */

import { Active } from "./active";
import type { Fit } from "./fit";
import { fillBorder, isLarge, toInputByArea } from "./input";
import { Kernels, type Placed } from "./kernels";
import { axis } from "./planes";
import { fineOf, GuidedFit, paceOf, type Fine } from "./refine";

const NEAR_SIDE = 224;
// By 8-bit alpha: how sure a pixel is of the person, 0 up to the half, and its voice among the colours nearby.
export const SURE = Float32Array.from({ length: 256 }, (_, level) => Math.min(1, Math.max(0, (level - 128) / 127)));
const VOICE = SURE.map((sure) => (sure > 0 ? Math.max(sure ** 16, 1e-6) : 0));

/** The size of the small copy on which colours nearby are found. */
function nearOf(fit: Fit): { width: number; height: number } {
  const scale = Math.min(1, NEAR_SIDE / Math.max(fit.frameWidth, fit.frameHeight));
  return { width: Math.max(1, Math.round(fit.frameWidth * scale)), height: Math.max(1, Math.round(fit.frameHeight * scale)) };
}

function bytesFor(fit: Fit, fine: Fine, near: { width: number; height: number }): number {
  const sides = 4 * (fit.frameWidth + fit.frameHeight + fine.width + fine.height + fit.width + fit.height);
  const small = fit.width * fit.height * (GuidedFit.BYTES + 8) + 3 * fit.inputWidth * fit.inputHeight;
  return 4 * fit.frameWidth * fit.frameHeight + 14 * fine.width * fine.height + small + 40 * near.width * near.height + 16 * sides + Active.bytes(fit.width, fit.height, fine.height);
}

export class Edges {
  /** The frame, RGBA: to be filled, and after `cut` the person on transparent black. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
  readonly kernels: Kernels;
  private readonly frame: Placed<Uint8ClampedArray<ArrayBuffer>>;
  private readonly words: Uint32Array;
  private readonly input: Placed<Uint8ClampedArray>;
  private readonly small: Placed<Float32Array>;
  private readonly refined: Refined | null; // null where the frame has no edges to add to the alpha
  private readonly near: { width: number; height: number };
  private readonly sample: Placed<Uint8ClampedArray>;
  private readonly voice: Placed<Float32Array>;
  private readonly work: Placed<Float32Array>;
  private readonly colours: Placed<Uint8ClampedArray>;
  private readonly axes: Record<"across" | "downward" | "cut" | "cutRows" | "near" | "nearRows", number>;

  constructor(
    module: WebAssembly.Module,
    private readonly fit: Fit,
    more = 0, // bytes of memory for others
  ) {
    const { frameWidth, frameHeight, width, height } = fit;
    const fine = fineOf(frameWidth, frameHeight, width);
    this.near = nearOf(fit);
    const size = this.near.width * this.near.height;
    const kernels = (this.kernels = new Kernels(module, bytesFor(fit, fine, this.near) + more));
    this.frame = kernels.bytes(4 * frameWidth * frameHeight);
    this.pixels = this.frame.view;
    this.words = new Uint32Array(this.pixels.buffer, this.frame.at, frameWidth * frameHeight);
    this.input = kernels.bytes(3 * fit.inputWidth * fit.inputHeight);
    this.small = kernels.floats(width * height);
    this.refined = frameWidth <= width || frameHeight <= height ? null : new Refined(kernels, this.frame.at, fit, fine, this.small);
    this.sample = kernels.bytes(4 * size);
    this.colours = kernels.bytes(4 * size);
    this.voice = kernels.floats(size);
    this.work = kernels.floats(5 * size);
    this.axes = {
      across: kernels.axis(frameWidth, width),
      downward: kernels.axis(frameHeight, height),
      cut: kernels.axis(this.refined?.fine.width ?? width, frameWidth),
      cutRows: kernels.axis(this.refined?.fine.height ?? height, frameHeight),
      near: kernels.axis(this.near.width, frameWidth),
      nearRows: kernels.axis(this.near.height, frameHeight),
    };
  }

  /** Where the kernels find `pixels`. */
  get frameAt(): number {
    return this.frame.at;
  }

  /** Forget the frames before. */
  reset(): void {
    this.refined?.reset();
  }

  /** What the network is to see of the frame, into `out`: RGB, (inputHeight, inputWidth). */
  readInput(out: Uint8Array): void {
    const { fit, input, axes } = this;
    if (isLarge(fit)) toInputByArea(this.pixels, fit, out);
    else {
      this.kernels.run.input(this.frame.at, fit.frameWidth, axes.across, fit.width, axes.downward, fit.height, input.at, fit.inputWidth);
      out.set(input.view);
    }
    fillBorder(fit, out);
  }

  /** Of the frame only its person is left. `alpha`: (height, width), of this very frame; `time` in seconds, of a stream. */
  cut(alpha: Float32Array, time: number): void {
    const { fit, refined, axes, near, colours } = this;
    this.small.view.set(alpha);
    refined?.apply(time);
    const from = refined?.alpha ?? this.small;
    const [width, height] = refined === null ? [fit.width, fit.height] : [refined.fine.width, refined.fine.height];
    this.gather(from.view, width, height);
    const { at, pitch, lineOf } = refined?.spans ?? { at: 0, pitch: 0, lineOf: 0 };
    this.kernels.run.cut(
      at, pitch, lineOf, this.frame.at, fit.frameWidth, fit.frameHeight, from.at, width,
      axes.cut, axes.cutRows, colours.at, near.width, axes.near, axes.nearRows,
    );
  }

  /** Around each pixel the colour of the sure pixels of the person. Single pixels, no means: those would let the room in. */
  private gather(alpha: Float32Array, width: number, height: number): void {
    const { near, fit, sample, voice, words } = this;
    const samples = new Uint32Array(sample.view.buffer, sample.at, near.width * near.height);
    const across = axis(width, fit.frameWidth);
    const downward = axis(height, fit.frameHeight);
    for (let y = 0, place = 0; y < near.height; y++) {
      const row = Math.floor((y * fit.frameHeight) / near.height);
      const over = width * downward.first[row]!;
      const under = width * downward.second[row]!;
      for (let x = 0; x < near.width; x++, place++) {
        const column = Math.floor((x * fit.frameWidth) / near.width);
        const left = across.first[column]!;
        const right = across.second[column]!;
        const along = across.share[column]!;
        const above = alpha[over + left]! + (alpha[over + right]! - alpha[over + left]!) * along;
        const below = alpha[under + left]! + (alpha[under + right]! - alpha[under + left]!) * along;
        voice.view[place] = VOICE[((above + (below - above) * downward.share[row]!) * 255 + 0.5) | 0]!;
        samples[place] = words[row * fit.frameWidth + column]!;
      }
    }
    this.kernels.run.nearby(sample.at, voice.at, this.work.at, this.colours.at, near.width, near.height);
  }
}

/** The alpha along the frame's edges. */
class Refined {
  readonly alpha: Placed<Float32Array>; // (fine.height, fine.width)
  private readonly active: Active;
  private readonly guided: GuidedFit;
  private readonly seen: Placed<Uint8ClampedArray>; // planes of brightness, red, green and blue
  private readonly known: Placed<Int16Array>; // smoothed colours when alpha was last believed
  private readonly columns: number;
  private readonly rows: number; // slopes and offsets of one, by the alpha's columns
  private readonly axes: { across: number; downward: number; fine: number; fineRows: number };
  private time = -Infinity;

  constructor(
    private readonly kernels: Kernels,
    private readonly frame: number,
    private readonly fit: Fit,
    readonly fine: Fine,
    private readonly small: Placed<Float32Array>,
  ) {
    const size = fine.width * fine.height;
    this.active = new Active(kernels, fit.width, fit.height, fine.width, fine.height);
    this.alpha = kernels.floats(size);
    this.seen = kernels.bytes(4 * size);
    this.known = kernels.shorts(3 * size);
    this.guided = new GuidedFit(kernels, fit.width * fit.height);
    this.columns = kernels.shorts(3 * (fine.width + 8)).at;
    this.rows = kernels.floats(2 * fit.width).at;
    this.axes = {
      across: kernels.axis(fine.width, fit.width),
      downward: kernels.axis(fine.height, fit.height),
      fine: kernels.axis(fit.width, fine.width),
      fineRows: kernels.axis(fit.height, fine.height),
    };
  }

  reset(): void {
    this.time = -Infinity;
  }

  /** Where the alpha is whole, as the kernels read it. */
  get spans(): { at: number; pitch: number; lineOf: number } {
    return { at: this.active.spans.at, pitch: this.active.pitch, lineOf: this.active.lineOf.at };
  }

  apply(time: number): void {
    const { fine, fit, active, seen, guided, axes } = this;
    const { run } = this.kernels;
    const pace = paceOf(time - this.time);
    this.time = time;
    active.find(this.small.at);
    const { at, pitch, lineOf } = this.spans;
    const { left, top, right, bottom } = active.box;
    run.look(at, pitch, lineOf, this.frame, fit.frameWidth, fine.times, seen.at, fine.width, fine.height);
    run.pack(
      seen.at, fine.width, axes.across, fit.width, axes.downward, fit.height, this.small.at,
      left, top, right, bottom, guided.guide.at, guided.alpha.at,
    );
    if (bottom > top) guided.apply(right - left, bottom - top);
    run.follow(
      at, pitch, lineOf, seen.at, fine.width, fine.height, axes.fine, axes.fineRows,
      guided.slope.at, guided.offset.at, left, top, right, bottom, this.rows, fit.width,
      this.known.at, this.alpha.at, this.columns, pace.up, pace.down, Number(pace.isNew),
    );
  }
}

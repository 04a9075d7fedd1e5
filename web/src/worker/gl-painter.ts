/** With a graphics card: refinement and composite as shaders; only the network's input comes back into memory. */

import { RoomBlur } from "../matting/blur";
import { SURE } from "../matting/edges";
import { fillBorder } from "../matting/input";
import type { Fit } from "../matting/fit";
import { Kernels } from "../matting/kernels";
import { fineOf, GuidedFit, paceOf, type Fine } from "../matting/refine";
import { dropTarget, makeTarget, makeTexture, Program, type Target } from "./gl";
import type { Scenery } from "./messages";
import { CARD, covering, type Frame, type Painter } from "./painter";
import * as shaders from "./shaders";

const NEARBY_SIDE = 224;
// Graphics cards played by the processor: slower than what the processor does by itself.
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** A painter on the canvas' graphics card; null where there is none worth its name. */
export function openGlPainter(canvas: OffscreenCanvas, evenSlow: boolean): Painter | null {
  // Asked of another canvas first: one that has given a context of one kind gives none of another.
  if (contextOf(new OffscreenCanvas(1, 1), evenSlow) === null) return null;
  const gl = contextOf(canvas, evenSlow);
  return gl === null ? null : new GlPainter(canvas, gl);
}

function contextOf(canvas: OffscreenCanvas, evenSlow: boolean): WebGL2RenderingContext | null {
  const settings = { antialias: false, depth: false, failIfMajorPerformanceCaveat: !evenSlow };
  const gl = canvas.getContext("webgl2", settings);
  if (gl === null || gl.getExtension("EXT_color_buffer_float") === null) return null;
  return evenSlow || !SOFTWARE.test(nameOf(gl)) ? gl : null;
}

function nameOf(gl: WebGL2RenderingContext): string {
  const debug = gl.getExtension("WEBGL_debug_renderer_info");
  return String(gl.getParameter(debug?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER));
}

class GlPainter implements Painter {
  readonly words = "WebGL2";
  private readonly programs: Record<"look" | "small" | "fine" | "weigh" | "spread" | "composite", Program>;
  private readonly frame: WebGLTexture;
  private readonly behind: WebGLTexture;
  private readonly fitted: WebGLTexture;
  kernels: WebAssembly.Module | null = null;
  private fit: Fit | null = null;
  private parts: Parts | null = null;
  private time = -Infinity;
  private shown: ImageBitmap | null = null; // the picture in `behind`; null where it is a blurred room, or nothing
  private hasRoom = false;

  constructor(
    private readonly canvas: OffscreenCanvas,
    private readonly gl: WebGL2RenderingContext,
  ) {
    const program = (text: string): Program => new Program(gl, shaders.VERTEX, text);
    this.programs = {
      look: program(shaders.LOOK),
      small: program(shaders.SMALL),
      fine: program(shaders.FINE),
      weigh: program(shaders.WEIGH),
      spread: program(shaders.SPREAD),
      composite: program(shaders.COMPOSITE),
    };
    this.frame = makeTexture(gl, gl.LINEAR);
    this.behind = makeTexture(gl, gl.LINEAR);
    this.fitted = makeTexture(gl, gl.LINEAR);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  }

  resize(fit: Fit): void {
    this.canvas.width = fit.frameWidth;
    this.canvas.height = fit.frameHeight;
    this.fit = fit;
    this.parts?.drop(this.gl);
    this.parts = null;
    this.hasRoom = false;
    this.reset();
  }

  reset(): void {
    this.time = -Infinity;
  }

  async load(frame: Frame): Promise<void> {
    const { gl } = this;
    if (gl.isContextLost()) throw new Error("the graphics card is busy with something else");
    gl.bindTexture(gl.TEXTURE_2D, this.frame);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, frame);
  }

  input(out: Uint8Array): void {
    const { gl, programs } = this;
    const { fit, fine, seen, small, pixels, guided } = this.ready();
    const guide = guided.guide.view;
    programs.look.run(seen, { frame: this.frame }, (set) => set.whole("times", fine.times));
    programs.small.run(small, { frame: this.frame, seen: seen.texture }, (set) => set.floats("size", fit.width, fit.height));
    gl.readPixels(0, 0, fit.width, fit.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    for (let y = 0, from = 0; y < fit.height; y++) {
      for (let x = 0, to = 3 * y * fit.inputWidth; x < fit.width; x++, from += 4, to += 3) {
        out[to] = pixels[from]!;
        out[to + 1] = pixels[from + 1]!;
        out[to + 2] = pixels[from + 2]!;
        guide[from >> 2] = pixels[from + 3]! / 255;
      }
    }
    fillBorder(fit, out);
  }

  paint(input: Uint8Array, alpha: Float32Array, time: number, scenery: Scenery): void {
    this.refine(alpha, time);
    this.gatherNearby(alpha);
    if (scenery.kind === "blur") this.keepRoom(input, alpha, scenery.strength);
    this.draw(scenery, false);
  }

  cover(scenery: Scenery): void {
    this.draw(scenery, true);
  }

  private refine(alpha: Float32Array, time: number): void {
    const { gl, programs } = this;
    const parts = this.ready();
    const { fit, fine, guided, lines } = parts;
    const pace = paceOf(time - this.time);
    this.time = time;
    guided.alpha.view.set(alpha);
    guided.apply(fit.width, fit.height);
    const [slope, offset] = [guided.slope.view, guided.offset.view];
    for (let place = 0; place < slope.length; place++) {
      lines[2 * place] = slope[place]!;
      lines[2 * place + 1] = offset[place]!;
    }
    gl.bindTexture(gl.TEXTURE_2D, this.fitted);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RG16F, fit.width, fit.height, 0, gl.RG, gl.FLOAT, lines);
    const textures = { seen: parts.seen.texture, fit: this.fitted, before: parts.before.texture };
    programs.fine.run(parts.now, textures, (set) => {
      set.whole("edge", fine.width - 1, fine.height - 1);
      set.floats("size", fine.width, fine.height);
      set.floats("pace", pace.up, pace.down, Number(pace.isNew));
    });
    parts.swap();
  }

  /** Around each pixel the colour of the sure pixels of the person. */
  private gatherNearby(alpha: Float32Array): void {
    const { programs } = this;
    const { fit, before: fine, voices, spread, nearby, pixels } = this.ready();
    programs.weigh.run(voices, { frame: this.frame, fine: fine.texture }, (set) => {
      set.floats("full", fit.frameWidth, fit.frameHeight);
      set.floats("size", voices.width, voices.height);
    });
    const mean = meanOf(pixels, alpha);
    programs.spread.run(spread, { source: voices.texture }, (set) => {
      set.whole("along", 1, 0);
      set.whole("last", 0);
    });
    programs.spread.run(nearby, { source: spread.texture }, (set) => {
      set.whole("along", 0, 1);
      set.whole("last", 1);
      set.floats("mean", ...mean, 1);
    });
  }

  private keepRoom(input: Uint8Array, alpha: Float32Array, strength: number): void {
    const { gl } = this;
    const { data, width, height } = this.ready().blurred(input, alpha, strength);
    gl.bindTexture(gl.TEXTURE_2D, this.behind);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, data);
    this.shown = null;
    this.hasRoom = true;
  }

  private showPicture(picture: ImageBitmap): void {
    if (this.shown === picture) return;
    const { gl } = this;
    gl.bindTexture(gl.TEXTURE_2D, this.behind);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, picture);
    this.shown = picture;
    this.hasRoom = false;
  }

  private draw(scenery: Scenery, cover: boolean): void {
    if (this.fit === null) return;
    const { fit, parts } = this;
    let part = [0, 0, 1, 1];
    if (scenery.kind === "picture") {
      this.showPicture(scenery.picture);
      const { width, height } = scenery.picture;
      const [x, y, w, h] = covering(scenery.picture, fit.frameWidth, fit.frameHeight);
      part = [x / width, y / height, w / width, h / height];
    }
    const [fine, nearby] = parts === null ? [this.behind, this.behind] : [parts.before.texture, parts.nearby.texture];
    const textures = { frame: this.frame, fine, nearby, behind: this.behind }; // of which a cover reads only the last
    this.programs.composite.run(null, textures, (set) => {
      set.floats("full", fit.frameWidth, fit.frameHeight);
      set.floats("part", ...part);
      set.floats("plain", ...this.plainOf(scenery));
      set.whole("cover", Number(cover));
    });
  }

  private plainOf(scenery: Scenery): number[] {
    if (scenery.kind === "picture" || (scenery.kind === "blur" && this.hasRoom)) return [0, 0, 0, -1];
    if (scenery.kind === "transparent") return [0, 0, 0, 0];
    const colour = scenery.kind === "colour" ? scenery.colour : CARD;
    return [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255).concat(1);
  }

  private ready(): Parts {
    if (this.kernels === null || this.fit === null) throw new Error("the kernels and a size come first");
    this.parts ??= new Parts(this.gl, this.kernels, this.fit);
    return this.parts;
  }
}

/** Everything that depends on the frames' size. */
class Parts {
  readonly fine: Fine;
  readonly pixels: Uint8Array; // RGBA as read back: colours, and the brightness as the fourth
  readonly lines: Float32Array; // slope and offset, side by side
  readonly guided: GuidedFit;
  readonly seen: Target;
  readonly small: Target;
  readonly voices: Target;
  readonly spread: Target;
  readonly nearby: Target;
  now: Target;
  before: Target; // after `swap`: the newest
  private blur: { shrink: number; room: RoomBlur } | null = null;

  constructor(
    gl: WebGL2RenderingContext,
    kernels: WebAssembly.Module,
    readonly fit: Fit,
  ) {
    const { width, height, frameWidth, frameHeight } = fit;
    this.fine = fineOf(frameWidth, frameHeight, width);
    this.pixels = new Uint8Array(4 * width * height);
    this.lines = new Float32Array(2 * width * height);
    this.guided = new GuidedFit(new Kernels(kernels, GuidedFit.BYTES * width * height + 1024), width * height);
    const fine = (format: number): Target => makeTarget(gl, format, this.fine.width, this.fine.height, gl.LINEAR);
    this.seen = fine(gl.RGBA8);
    this.now = fine(gl.RGBA16F);
    this.before = fine(gl.RGBA16F);
    this.small = makeTarget(gl, gl.RGBA8, width, height, gl.NEAREST);
    const scale = Math.min(1, NEARBY_SIDE / Math.max(frameWidth, frameHeight));
    const [across, down] = [Math.max(1, Math.round(frameWidth * scale)), Math.max(1, Math.round(frameHeight * scale))];
    this.voices = makeTarget(gl, gl.RGBA32F, across, down, gl.NEAREST);
    this.spread = makeTarget(gl, gl.RGBA32F, across, down, gl.NEAREST);
    this.nearby = makeTarget(gl, gl.RGBA8, across, down, gl.LINEAR);
  }

  swap(): void {
    [this.now, this.before] = [this.before, this.now];
  }

  blurred(input: Uint8Array, alpha: Float32Array, strength: number): { data: Uint8ClampedArray; width: number; height: number } {
    const shrink = RoomBlur.shrinkFor(strength);
    if (this.blur?.shrink !== shrink) this.blur = { shrink, room: new RoomBlur(this.fit.width, this.fit.height, shrink) };
    return this.blur.room.apply(input, this.fit.inputWidth, alpha, strength);
  }

  drop(gl: WebGL2RenderingContext): void {
    for (const target of [this.seen, this.small, this.now, this.before, this.voices, this.spread, this.nearby]) dropTarget(gl, target);
  }
}

/** The mean colour of the sure pixels, each as 0 to 1: what stands where none is near. */
function meanOf(pixels: Uint8Array, alpha: Float32Array): [number, number, number] {
  let [red, green, blue, all] = [0, 0, 0, 1e-9];
  for (let place = 0; place < alpha.length; place += 3) {
    const voice = SURE[Math.round(alpha[place]! * 255)]!;
    red += pixels[4 * place]! * voice;
    green += pixels[4 * place + 1]! * voice;
    blue += pixels[4 * place + 2]! * voice;
    all += voice;
  }
  return [red / all / 255, green / all / 255, blue / all / 255];
}

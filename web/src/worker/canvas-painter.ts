/** Without a graphics card: everything is done in memory, and the canvas is handed whole pictures. */

import { Behind } from "../matting/behind";
import { RoomBlur, type Rgb } from "../matting/blur";
import { Edges } from "../matting/edges";
import type { Fit } from "../matting/fit";
import type { Scenery } from "./messages";
import { CARD, covering, type Frame, type Painter } from "./painter";

const ROOM = "room"; // no colour's name

type Context = OffscreenCanvasRenderingContext2D;

function contextOf(canvas: OffscreenCanvas, settings: CanvasRenderingContext2DSettings = {}): Context {
  const context = canvas.getContext("2d", settings);
  if (context === null) throw new Error("this browser gives no canvas to draw on");
  return context;
}

export class CanvasPainter implements Painter {
  readonly words = "Canvas 2D";
  private readonly context: Context;
  private reader: Context | null = null;
  private scaler: Context | null = null; // of pictures behind
  kernels: WebAssembly.Module | null = null;
  private fit: Fit | null = null;
  private parts: Parts | null = null;
  private holds: ImageBitmap | string | null = null; // what `parts.behind` does: a picture, a colour, or ROOM

  constructor(private readonly canvas: OffscreenCanvas) {
    this.context = contextOf(canvas);
  }

  resize(fit: Fit): void {
    this.fit = fit;
    this.canvas.width = fit.frameWidth;
    this.canvas.height = fit.frameHeight;
    this.parts = this.reader = this.scaler = this.holds = null;
  }

  reset(): void {
    this.parts?.edges.reset();
  }

  async load(frame: Frame): Promise<void> {
    const { pixels, fit } = this.ready();
    if ("copyTo" in frame && isPlain(frame, fit)) {
      try {
        await frame.copyTo(pixels, { format: "RGBA", colorSpace: "srgb" });
        return;
      } catch {
        // A browser that cannot convert: the canvas can.
      }
    }
    this.reader ??= contextOf(new OffscreenCanvas(fit.frameWidth, fit.frameHeight), { willReadFrequently: true });
    this.reader.drawImage(frame, 0, 0, fit.frameWidth, fit.frameHeight);
    pixels.set(this.reader.getImageData(0, 0, fit.frameWidth, fit.frameHeight).data);
  }

  input(out: Uint8Array): void {
    this.ready().edges.readInput(out);
  }

  paint(input: Uint8Array, alpha: Float32Array, time: number, scenery: Scenery): void {
    const parts = this.ready();
    const { edges, behind, image } = parts;
    edges.cut(alpha, time);
    if (scenery.kind !== "transparent") {
      if (scenery.kind === "blur") {
        behind.stretch(parts.blurred(input, alpha, scenery.strength));
        this.holds = ROOM;
      } else this.hold(scenery);
      behind.lay(edges.frameAt);
    }
    this.context.putImageData(image, 0, 0);
  }

  cover(scenery: Scenery): void {
    const { context, canvas, parts } = this;
    if (scenery.kind === "transparent") context.clearRect(0, 0, canvas.width, canvas.height);
    else if (scenery.kind === "blur" && this.holds === ROOM && parts !== null) context.putImageData(parts.room, 0, 0);
    else if (scenery.kind === "picture") draw(scenery.picture, context);
    else {
      context.fillStyle = scenery.kind === "colour" ? scenery.colour : CARD;
      context.fillRect(0, 0, canvas.width, canvas.height);
    }
  }

  /** Have a colour or a picture in `parts.behind`. */
  private hold(scenery: { kind: "colour"; colour: string } | { kind: "picture"; picture: ImageBitmap }): void {
    const { behind, fit } = this.ready();
    const wanted = scenery.kind === "colour" ? scenery.colour : scenery.picture;
    if (this.holds === wanted) return;
    if (typeof wanted === "string") behind.fill(wanted);
    else {
      this.scaler ??= contextOf(new OffscreenCanvas(fit.frameWidth, fit.frameHeight), { alpha: false, willReadFrequently: true });
      draw(wanted, this.scaler);
      behind.pixels.set(this.scaler.getImageData(0, 0, fit.frameWidth, fit.frameHeight).data);
    }
    this.holds = wanted;
  }

  private ready(): Parts {
    if (this.kernels === null || this.fit === null) throw new Error("the kernels and a size come first");
    this.parts ??= new Parts(this.kernels, this.fit);
    return this.parts;
  }
}

/** So that it covers the canvas. */
function draw(picture: ImageBitmap, context: Context): void {
  const { width, height } = context.canvas;
  context.drawImage(picture, ...covering(picture, width, height), 0, 0, width, height);
}

/** Everything that depends on the frames' size. */
class Parts {
  readonly edges: Edges;
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
  readonly image: ImageData;
  readonly behind: Behind;
  readonly room: ImageData; // what stands behind
  private blur: { shrink: number; room: RoomBlur } | null = null;

  constructor(
    kernels: WebAssembly.Module,
    readonly fit: Fit,
  ) {
    this.edges = new Edges(kernels, fit, Behind.bytes(fit));
    this.behind = new Behind(this.edges.kernels, fit);
    this.room = new ImageData(this.behind.pixels, fit.frameWidth, fit.frameHeight);
    this.pixels = this.edges.pixels;
    this.image = new ImageData(this.pixels, fit.frameWidth, fit.frameHeight);
  }

  blurred(input: Uint8Array, alpha: Float32Array, strength: number): Rgb {
    const shrink = RoomBlur.shrinkFor(strength);
    if (this.blur?.shrink !== shrink) this.blur = { shrink, room: new RoomBlur(this.fit.width, this.fit.height, shrink) };
    return this.blur.room.apply(input, this.fit.inputWidth, alpha, strength);
  }
}

/** Whether its pixels are the picture as it is to be seen: not turned, not scaled. */
function isPlain(frame: VideoFrame, fit: Fit): boolean {
  const turned = (frame as { rotation?: number }).rotation ?? 0;
  const { width, height } = frame.visibleRect ?? { width: 0, height: 0 };
  return turned === 0 && width === fit.frameWidth && height === fit.frameHeight;
}

/** Without a graphics card: the person is cut out in memory, the canvas lays it over the scenery. */

import { RoomBlur, type Rgb } from "../matting/blur";
import { Edges } from "../matting/edges";
import type { Fit } from "../matting/fit";
import type { Scenery } from "./messages";
import { CARD, covering, type Frame, type Painter } from "./painter";

type Context = OffscreenCanvasRenderingContext2D;

function contextOf(canvas: OffscreenCanvas, settings: CanvasRenderingContext2DSettings = {}): Context {
  const context = canvas.getContext("2d", settings);
  if (context === null) throw new Error("this browser gives no canvas to draw on");
  return context;
}

export class CanvasPainter implements Painter {
  readonly words = "Canvas 2D";
  private readonly context: Context;
  private readonly layer = contextOf(new OffscreenCanvas(1, 1));
  private readonly room = contextOf(new OffscreenCanvas(1, 1));
  private reader: Context | null = null;
  kernels: WebAssembly.Module | null = null;
  private fit: Fit | null = null;
  private parts: Parts | null = null;
  private hasRoom = false; // whether `room` holds one

  constructor(private readonly canvas: OffscreenCanvas) {
    this.context = contextOf(canvas);
  }

  resize(fit: Fit): void {
    this.fit = fit;
    this.canvas.width = this.layer.canvas.width = fit.frameWidth;
    this.canvas.height = this.layer.canvas.height = fit.frameHeight;
    this.parts = null;
    this.reader = null;
    this.hasRoom = false;
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
    parts.edges.cut(alpha, time);
    if (scenery.kind === "blur") this.keepRoom(parts.blurred(input, alpha, scenery.strength));
    this.layer.putImageData(parts.image, 0, 0);
    this.cover(scenery);
    this.context.drawImage(this.layer.canvas, 0, 0);
  }

  cover(scenery: Scenery): void {
    const { context, canvas } = this;
    if (scenery.kind === "transparent") context.clearRect(0, 0, canvas.width, canvas.height);
    else if (scenery.kind === "blur" && this.hasRoom) context.drawImage(this.room.canvas, 0, 0, canvas.width, canvas.height);
    else if (scenery.kind === "picture") {
      const part = covering(scenery.picture, canvas.width, canvas.height);
      context.drawImage(scenery.picture, ...part, 0, 0, canvas.width, canvas.height);
    } else {
      context.fillStyle = scenery.kind === "colour" ? scenery.colour : CARD;
      context.fillRect(0, 0, canvas.width, canvas.height);
    }
  }

  private keepRoom({ data, width, height }: Rgb): void {
    const { canvas } = this.room;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    this.room.putImageData(new ImageData(data as Uint8ClampedArray<ArrayBuffer>, width, height), 0, 0);
    this.hasRoom = true;
  }

  private ready(): Parts {
    if (this.kernels === null || this.fit === null) throw new Error("the kernels and a size come first");
    this.parts ??= new Parts(this.kernels, this.fit);
    return this.parts;
  }
}

/** Everything that depends on the frames' size. */
class Parts {
  readonly edges: Edges;
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
  readonly image: ImageData;
  private blur: { shrink: number; room: RoomBlur } | null = null;

  constructor(
    kernels: WebAssembly.Module,
    readonly fit: Fit,
  ) {
    this.edges = new Edges(kernels, fit);
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

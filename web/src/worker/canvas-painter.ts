/** Without a graphics card: the person is cut out in memory, the canvas lays it over the scenery. */

import { RoomBlur, type Rgb } from "../matting/blur";
import { Cutout } from "../matting/cutout";
import type { Fit } from "../matting/fit";
import { toInput } from "../matting/input";
import { fineOf, Refiner } from "../matting/refine";
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
  private parts: Parts | null = null;
  private hasRoom = false; // whether `room` holds one

  constructor(private readonly canvas: OffscreenCanvas) {
    this.context = contextOf(canvas);
  }

  resize(fit: Fit): void {
    this.canvas.width = this.layer.canvas.width = fit.frameWidth;
    this.canvas.height = this.layer.canvas.height = fit.frameHeight;
    this.parts = new Parts(fit);
    this.reader = null;
    this.hasRoom = false;
  }

  reset(): void {
    this.parts?.refiner.reset();
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
    const { pixels, fit } = this.ready();
    toInput(pixels, fit, out);
  }

  paint(input: Uint8Array, alpha: Float32Array, time: number, scenery: Scenery): void {
    const parts = this.ready();
    parts.cut(alpha, time);
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
    if (this.parts === null) throw new Error("resize comes first");
    return this.parts;
  }
}

/** Everything that depends on the frames' size. */
class Parts {
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
  readonly image: ImageData;
  readonly refiner: Refiner;
  private readonly cutout: Cutout;
  private blur: { shrink: number; room: RoomBlur } | null = null;

  constructor(readonly fit: Fit) {
    this.pixels = new Uint8ClampedArray(4 * fit.frameWidth * fit.frameHeight);
    this.image = new ImageData(this.pixels, fit.frameWidth, fit.frameHeight);
    const fine = fineOf(fit.frameWidth, fit.frameHeight, fit.width);
    this.refiner = new Refiner(fine, fit.width, fit.height);
    this.cutout = new Cutout(fit.frameWidth, fit.frameHeight, fine.width, fine.height);
  }

  /** Of the frame in `pixels` only the person is left. */
  cut(alpha: Float32Array, time: number): void {
    const fine = this.refiner.apply(this.pixels, this.fit.frameWidth, alpha, time);
    this.cutout.apply(this.pixels, fine, this.refiner.active);
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

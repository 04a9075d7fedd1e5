/**
 * Fail closed: what is drawn is a composite of this frame and this frame's alpha, or no camera picture at all.
 *
 * The guard is the only way from a frame to the canvas. Whatever fails on the way, and every mask that hides nothing,
 * ends in the cover: the chosen background, or where that is the blurred room, the one that was last shown.
 */

import { fitOf, type Fit } from "../matting/fit";
import { Matting } from "../matting/matting";
import type { Scenery } from "./messages";
import type { Meter } from "./meter";
import type { Network } from "./network";
import { sizeOf, type Frame, type Painter } from "./painter";

const LARGEST = 4096; // pixels of a side: no camera's picture is larger

export class Guard {
  network: Network | null = null;
  hidden = false; // covered by hand
  reason = "the model is loading"; // why the last picture was a cover; "" where it was none
  fit: Fit | null = null;
  private matting: Matting | null = null;
  private input = new Uint8Array(0);
  private current: Scenery = { kind: "colour", colour: "#202226" };

  constructor(
    private readonly painter: Painter,
    private readonly meter: Meter,
  ) {}

  get scenery(): Scenery {
    return this.current;
  }

  /** Takes effect with the next frame, at once; what stood there before is let go of. */
  set scenery(next: Scenery) {
    const before = this.current;
    this.current = next;
    if (before.kind === "picture" && (next.kind !== "picture" || next.picture !== before.picture)) before.picture.close();
  }

  /** Draw the frame's person, or the cover. `time` in seconds. The caller closes the frame. */
  async show(frame: Frame, time: number): Promise<void> {
    try {
      const fit = this.resize(frame);
      if (this.hidden) return this.cover("covered by hand");
      if (this.network === null) return this.cover("the model is loading");
      await this.draw(frame, time, fit, this.network);
    } catch (error) {
      // Whatever it is, the room must not be seen.
      this.cover(error instanceof Error ? error.message : String(error));
    }
  }

  /** A picture without anything of the current frame. */
  cover(reason: string): void {
    this.reason = reason;
    this.matting?.reset();
    this.painter.reset();
    this.painter.cover(this.current);
  }

  private async draw(frame: Frame, time: number, fit: Fit, network: Network): Promise<void> {
    const { painter, meter, input } = this;
    const matting = (this.matting ??= new Matting(network.kernels, fit));
    await painter.load(frame);
    painter.input(input);
    meter.lap("read");
    const output = await network.run(input, fit);
    meter.lap("infer");
    const alpha = matting.apply(input, output, time);
    meter.lap("steady");
    if (this.hidden) return this.cover("covered by hand"); // asked for while the network ran
    painter.paint(input, alpha, time, this.current);
    this.reason = "";
    meter.lap("composite");
  }

  private resize(frame: Frame): Fit {
    const [width, height] = sizeOf(frame);
    if (this.fit?.frameWidth === width && this.fit.frameHeight === height) return this.fit;
    if (!(Math.min(width, height) >= 1 && Math.max(width, height) <= LARGEST)) {
      throw new Error(`a picture of ${width} x ${height} cannot be used: ${LARGEST} pixels a side at most`);
    }
    const fit = fitOf(width, height);
    this.painter.resize(fit);
    this.input = new Uint8Array(3 * fit.inputWidth * fit.inputHeight);
    this.matting = null;
    this.fit = fit;
    return fit;
  }
}

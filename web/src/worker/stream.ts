/** The loop of one stream: the newest frame in, the guard's picture out, on the canvas and as video frames. */

import { CanvasPainter } from "./canvas-painter";
import { openGlPainter } from "./gl-painter";
import { Guard } from "./guard";
import type { FromWorker, Health, Opening, Scenery } from "./messages";
import { Meter } from "./meter";
import { Network } from "./network";
import { Output } from "./output";
import type { Frame, Painter } from "./painter";

const TOLD = 250; // ms between two reports
const TICK = 40; // ms
const SILENCE = 3000; // ms after which the last picture would pass for a live one
const SILENT = "the camera gives no picture";
const SETTLED = 30; // pictures after which times are what they will be

export class Stream {
  readonly output: Output;
  private readonly meter = new Meter();
  private readonly painter: Painter;
  private readonly guard: Guard;
  private readonly canvas: OffscreenCanvas;
  private network: Network | null = null;
  private retired: Network | null = null;
  private frames = 0;
  private covered = 0;
  private told = 0;
  private compared = false; // whether WebGPU has had its chance
  private last = { time: 0, at: performance.now() }; // of the last frame: its own time, in seconds, and when it came

  constructor(
    private readonly opening: Opening,
    private readonly tell: (message: FromWorker, transfer?: Transferable[]) => void,
  ) {
    if (opening.canvas === null) throw new Error("a stream needs a canvas");
    this.canvas = opening.canvas;
    const onGl = opening.renderer === "canvas" ? null : openGlPainter(this.canvas, opening.renderer === "webgl");
    this.painter = onGl ?? new CanvasPainter(this.canvas);
    this.canvas.addEventListener("webglcontextlost", () => tell({ type: "failed", fault: "lost", detail: "" }));
    this.guard = new Guard(this.painter, this.meter);
    this.output = new Output(this.canvas, tell);
    setInterval(() => this.tick(), TICK);
  }

  set scenery(scenery: Scenery) {
    this.guard.scenery = scenery;
  }

  set hidden(on: boolean) {
    this.guard.hidden = on;
    if (on) this.cover("covered by hand"); // at once, also where no frame comes
    this.report();
  }

  use(network: Network): void {
    this.painter.kernels = network.kernels;
    this.network = this.guard.network = network;
  }

  /** All frames of a track; a slow loop finds only the newest. */
  async take(frames: ReadableStream<VideoFrame>): Promise<void> {
    const reader = frames.getReader();
    for (;;) {
      const { value: frame, done } = await reader.read();
      if (done) break;
      await this.show(frame, frame.timestamp / 1e6);
    }
    this.tell({ type: "ended" });
  }

  /** `time` in seconds. Closes the frame. */
  async show(frame: Frame, time: number): Promise<void> {
    this.meter.begin();
    this.last = { time, at: performance.now() };
    try {
      await this.guard.show(frame, time);
    } finally {
      frame.close();
    }
    await this.retired?.close();
    this.retired = null;
    this.frames++;
    if (this.guard.reason !== "") this.covered++;
    this.meter.end();
    this.output.send(time);
    this.report();
    if (!this.compared && this.frames > this.covered + SETTLED) void this.compare();
  }

  private tick(): void {
    this.tell({ type: "tick" });
    const isSilent = performance.now() - this.last.at > SILENCE && this.network !== null;
    if (isSilent && !this.guard.hidden && this.guard.reason !== SILENT) this.cover(SILENT);
    this.report();
  }

  /** Without a frame: on the canvas and in the stream. */
  private cover(reason: string): void {
    this.guard.cover(reason);
    if (this.guard.fit !== null) this.output.send(this.last.time + (performance.now() - this.last.at) / 1000);
  }

  /** Whether the graphics card would be faster; the frames go on meanwhile. */
  private async compare(): Promise<void> {
    this.compared = true;
    const before = this.network;
    if (before === null || this.guard.fit === null) return;
    const other = await before.faster(this.opening, this.guard.fit, this.meter.stages.infer);
    if (other === null) return;
    this.use(other);
    this.retired = before; // the frame that is being looked at may still need it
  }

  private report(): void {
    if (performance.now() - this.told < TOLD) return;
    this.told = performance.now();
    this.tell({ type: "health", health: this.health() });
  }

  private health(): Health {
    const { guard, meter, frames, covered } = this;
    return {
      light: guard.reason === "" ? "live" : "covered",
      reason: guard.reason,
      width: guard.fit?.frameWidth ?? 0,
      height: guard.fit?.frameHeight ?? 0,
      frames,
      covered,
      fps: meter.fps,
      stages: meter.stages,
      compute: this.network?.words ?? "",
      renderer: this.painter.words,
    };
  }
}

/** The pictures as video frames for the page, which hands them on; none is made before somebody asks for them. */

import type { FromWorker } from "./messages";

export class Output {
  isWanted = false;
  private isUnderWay = false; // one is, and the page has not handed it on yet
  private waiting: VideoFrame | null = null;

  constructor(
    private readonly canvas: OffscreenCanvas,
    private readonly tell: (message: FromWorker, transfer: Transferable[]) => void,
  ) {}

  /** What the canvas shows, at `time` in seconds. A page that is busy gets the newest only. */
  send(time: number): void {
    if (!this.isWanted) return;
    const frame = this.frame(time);
    if (frame === null) return;
    if (!this.isUnderWay) return this.post(frame);
    this.waiting?.close();
    this.waiting = frame;
  }

  /** The one that was under way has been handed on. */
  done(): void {
    this.isUnderWay = false;
    const next = this.waiting;
    this.waiting = null;
    if (next !== null) this.post(next);
  }

  private frame(time: number): VideoFrame | null {
    try {
      return new VideoFrame(this.canvas, { timestamp: Math.round(time * 1e6) });
    } catch {
      return null; // a canvas that has lost its graphics card
    }
  }

  private post(frame: VideoFrame): void {
    this.isUnderWay = true;
    this.tell({ type: "picture", frame }, [frame]);
  }
}

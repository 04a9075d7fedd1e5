/** The replaced picture as a stream for other code. */

/**
 * Where the browser lets a page write a track, the worker's pictures come through here rather than straight from it:
 * a worker that hangs could not take its last one away, and disabling a track shows nothing before its next picture.
 */
export class Output {
  readonly stream: MediaStream;
  private readonly writer: WritableStreamDefaultWriter<VideoFrame> | null = null;
  private last: { size: [number, number]; timestamp: number; at: number } | null = null;

  constructor(canvas: HTMLCanvasElement) {
    if (typeof MediaStreamTrackGenerator === "undefined") {
      this.stream = canvas.captureStream();
      return;
    }
    const track = new MediaStreamTrackGenerator({ kind: "video" });
    this.writer = track.writable.getWriter();
    this.stream = new MediaStream([track]);
  }

  /** Whether it wants to be handed pictures. */
  get takesPictures(): boolean {
    return this.writer !== null;
  }

  /** Hand on a picture; whether somebody may want the next one. */
  async send(frame: VideoFrame): Promise<boolean> {
    this.last = { size: [frame.displayWidth, frame.displayHeight], timestamp: frame.timestamp, at: performance.now() };
    try {
      await this.writer?.write(frame);
      return true;
    } catch {
      frame.close(); // its track was stopped
      return false;
    }
  }

  /** Black in place of the last picture, or the pictures again. */
  hide(on: boolean): void {
    if (this.writer === null) for (const track of this.stream.getTracks()) track.enabled = !on;
    else if (on && this.last !== null) void this.send(blackFrame(this.last.size, this.last.timestamp + 1000 * (performance.now() - this.last.at)));
  }

  stop(): void {
    for (const track of this.stream.getTracks()) track.stop();
  }
}

function blackFrame([width, height]: [number, number], timestamp: number): VideoFrame {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d", { alpha: false }); // opaque, and so black
  return new VideoFrame(canvas, { timestamp: Math.round(timestamp) });
}

/** Frames of a video element, where no track gives them: one at a time, the newest whenever the last one is done. */

/** Calls `take` with frames until it is stopped. In a hidden tab nothing is drawn, so there the worker's ticks count. */
export class Grabber {
  private busy = false;
  private stopped = false;
  private last = -1;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly take: (frame: VideoFrame | ImageBitmap, time: number) => void,
  ) {
    this.listen();
  }

  /** The frame that was taken last is done. */
  done(): void {
    this.busy = false;
  }

  tick(): void {
    if (document.hidden || !("requestVideoFrameCallback" in this.video)) void this.grab();
  }

  get isStopped(): boolean {
    return this.stopped;
  }

  stop(): void {
    this.stopped = true;
  }

  private listen(): void {
    if (this.stopped || !("requestVideoFrameCallback" in this.video)) return;
    this.video.requestVideoFrameCallback(() => {
      void this.grab();
      this.listen();
    });
  }

  private async grab(): Promise<void> {
    const { video } = this;
    if (this.stopped || this.busy || video.readyState < video.HAVE_CURRENT_DATA || video.currentTime === this.last) return;
    this.busy = true;
    this.last = video.currentTime;
    const time = performance.now() / 1000; // a looping video's own time runs backwards
    try {
      const frame = typeof VideoFrame === "undefined" ? await createImageBitmap(video) : new VideoFrame(video, { timestamp: Math.round(time * 1e6) });
      this.take(frame, time);
    } catch {
      this.busy = false; // a video that is just being changed has no frame
    }
  }
}

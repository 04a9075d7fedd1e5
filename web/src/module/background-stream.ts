/** One replaced stream: its worker, its source, its output. */

import type { Fault, FromWorker, Health } from "../worker/messages";
import { Grabber } from "./grabber";
import { Output } from "./output";
import { sceneryOf, type Background } from "./scenery";
import { Connection, type Where } from "./worker";

const SILENCE = 3000; // ms after which the last picture would pass for a live one
const BEFORE: Health = {
  light: "covered",
  reason: "",
  width: 0,
  height: 0,
  frames: 0,
  covered: 0,
  fps: 0,
  stages: { read: 0, infer: 0, steady: 0, composite: 0, whole: 0 },
  compute: "",
  renderer: "",
};

export interface Options extends Where {
  /** What stands behind the person; blurred room where absent. */
  background?: Background;
  /** Drawn on; where absent, one that is in no page. It must never have had a context. */
  canvas?: HTMLCanvasElement;
  /** How it is doing, four times a second. */
  onHealth?: (health: Health) => void;
  /** It cannot go on: why, as a word and as the browser put it. */
  onFailed?: (fault: Fault, detail: string) => void;
  /** The track has ended: unplugged, or its permission taken back. */
  onEnded?: () => void;
}

/** Replace the background of `source`, a camera's track or a playing video element, in this page. */
export function createBackgroundStream(source: MediaStreamTrack | HTMLVideoElement, options: Options = {}): BackgroundStream {
  return new BackgroundStream(source, options);
}

export class BackgroundStream {
  readonly canvas: HTMLCanvasElement;
  private readonly connection: Connection;
  private readonly source: Source;
  private output: Output | null = null;
  private behind: VideoBehind | null = null;
  private wishes = 0; // backgrounds asked for so far; a slow one must not come after a later one
  private watch: ReturnType<typeof setTimeout> | undefined;
  private isHidden = false;

  constructor(source: MediaStreamTrack | HTMLVideoElement, private readonly options: Options) {
    this.canvas = options.canvas ?? document.createElement("canvas");
    this.connection = new Connection(options, this.canvas.transferControlToOffscreen(), (message) => this.hear(message));
    void this.setBackground(options.background ?? { kind: "blur" });
    this.source = openSource(source, this.connection, () => options.onEnded?.());
    this.watchOver(BEFORE);
  }

  /** The replaced picture as a stream with one video track, for a call, a recorder or a video element. */
  get stream(): MediaStream {
    this.output ??= this.openOutput();
    return this.output.stream;
  }

  /** Another background, from one frame to the next. Resolves once it stands; rejects where it cannot be read. */
  async setBackground(background: Background): Promise<void> {
    const wish = ++this.wishes;
    const scenery = await sceneryOf(background);
    if (wish !== this.wishes) return scenery.kind === "picture" ? scenery.picture.close() : undefined;
    this.behind?.stop();
    this.behind = background.kind === "video" ? new VideoBehind(background.video, this.connection) : null;
    this.connection.send({ type: "scenery", scenery }, scenery.kind === "picture" ? [scenery.picture] : []);
  }

  /** Show only the background, until `cover(false)`. */
  cover(on: boolean): void {
    this.connection.send({ type: "cover", on });
  }

  /** End everything; a track that was handed in goes on, for it is its owner's. */
  stop(): void {
    clearTimeout(this.watch);
    this.source.stop();
    this.behind?.stop();
    this.connection.close();
    this.output?.stop();
  }

  private openOutput(): Output {
    const output = new Output(this.canvas);
    if (output.takesPictures) this.connection.send({ type: "pictures", on: true });
    return output;
  }

  private async handOn(frame: VideoFrame): Promise<void> {
    const isWanted = await this.output?.send(frame);
    this.connection.send(isWanted ? { type: "sent" } : { type: "pictures", on: false });
  }

  private hear(message: FromWorker): void {
    const { options } = this;
    if (message.type === "health") {
      options.onHealth?.(message.health);
      this.watchOver(message.health);
    } else if (message.type === "picture") void this.handOn(message.frame);
    else if (message.type === "taken") this.source.done();
    else if (message.type === "tick") {
      this.source.tick();
      this.behind?.tick();
    } else if (message.type === "ended") options.onEnded?.();
    else if (message.type === "failed") {
      this.hide(true);
      options.onFailed?.(message.fault, message.detail);
    }
  }

  /** A worker that falls silent leaves its last picture standing, which would pass for a live one. */
  private watchOver(last: Health): void {
    clearTimeout(this.watch);
    this.hide(false);
    const reason = "no answer for some seconds: the model hangs";
    this.watch = setTimeout(() => {
      this.hide(true);
      this.options.onHealth?.({ ...last, light: "covered", reason, fps: 0 });
    }, SILENCE);
  }

  /** Without the worker, which alone can draw: the picture blurred away, the stream black. */
  private hide(on: boolean): void {
    if (on === this.isHidden) return;
    this.isHidden = on;
    this.canvas.style.filter = on ? "blur(24px) brightness(0.6)" : "";
    this.output?.hide(on);
  }
}

/** Where frames come from. */
interface Source {
  done(): void;
  tick(): void;
  stop(): void;
}

function openSource(source: MediaStreamTrack | HTMLVideoElement, connection: Connection, onEnded: () => void): Source {
  if (source instanceof HTMLVideoElement) return grabbing(source, connection);
  if (typeof MediaStreamTrackProcessor === "undefined") {
    source.addEventListener("ended", onEnded);
    return grabbing(playing(source), connection);
  }
  const { readable } = new MediaStreamTrackProcessor({ track: source, maxBufferSize: 1 });
  connection.send({ type: "frames", frames: readable }, [readable]);
  return { done: () => undefined, tick: () => undefined, stop: () => undefined };
}

function grabbing(video: HTMLVideoElement, connection: Connection): Grabber {
  return new Grabber(video, (frame, time) => connection.send({ type: "frame", frame, time }, [frame]));
}

function playing(track: MediaStreamTrack): HTMLVideoElement {
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  video.srcObject = new MediaStream([track]);
  void video.play();
  return video;
}

/** A video as the background: its frames as they play. */
class VideoBehind {
  private readonly grabber: Grabber;

  constructor(video: HTMLVideoElement, connection: Connection) {
    this.grabber = new Grabber(video, (frame) => {
      void createImageBitmap(frame).then(
        (picture) => {
          if (this.grabber.isStopped) picture.close();
          else connection.send({ type: "scenery", scenery: { kind: "picture", picture } }, [picture]);
        },
        () => undefined, // a frame that cannot be read: the one before stays
      ).finally(() => {
        frame.close();
        this.grabber.done();
      });
    });
  }

  tick(): void {
    this.grabber.tick();
  }

  stop(): void {
    this.grabber.stop();
  }
}

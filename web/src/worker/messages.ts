/** What the page and its worker say to each other. */

export type Scenery =
  | { kind: "blur"; strength: number }
  | { kind: "colour"; colour: string }
  | { kind: "picture"; picture: ImageBitmap }
  | { kind: "transparent" };

export type Compute = "wasm" | "webgpu";
export type Renderer = "webgl" | "canvas";

export interface Opening {
  readonly type: "open";
  readonly assets: string; // where the built files lie, an absolute address that ends in a slash
  readonly canvas: OffscreenCanvas | null; // none for stills
  readonly threads: number | null; // as many as help, or so many
  readonly compute: Compute | null; // the faster one, or this one
  readonly renderer: Renderer | null;
}

export type ToWorker =
  | Opening
  | { type: "frames"; frames: ReadableStream<VideoFrame> }
  | { type: "frame"; frame: VideoFrame | ImageBitmap; time: number } // answered by "taken"
  | { type: "scenery"; scenery: Scenery }
  | { type: "pictures"; on: boolean } // whether "picture" is wanted, each answered by "sent"
  | { type: "sent" }
  | { type: "cover"; on: boolean }
  | { type: "still"; id: number; picture: ImageBitmap };

export type Light = "live" | "covered" | "stopped";

/** How a stream is doing; sent four times a second. */
export interface Health {
  readonly light: Light;
  readonly reason: string; // why it is covered; "" while it is live
  readonly width: number;
  readonly height: number;
  readonly frames: number; // drawn so far
  readonly covered: number; // of them without a person
  readonly fps: number;
  readonly stages: Readonly<Record<Stage, number>>; // milliseconds, medians of the last frames
  readonly compute: string; // in words; "" before the model is there
  readonly renderer: string;
}

export type Stage = "read" | "infer" | "steady" | "composite" | "whole";

/** What went wrong for good, as a word the page has an explanation for. "lost": the graphics card is gone. */
export type Fault = "wasm" | "model" | "canvas" | "lost";

export type FromWorker =
  | { type: "ready" }
  | { type: "health"; health: Health }
  | { type: "taken" }
  | { type: "picture"; frame: VideoFrame }
  | { type: "ended" }
  | { type: "tick" } // now and then, also in a hidden tab, whose own timers are slowed down
  | { type: "failed"; fault: Fault; detail: string }
  | { type: "still"; id: number; png: Blob | null; error: string };

/** What the build puts in, and what TypeScript's own descriptions of browsers do not have yet. */

/** Side of a square with about as many pixels as the model's input. */
declare const MODEL_SIZE: number;
declare const MODEL_SURE: number; // the share of a part that must be sure, for it to stay
/** Names of built files, below the folder of the page. */
declare const FILES: {
  readonly root: string;
  readonly model: string;
  readonly kernels: string;
  readonly layers: readonly string[]; // the same code for newer and older browsers, the best one first
  readonly sharedLayers: readonly string[];
  readonly ort: string;
  readonly sample: string;
};

interface MediaStreamTrackProcessor {
  readonly readable: ReadableStream<VideoFrame>;
}
declare const MediaStreamTrackProcessor:
  | { new (options: { track: MediaStreamTrack; maxBufferSize?: number }): MediaStreamTrackProcessor }
  | undefined;

interface MediaStreamTrackGenerator extends MediaStreamTrack {
  readonly writable: WritableStream<VideoFrame>;
}
declare const MediaStreamTrackGenerator: { new (options: { kind: "video" }): MediaStreamTrackGenerator } | undefined;

/** What can be wrong with a camera, a browser or a file, in plain words, and what helps. */

import type { Fault } from "../module";

export interface Explained {
  readonly what: string;
  readonly help: string;
}

const FAULTS: Record<Fault, Explained> = {
  wasm: {
    what: "This browser does not allow WebAssembly, which the model runs on.",
    help: "Allow it for this page (some browsers call it JIT or advanced protection), or use another browser, then try again.",
  },
  model: {
    what: "The model cannot be loaded or run.",
    help: "See that this page is reached over the network, or reload it; a browser from 2023 or later is needed.",
  },
  canvas: {
    what: "This browser cannot draw in the background.",
    help: "A browser from 2023 or later is needed: Chrome, Edge, Firefox, or Safari 17.",
  },
  lost: {
    what: "The graphics card stopped: its driver was started anew, or something else took it.",
    help: "Try again.",
  },
};

const SAMPLE: Explained = {
  what: "The sample clip cannot be played.",
  help: "See that this page is reached over the network, then try again.",
};

const CAMERA: Record<string, Explained> = {
  NotAllowedError: {
    what: "The browser does not let this page use the camera.",
    help: "Allow the camera in the browser’s address bar (and in the system’s privacy settings), then try again.",
  },
  NotFoundError: {
    what: "No camera is found.",
    help: "Plug one in or switch it on, then try again. The sample clip works without one.",
  },
  NotReadableError: {
    what: "The camera is in use by another program, or does not answer.",
    help: "End the other program, a call for example, or plug the camera in anew, then try again.",
  },
};

export const ENDED: Explained = {
  what: "The camera stopped: it was unplugged, or its permission was taken back.",
  help: "Plug it in or allow it again, then try again.",
};

const INSECURE: Explained = {
  what: "Browsers give a camera only to pages of this computer and to pages with https.",
  help: "Open this page as http://localhost or https://, then try again.",
};

export function explainFault(fault: Fault, detail: string): Explained {
  const { what, help } = FAULTS[fault];
  return { what, help: detail === "" ? help : `${help} The browser says: ${detail}` };
}

export function explainSample(error: unknown): Explained {
  return { what: SAMPLE.what, help: `${SAMPLE.help} The browser says: ${String(error)}` };
}

/** Of what `getUserMedia` throws. */
export function explainCamera(error: unknown): Explained {
  if (!isSecureContext || navigator.mediaDevices === undefined) return INSECURE;
  const name = error instanceof Error ? error.name : "";
  const known = { OverconstrainedError: "NotFoundError", AbortError: "NotReadableError", SecurityError: "NotAllowedError" }[name] ?? name;
  return CAMERA[known] ?? { what: "The camera cannot be used.", help: `The browser says: ${String(error)}` };
}

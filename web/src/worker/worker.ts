/** The worker: everything that touches pixels. The page only hands frames in and shows what comes out. */

import type { FromWorker, Opening, ToWorker } from "./messages";
import { Network, Unusable } from "./network";
import { cutOutStill } from "./still";
import { Stream } from "./stream";

let stream: Stream | null = null;
let network: Promise<Network> | null = null;

function tell(message: FromWorker, transfer: Transferable[] = []): void {
  self.postMessage(message, { transfer });
}

async function open(opening: Opening): Promise<void> {
  try {
    if (opening.canvas !== null) stream = new Stream(opening, tell);
    network = Network.open(opening);
    const opened = await network;
    stream?.use(opened);
    tell({ type: "ready" });
  } catch (error) {
    const fault = error instanceof Unusable ? error.fault : "canvas";
    tell({ type: "failed", fault, detail: error instanceof Error ? error.message : String(error) });
  }
}

async function cutOut(id: number, picture: ImageBitmap): Promise<void> {
  try {
    if (network === null) throw new Error("open comes first");
    tell({ type: "still", id, png: await cutOutStill(await network, picture), error: "" });
  } catch (error) {
    tell({ type: "still", id, png: null, error: error instanceof Error ? error.message : String(error) });
  } finally {
    picture.close();
  }
}

self.onmessage = ({ data }: MessageEvent<ToWorker>): void => {
  switch (data.type) {
    case "open":
      return void open(data);
    case "frames":
      return void stream?.take(data.frames);
    case "frame":
      return void stream?.show(data.frame, data.time).then(() => tell({ type: "taken" }));
    case "scenery":
      if (stream !== null) stream.scenery = data.scenery;
      return;
    case "pictures":
      if (stream !== null) stream.output.isWanted = data.on;
      return;
    case "sent":
      return stream?.output.done();
    case "cover":
      if (stream !== null) stream.hidden = data.on;
      return;
    case "still":
      return void cutOut(data.id, data.picture);
  }
};

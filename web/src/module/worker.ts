/** The worker of the module, opened. */

import type { Compute, FromWorker, Opening, Renderer, ToWorker } from "../worker/messages";

export interface Where {
  /** The folder of the built files; where absent, that of this module. */
  assets?: string | URL;
  /** Threads for WebAssembly; where absent, as many as help, or one where the page is not cross-origin isolated. */
  threads?: number;
  /** For measuring: what computes and what draws. Where absent, the faster one. */
  compute?: Compute;
  renderer?: Renderer;
}

export class Connection {
  private readonly worker: Worker;

  constructor(where: Where, canvas: OffscreenCanvas | null, onMessage: (message: FromWorker) => void) {
    this.worker = new Worker(new URL("../worker/worker.ts", import.meta.url), { type: "module", name: "figureground" });
    this.worker.onmessage = ({ data }: MessageEvent<FromWorker>) => onMessage(data);
    this.worker.onerror = (event) => onMessage({ type: "failed", fault: "model", detail: event.message || "its worker did not start" });
    const opening: Opening = {
      type: "open",
      assets: folder(where.assets),
      canvas,
      threads: where.threads ?? null,
      compute: where.compute ?? null,
      renderer: where.renderer ?? null,
    };
    this.send(opening, canvas === null ? [] : [canvas]);
  }

  send(message: ToWorker, transfer: Transferable[] = []): void {
    this.worker.postMessage(message, transfer);
  }

  close(): void {
    this.worker.terminate();
  }
}

/** An absolute address with a slash at its end. Built code lies in a folder below that of the files. */
function folder(assets: string | URL | undefined): string {
  const address = new URL(assets ?? FILES.root, assets === undefined ? import.meta.url : document.baseURI);
  address.hash = address.search = "";
  return address.href.endsWith("/") ? address.href : `${address.href}/`;
}

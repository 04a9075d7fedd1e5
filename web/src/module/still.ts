/** A photograph's person as a transparent PNG. */

import { Connection, type Where } from "./worker";

const MOST = 40_000_000; // pixels

/**
 * Cut the person out of a picture, at the picture's size.
 *
 * Rejects with one line that says why: too large, not a picture, or the model cannot run here.
 */
export async function cutOut(source: ImageBitmapSource, where: Where = {}): Promise<Blob> {
  const picture = await createImageBitmap(source);
  if (picture.width * picture.height > MOST) {
    picture.close();
    throw new Error(`a picture of ${picture.width} x ${picture.height}: ${MOST / 1e6} million pixels at most`);
  }
  let connection: Connection | null = null;
  const answer = new Promise<Blob>((resolve, reject) => {
    connection = new Connection(where, null, (message) => {
      if (message.type === "failed") reject(new Error(message.detail));
      if (message.type !== "still") return;
      if (message.png === null) reject(new Error(message.error));
      else resolve(message.png);
    });
    connection.send({ type: "still", id: 0, picture }, [picture]);
  });
  return answer.finally(() => connection?.close());
}

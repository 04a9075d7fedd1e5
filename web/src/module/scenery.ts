/** From what a caller names as a background to what the worker draws. */

import type { Scenery } from "../worker/messages";

export type Background =
  | { kind: "blur"; strength?: number } // 1 to 100, thousandths of the longest side; 20 where absent
  | { kind: "colour"; colour: string } // #rrggbb
  | { kind: "image"; image: ImageBitmapSource }
  | { kind: "video"; video: HTMLVideoElement } // as it plays; the caller plays it
  | { kind: "transparent" };

const STRENGTH = 20;
const LONGEST = 1920; // pixels of a side of a picture behind: more is not seen

/** Decoded whole before it is handed over, so that the switch shows no gap. Throws what is wrong with it. */
export async function sceneryOf(background: Background): Promise<Scenery> {
  switch (background.kind) {
    case "blur": {
      const strength = background.strength ?? STRENGTH;
      if (!(strength >= 1 && strength <= 100)) throw new Error(`blur strength ${strength}: want a number from 1 to 100`);
      return { kind: "blur", strength };
    }
    case "colour":
      if (!/^#[0-9a-f]{6}$/i.test(background.colour)) throw new Error(`colour ${background.colour}: want #rrggbb`);
      return background;
    case "image":
      return { kind: "picture", picture: await decode(background.image) };
    case "video":
      return { kind: "picture", picture: await decode(background.video) };
    case "transparent":
      return background;
  }
}

/** No larger than is seen, and opaque: what is transparent in it is white, as everywhere in figureground. */
async function decode(source: ImageBitmapSource): Promise<ImageBitmap> {
  const whole = await createImageBitmap(source);
  const scale = Math.min(1, LONGEST / Math.max(whole.width, whole.height));
  const size = [whole.width, whole.height].map((side) => Math.max(1, Math.round(side * scale))) as [number, number];
  const context = new OffscreenCanvas(...size).getContext("2d", { alpha: false });
  if (context === null) throw new Error("this browser gives no canvas for a picture");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, ...size);
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, ...size);
  whole.close();
  return context.canvas.transferToImageBitmap();
}

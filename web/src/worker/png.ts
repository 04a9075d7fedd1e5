/** A PNG of straight alpha. A canvas keeps colours multiplied by alpha, and so loses them at soft edges. */

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

export async function encodePng(pixels: Uint8ClampedArray, width: number, height: number): Promise<Blob> {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint32(8, 0x08060000); // 8 bits, RGBA, deflate
  const body = await deflate(filtered(pixels, width, height));
  const chunks = [chunk("IHDR", new Uint8Array(header.buffer)), chunk("IDAT", body), chunk("IEND", new Uint8Array(0))];
  return new Blob([new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]), ...chunks], { type: "image/png" });
}

/** Each row as its difference from the one above. */
function filtered(pixels: Uint8ClampedArray, width: number, height: number): Uint8Array<ArrayBuffer> {
  const row = 4 * width;
  const out = new Uint8Array((row + 1) * height);
  for (let y = 0; y < height; y++) {
    const to = y * (row + 1);
    const from = y * row;
    out[to] = 2;
    for (let x = 0; x < row; x++) out[to + 1 + x] = pixels[from + x]! - (y > 0 ? pixels[from + x - row]! : 0);
  }
  return out;
}

async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(name: string, body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(12 + body.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, body.length);
  out.set(new TextEncoder().encode(name), 4);
  out.set(body, 8);
  view.setUint32(8 + body.length, checksum(out.subarray(4, 8 + body.length)));
  return out;
}

function checksum(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 255]! ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

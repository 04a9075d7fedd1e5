/**
 * The loops over pixels, as WebAssembly (AssemblyScript): ten times as fast as the same in JavaScript.
 *
 * What they compute and why is said where they are called from, in src/matting. Arguments are addresses in one memory;
 * planes are (height, width) float32 unless their name says bytes. An axis is three tables, one after another, of so many
 * entries: first and second source place (int32) and the share of the second (float32). Spans (src/matting/active.ts)
 * are a table with a line for every row of cells: how many there are, then of each `from`, `to`, `kind` and `isNear`;
 * `lineOf` leads from a fine row to its line.
 */

// @ts-nocheck: AssemblyScript's compiler checks this file.

const RADIUS: i32 = 2;
const SIDE: i32 = 5;
const EPSILON: f32 = 1e-3;
const STRETCH: f32 = 1.3;

// @ts-ignore: decorator
@inline
function f(at: usize, place: i32): f32 {
  return load<f32>(at + (<usize>place << 2));
}

// @ts-ignore: decorator
@inline
function i(at: usize, place: i32): i32 {
  return load<i32>(at + (<usize>place << 2));
}

// @ts-ignore: decorator
@inline
function setF(at: usize, place: i32, value: f32): void {
  store<f32>(at + (<usize>place << 2), value);
}

/** Beyond the border the picture is mirrored, its last row twice. */
function mirrored(place: i32, length: i32): i32 {
  const inside = place < 0 ? -place - 1 : place < length ? place : 2 * length - 1 - place;
  return min(length - 1, max(0, inside));
}

/** Means over 5 x 5 pixels; `work`: a plane; `out` may be `source`. */
export function mean(source: usize, work: usize, out: usize, width: i32, height: i32): void {
  for (let y = 0; y < height; y++) sumRow(source + (<usize>(y * width) << 2), work + (<usize>(y * width) << 2), width);
  const scale: f32 = 1.0 / 25.0;
  const scales = f32x4.splat(scale);
  for (let y = 0; y < height; y++) {
    const a = work + (<usize>(mirrored(y - 2, height) * width) << 2);
    const b = work + (<usize>(mirrored(y - 1, height) * width) << 2);
    const c = work + (<usize>(y * width) << 2);
    const d = work + (<usize>(mirrored(y + 1, height) * width) << 2);
    const e = work + (<usize>(mirrored(y + 2, height) * width) << 2);
    const to = out + (<usize>(y * width) << 2);
    let x: i32 = 0;
    for (; x + 4 <= width; x += 4) {
      const at = <usize>x << 2;
      let sum = f32x4.add(f32x4.add(v128.load(a + at), v128.load(b + at)), f32x4.add(v128.load(c + at), v128.load(d + at)));
      sum = f32x4.add(sum, v128.load(e + at));
      v128.store(to + at, f32x4.mul(sum, scales));
    }
    for (; x < width; x++) setF(to, x, (f(a, x) + f(b, x) + f(c, x) + f(d, x) + f(e, x)) * scale);
  }
}

function sumRow(row: usize, out: usize, width: i32): void {
  let x: i32 = RADIUS;
  for (; x + 4 <= width - RADIUS; x += 4) {
    const at = row + (<usize>x << 2);
    let sum = f32x4.add(f32x4.add(v128.load(at - 8), v128.load(at - 4)), f32x4.add(v128.load(at), v128.load(at + 4)));
    sum = f32x4.add(sum, v128.load(at + 8));
    v128.store(out + (<usize>x << 2), sum);
  }
  for (let left: i32 = 0; left < min(RADIUS, width); left++) setF(out, left, sumAround(row, left, width));
  for (; x < width; x++) setF(out, x, sumAround(row, x, width));
}

function sumAround(row: usize, x: i32, width: i32): f32 {
  let sum: f32 = 0;
  for (let step = -RADIUS; step <= RADIUS; step++) sum += f(row, mirrored(x + step, width));
  return sum;
}

/** The guided filter's `slope` and `offset`; `work`: four planes. */
export function fit(guide: usize, alpha: usize, work: usize, slope: usize, offset: usize, width: i32, height: i32): void {
  const plane = <usize>(width * height) << 2;
  const sums = work;
  const guides = work + plane;
  const alphas = work + 2 * plane;
  const both = work + 3 * plane;
  for (let at: usize = 0; at < plane; at += 4) {
    const value = load<f32>(guide + at);
    store<f32>(both + at, value * load<f32>(alpha + at));
    store<f32>(slope + at, value * value);
  }
  mean(guide, sums, guides, width, height);
  mean(alpha, sums, alphas, width, height);
  mean(both, sums, both, width, height);
  mean(slope, sums, slope, width, height);
  for (let at: usize = 0; at < plane; at += 4) {
    const guideMean = load<f32>(guides + at);
    const alphaMean = load<f32>(alphas + at);
    const line = (load<f32>(both + at) - guideMean * alphaMean) / (load<f32>(slope + at) - guideMean * guideMean + EPSILON);
    store<f32>(slope + at, line);
    store<f32>(offset + at, alphaMean - line * guideMean);
  }
  mean(slope, sums, slope, width, height);
  mean(offset, sums, offset, width, height);
  for (let at: usize = 0; at < plane; at += 4) {
    store<f32>(slope + at, load<f32>(slope + at) * STRETCH);
    store<f32>(offset + at, load<f32>(offset + at) * STRETCH + (1 - STRETCH) / 2);
  }
}

/** Of each cell of 4 x 4 pixels the least and the most. */
export function cells(plane: usize, width: i32, height: i32, low: usize, high: usize, across: i32): void {
  for (let y: i32 = 0; y < height; y++) {
    const row = plane + (<usize>(y * width) << 2);
    const start = <usize>((y >> 2) * across) << 2;
    const isFirst = (y & 3) == 0;
    for (let cell: i32 = 0; cell < across; cell++) {
      const at = start + (<usize>cell << 2);
      let least: f32 = isFirst ? 1 : load<f32>(low + at);
      let most: f32 = isFirst ? 0 : load<f32>(high + at);
      for (let x = cell << 2; x < min(width, (cell << 2) + 4); x++) {
        const value = f(row, x);
        least = min<f32>(least, value);
        most = max<f32>(most, value);
      }
      store<f32>(low + at, least);
      store<f32>(high + at, most);
    }
  }
}

/** Of a box of the alpha, close-packed: the brightness at its resolution, linearly, in [0, 1], and the alpha itself. */
export function pack(
  greys: usize, fineWidth: i32, across: usize, width: i32, downward: usize, height: i32, alpha: usize,
  left: i32, top: i32, right: i32, bottom: i32, guide: usize, packed: usize,
): void {
  let place: i32 = 0;
  for (let y = top; y < bottom; y++) {
    const over = greys + i(downward, y) * fineWidth;
    const under = greys + i(downward, height + y) * fineWidth;
    const down = f(downward, 2 * height + y);
    for (let x = left; x < right; x++, place++) {
      const one = i(across, x);
      const two = i(across, width + x);
      const along = f(across, 2 * width + x);
      const above = <f32>load<u8>(over + one) + (<f32>load<u8>(over + two) - <f32>load<u8>(over + one)) * along;
      const below = <f32>load<u8>(under + one) + (<f32>load<u8>(under + two) - <f32>load<u8>(under + one)) * along;
      setF(guide, place, (above + (below - above) * down) / 255);
      setF(packed, place, f(alpha, y * width + x));
    }
  }
}

/** Colours (RGBA bytes) times weights, blurred, weights divided out; `work`: five planes, `out`: RGBA bytes. */
export function nearby(colours: usize, weight: usize, work: usize, out: usize, width: i32, height: i32): void {
  const size = width * height;
  const plane = <usize>size << 2;
  let red: f32 = 0;
  let green: f32 = 0;
  let blue: f32 = 0;
  let all: f32 = 0;
  for (let place: i32 = 0; place < size; place++) {
    const part = f(weight, place);
    const at = colours + (<usize>place << 2);
    const to = work + (<usize>place << 2);
    const r = <f32>load<u8>(at) * part;
    const g = <f32>load<u8>(at, 1) * part;
    const b = <f32>load<u8>(at, 2) * part;
    red += r;
    green += g;
    blue += b;
    all += part;
    store<f32>(to, r);
    store<f32>(to + plane, g);
    store<f32>(to + 2 * plane, b);
    store<f32>(to + 3 * plane, part);
  }
  if (all == 0) all = 1; // nobody is there: black, and nobody reads it
  const little: f32 = 1e-4;
  for (let round: i32 = 0; round < 2; round++) {
    for (let one: usize = 0; one < 4; one++) mean(work + one * plane, work + 4 * plane, work + one * plane, width, height);
  }
  for (let place: i32 = 0; place < size; place++) {
    const at = work + (<usize>place << 2);
    const share = load<f32>(at + 3 * plane) + little;
    const to = out + (<usize>place << 2);
    store<u8>(to, <u8>min<f32>(255, max<f32>(0, (load<f32>(at) + (little * red) / all) / share + 0.5)));
    store<u8>(to, <u8>min<f32>(255, max<f32>(0, (load<f32>(at + plane) + (little * green) / all) / share + 0.5)), 1);
    store<u8>(to, <u8>min<f32>(255, max<f32>(0, (load<f32>(at + 2 * plane) + (little * blue) / all) / share + 0.5)), 2);
  }
}

/**
 * An RGBA frame cut out in place. `alpha`: (fineHeight, fineWidth), `spans` of it or 0; `near`: RGBA bytes; the axes lead
 * from the frame's columns and rows to theirs.
 */
export function cut(
  spans: usize, pitch: i32, lineOf: usize, frame: usize, width: i32, height: i32, alpha: usize, fineWidth: i32,
  across: usize, downward: usize, near: usize, nearWidth: i32, nearAcross: usize, nearDownward: usize,
): void {
  const times = <f32>width / <f32>fineWidth;
  for (let y: i32 = 0; y < height; y++) {
    const first = i(downward, y);
    const second = i(downward, height + y);
    const over = alpha + (<usize>(first * fineWidth) << 2);
    const under = alpha + (<usize>(second * fineWidth) << 2);
    const down = f(downward, 2 * height + y);
    const nearOver = near + (<usize>(i(nearDownward, y) * nearWidth) << 2);
    const nearUnder = near + (<usize>(i(nearDownward, height + y) * nearWidth) << 2);
    const nearDown = f(nearDownward, 2 * height + y);
    if (spans == 0 || i(lineOf, first) != i(lineOf, second)) {
      cutRow(frame, width, y, 0, width, over, under, down, across, nearOver, nearUnder, nearDown, nearAcross);
      continue;
    }
    const line = spans + (<usize>(i(lineOf, first) * pitch) << 2);
    for (let span: i32 = 0; span < load<i32>(line); span++) {
      const at = line + 4 + (<usize>span << 4);
      const from = <i32>ceil<f32>(<f32>load<i32>(at) * times);
      const to = min(width, <i32>ceil<f32>(<f32>load<i32>(at, 4) * times));
      const kind = load<i32>(at, 8);
      if (kind == 2) cutRow(frame, width, y, from, to, over, under, down, across, nearOver, nearUnder, nearDown, nearAcross);
      else if (kind == 0 && to > from) memory.fill(frame + (<usize>(y * width + from) << 2), 0, <usize>(to - from) << 2);
      // Whole person: the frame's own pixels, opaque as they came.
    }
  }
}

function cutRow(
  frame: usize, width: i32, y: i32, from: i32, to: i32, over: usize, under: usize, down: f32, across: usize,
  nearOver: usize, nearUnder: usize, nearDown: f32, nearAcross: usize,
): void {
  for (let x = from; x < to; x++) {
    const one = i(across, x);
    const two = i(across, width + x);
    const left = f(over, one) + (f(under, one) - f(over, one)) * down;
    const right = f(over, two) + (f(under, two) - f(over, two)) * down;
    const level = <i32>((left + (right - left) * f(across, 2 * width + x)) * 255 + 0.5);
    const at = frame + (<usize>(y * width + x) << 2);
    if (level <= 0) store<u32>(at, 0);
    else if (level >= 255) store<u8>(at, 255, 3);
    else {
      const sure: f32 = level > 128 ? <f32>(level - 128) / 127 : 0;
      const first = <usize>i(nearAcross, x) << 2;
      const second = <usize>i(nearAcross, width + x) << 2;
      const along = f(nearAcross, 2 * width + x);
      for (let channel: usize = 0; channel < 3; channel++) {
        const a = <f32>load<u8>(nearOver + first + channel);
        const above = a + (<f32>load<u8>(nearOver + second + channel) - a) * along;
        const b = <f32>load<u8>(nearUnder + first + channel);
        const below = b + (<f32>load<u8>(nearUnder + second + channel) - b) * along;
        const around = above + (below - above) * nearDown;
        const own = <f32>load<u8>(at + channel);
        store<u8>(at + channel, <u8>(own * sure + around * (1 - sure) + 0.5));
      }
      store<u8>(at, <u8>level, 3);
    }
  }
}

/** The network's input, linearly; `across` and `downward` lead from it to the frame; `out`: RGB rows of `inputWidth`. */
export function input(
  frame: usize, frameWidth: i32, across: usize, width: i32, downward: usize, height: i32, out: usize, inputWidth: i32,
): void {
  for (let y: i32 = 0; y < height; y++) {
    const over = frame + (<usize>(i(downward, y) * frameWidth) << 2);
    const under = frame + (<usize>(i(downward, height + y) * frameWidth) << 2);
    const down = f(downward, 2 * height + y);
    let to = out + 3 * y * inputWidth;
    for (let x: i32 = 0; x < width; x++) {
      const one = <usize>i(across, x) << 2;
      const two = <usize>i(across, width + x) << 2;
      const along = f(across, 2 * width + x);
      for (let channel: usize = 0; channel < 3; channel++, to++) {
        const a = <f32>load<u8>(over + one + channel);
        const above = a + (<f32>load<u8>(over + two + channel) - a) * along;
        const b = <f32>load<u8>(under + one + channel);
        const below = b + (<f32>load<u8>(under + two + channel) - b) * along;
        store<u8>(to, <u8>(above + (below - above) * down + 0.5));
      }
    }
  }
}

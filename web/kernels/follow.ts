/** A stream's alpha along the frame's edges (src/matting/edges.ts says what is computed here and why). */

// @ts-nocheck: AssemblyScript's compiler checks this file.

const CHANGED: i32 = 8;
const JUMP: f32 = 0.3;
const IDLE: f32 = 0.4;
const UNKNOWN: i16 = -1000; // in place of a colour: whatever comes has changed

// @ts-ignore: decorator
@inline
function real(at: usize, place: i32): f32 {
  return load<f32>(at + (<usize>place << 2));
}

// @ts-ignore: decorator
@inline
function whole(at: usize, place: i32): i32 {
  return load<i32>(at + (<usize>place << 2));
}

// @ts-ignore: decorator
@inline
function set(at: usize, place: i32, value: f32): void {
  store<f32>(at + (<usize>place << 2), value);
}

/**
 * Near what is active, at (width, height), means over `times` x `times` pixels of an RGBA frame, as bytes: four planes one
 * after another, of brightness, red, green and blue.
 */
export function look(
  spans: usize, pitch: i32, lineOf: usize, frame: usize, stride: i32, times: i32, out: usize, width: i32, height: i32,
): void {
  for (let y: i32 = 0; y < height; y++) {
    const line = spans + (<usize>(whole(lineOf, y) * pitch) << 2);
    for (let span: i32 = 0; span < load<i32>(line); span++) {
      const at = line + 4 + (<usize>span << 4);
      if (load<i32>(at, 12) != 0) lookAtRow(frame, stride, times, out, width, width * height, y, load<i32>(at), load<i32>(at, 4));
    }
  }
}

function lookAtRow(
  frame: usize, stride: i32, times: i32, out: usize, width: i32, size: i32, y: i32, from: i32, to: i32,
): void {
  const scale: f32 = 1.0 / <f32>(times * times);
  for (let x = from; x < to; x++) {
    let sums = i32x4.splat(0);
    for (let row = y * times; row < (y + 1) * times; row++) {
      let at = frame + (<usize>(row * stride + x * times) << 2);
      for (let column: i32 = 0; column < times; column++, at += 4) {
        sums = i32x4.add(sums, i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(at))));
      }
    }
    const means = f32x4.mul(f32x4.convert_i32x4_u(sums), f32x4.splat(scale));
    const red = f32x4.extract_lane(means, 0);
    const green = f32x4.extract_lane(means, 1);
    const blue = f32x4.extract_lane(means, 2);
    const place = out + y * width + x;
    store<u8>(place, <u8>(<f32>0.299 * red + <f32>0.587 * green + <f32>0.114 * blue + 0.5));
    store<u8>(place + size, <u8>(red + 0.5));
    store<u8>(place + 2 * size, <u8>(green + 0.5));
    store<u8>(place + 3 * size, <u8>(blue + 0.5));
  }
}

/**
 * The fine alpha, and what it does in time. `seen`: as `look` gives it; `slope` and `offset`: close-packed, of the box;
 * `downward`: the axis from fine rows to the alpha's; `rows`: two rows of the alpha's width; `known`: int16, of each fine
 * pixel red, green and blue; `columns`: three rows of int16, each of a fine row and eight more.
 */
export function follow(
  spans: usize, pitch: i32, lineOf: usize, seen: usize, width: i32, height: i32, across: usize, downward: usize,
  slope: usize, offset: usize, left: i32, top: i32, right: i32, bottom: i32, rows: usize, smallWidth: i32,
  known: usize, alpha: usize, columns: usize, up: f32, down: f32, isNew: bool,
): void {
  const offsets = rows + (<usize>smallWidth << 2);
  for (let y: i32 = 0; y < height; y++) {
    const line = spans + (<usize>(whole(lineOf, y) * pitch) << 2);
    let hasLines = false;
    for (let span: i32 = 0; span < load<i32>(line); span++) {
      const at = line + 4 + (<usize>span << 4);
      const from = load<i32>(at);
      const to = load<i32>(at, 4);
      const kind = load<i32>(at, 8);
      if (kind == 2) {
        if (!hasLines) {
          const over = (right - left) * (min(bottom - 1, max(top, whole(downward, y))) - top);
          const under = (right - left) * (min(bottom - 1, max(top, whole(downward, height + y))) - top);
          const share = real(downward, 2 * height + y);
          for (let x: i32 = 0; x < right - left; x++) {
            set(rows, left + x, real(slope, over + x) + (real(slope, under + x) - real(slope, over + x)) * share);
            set(offsets, left + x, real(offset, over + x) + (real(offset, under + x) - real(offset, over + x)) * share);
          }
          hasLines = true;
        }
        followRow(seen, width, height, y, from, to, across, rows, offsets, known, alpha, columns, up, down, isNew);
      } else {
        for (let x = from; x < to; x++) {
          set(alpha, y * width + x, <f32>kind);
          store<i16>(known + 6 * (y * width + x), UNKNOWN);
        }
      }
    }
  }
}

function followRow(
  seen: usize, width: i32, height: i32, y: i32, from: i32, to: i32, across: usize,
  slopes: usize, offsets: usize, known: usize, alpha: usize, columns: usize, up: f32, down: f32, isNew: bool,
): void {
  const colours = seen + width * height;
  const pitch = (<usize>width + 8) << 1;
  for (let channel: i32 = 0; channel < 3; channel++) {
    sumColumns(colours + channel * width * height, width, height, y, from, to, columns + channel * pitch);
  }
  const greys = seen + y * width;
  for (let x = from; x < to; x++) {
    const left = whole(across, x);
    const right = whole(across, width + x);
    const part = real(across, 2 * width + x);
    const slope = real(slopes, left) + (real(slopes, right) - real(slopes, left)) * part;
    const offset = real(offsets, left) + (real(offsets, right) - real(offsets, left)) * part;
    const now = min<f32>(1, max<f32>(0, (slope * <f32>load<u8>(greys + x)) / 255 + offset));
    const red = around(columns, x, width);
    const green = around(columns + pitch, x, width);
    const blue = around(columns + 2 * pitch, x, width);
    const place = y * width + x;
    const believed = known + 6 * place;
    const change = max(
      abs(red - <i32>load<i16>(believed)),
      max(abs(green - <i32>load<i16>(believed, 2)), abs(blue - <i32>load<i16>(believed, 4))),
    );
    const before = real(alpha, place);
    const step = now - before;
    if (isNew || change > CHANGED) {
      store<i16>(believed, <i16>red);
      store<i16>(believed, <i16>green, 2);
      store<i16>(believed, <i16>blue, 4);
      set(alpha, place, now);
    } else if (step > JUMP) set(alpha, place, now);
    else if (abs<f32>(step) >= IDLE * min<f32>(now, 1 - now)) set(alpha, place, before + step * (step > 0 ? up : down)); // it falls faster
  }
}

/** Sums of five bytes above each other, those two pixels to each side included; up to seven more are written. */
function sumColumns(plane: usize, width: i32, height: i32, y: i32, from: i32, to: i32, out: usize): void {
  const a = plane + once(y - 2, height) * width;
  const b = plane + once(y - 1, height) * width;
  const c = plane + y * width;
  const d = plane + once(y + 1, height) * width;
  const e = plane + once(y + 2, height) * width;
  for (let x: usize = max(0, from - 2); x < <usize>min(width, to + 2); x += 8) {
    let sum = i16x8.add(eight(a + x), eight(b + x));
    sum = i16x8.add(i16x8.add(sum, eight(c + x)), i16x8.add(eight(d + x), eight(e + x)));
    v128.store(out + (x << 1), sum);
  }
}

// @ts-ignore: decorator
@inline
function eight(bytes: usize): v128 {
  return i16x8.extend_low_i8x16_u(v128.load64_zero(bytes));
}

/** The mean of 25 pixels from their columns' sums. */
// @ts-ignore: decorator
@inline
function around(columns: usize, x: i32, width: i32): i32 {
  let sum: i32 = 0;
  if (x >= 2 && x < width - 2) {
    const at = columns + (<usize>x << 1);
    sum = <i32>load<i16>(at - 4) + <i32>load<i16>(at - 2) + <i32>load<i16>(at) + <i32>load<i16>(at, 2) + <i32>load<i16>(at, 4);
  } else for (let near = x - 2; near <= x + 2; near++) sum += <i32>load<i16>(columns + (<usize>once(near, width) << 1));
  return (2 * sum + 25) / 50;
}

/** Beyond the border the picture is mirrored, its last row once. */
function once(place: i32, length: i32): i32 {
  const inside = place < 0 ? -place : place < length ? place : 2 * length - 2 - place;
  return min(length - 1, max(0, inside));
}

/** What a stream's frames have in common: src/matting/motion.ts and stabiliser.ts say what is computed here and why. */

// @ts-nocheck: AssemblyScript's compiler checks this file.

const AROUND: i32 = 4; // pixels to each side of a mean
const SIDE: i32 = 9;
const STEP: f32 = 8;
const DRIFT: f32 = 12;
const MOTION: f32 = 2.5;
const ONE: f32 = 64; // in maps of change: just changed
const RISE: f32 = 0.06;
const MARGIN: f32 = 0.15;

// @ts-ignore: decorator
@inline
function num(plane: usize, place: i32): f32 {
  return load<f32>(plane + (<usize>place << 2));
}

// @ts-ignore: decorator
@inline
function put(plane: usize, place: i32, value: f32): void {
  store<f32>(plane + (<usize>place << 2), value);
}

/** Beyond the border the picture is mirrored, its last row once. */
function inside(place: i32, length: i32): i32 {
  if (length == 1) return 0;
  const found = place < 0 ? -place : place < length ? place : 2 * length - 2 - place;
  return min(length - 1, max(0, found));
}

/** Means over 9 x 9 pixels; `work`: a plane. */
export function around(source: usize, work: usize, out: usize, width: i32, height: i32): void {
  for (let y: i32 = 0; y < height; y++) {
    const row = source + (<usize>(y * width) << 2);
    const to = work + (<usize>(y * width) << 2);
    let x: i32 = 0;
    for (; x < min(AROUND, width); x++) put(to, x, sumAlong(row, x, width));
    for (; x + 4 <= width - AROUND; x += 4) {
      const at = row + (<usize>(x - AROUND) << 2);
      let sum = v128.load(at);
      for (let one: usize = 4; one < 4 * SIDE; one += 4) sum = f32x4.add(sum, v128.load(at + one));
      v128.store(to + (<usize>x << 2), sum);
    }
    for (; x < width; x++) put(to, x, sumAlong(row, x, width));
  }
  const scale = f32x4.splat(<f32>1 / <f32>(SIDE * SIDE));
  for (let y: i32 = 0; y < height; y++) {
    const to = out + (<usize>(y * width) << 2);
    for (let x: i32 = 0; x < width; x += 4) {
      let sum = f32x4.splat(0);
      for (let row = y - AROUND; row <= y + AROUND; row++) {
        sum = f32x4.add(sum, v128.load(work + (<usize>(inside(row, height) * width + x) << 2)));
      }
      // Beyond a row's end this is a mean of others, which the next row writes over; planes have room after the last one.
      v128.store(to + (<usize>x << 2), f32x4.mul(sum, scale));
    }
  }
}

function sumAlong(row: usize, x: i32, width: i32): f32 {
  let sum: f32 = 0;
  for (let at = x - AROUND; at <= x + AROUND; at++) sum += num(row, inside(at, width));
  return sum;
}

/** Means of 2 x 2 pixels of an RGB picture with rows of `stride` bytes; a side of one pixel is its own neighbour. */
export function halve(picture: usize, stride: i32, right: i32, below: i32, out: usize, width: i32, height: i32): void {
  let to = out;
  for (let y: i32 = 0; y < height; y++) {
    let at = picture + <usize>(2 * y * stride);
    for (let x: i32 = 0; x < width; x++, at += 6) {
      for (let channel: usize = 0; channel < 3; channel++, to++) {
        const one = at + channel;
        const sum = <i32>load<u8>(one) + <i32>load<u8>(one + right) + <i32>load<u8>(one + below) + <i32>load<u8>(one + right + below);
        store<u8>(to, <u8>nearest<f32>(<f32>sum * 0.25));
      }
    }
  }
}

/** What changed since `before` (`step`: bytes) and since it was `known`; how many pixels move clearly. */
export function compare(
  now: usize, before: usize, known: usize, step: usize, changed: usize, moving: usize, size: i32, levels: f32,
): i32 {
  const threshold = MOTION * STEP * levels;
  const perDrift = ONE / (DRIFT * levels);
  const perStep = ONE / (STEP * levels);
  let count: i32 = 0;
  for (let place: i32 = 0, at: i32 = 0; place < size; place++, at += 3) {
    let worst: i32 = 0;
    let drift: f32 = 0;
    for (let channel = at; channel < at + 3; channel++) {
      const value = <i32>load<u8>(now + channel);
      worst = max(worst, abs(value - <i32>load<u8>(before + channel)));
      drift = max(drift, abs(<f32>value - floor<f32>(num(known, channel) + 0.5)));
    }
    store<u8>(step + place, <u8>worst);
    put(changed, place, min<f32>(255, floor<f32>(max(drift * perDrift, <f32>worst * perStep) + 0.5)));
    const moves = <f32>worst > threshold;
    put(moving, place, moves ? 255 : 0);
    count += <i32>moves;
  }
  return count;
}

/** The median of bytes; `counts`: 256 int32. */
export function median(bytes: usize, size: i32, counts: usize): i32 {
  memory.fill(counts, 0, 1024);
  for (let place: i32 = 0; place < size; place++) {
    const at = counts + (<usize>load<u8>(bytes + place) << 2);
    store<i32>(at, load<i32>(at) + 1);
  }
  let level: i32 = 0;
  let sum = load<i32>(counts);
  while (2 * sum < size) {
    level++;
    sum += load<i32>(counts + (<usize>level << 2));
  }
  return level;
}

/** Motion makes its surroundings doubtful, for a while. `means`: of `moving`. */
export function fade(means: usize, nearby: usize, size: i32, rest: f32): void {
  for (let place: i32 = 0; place < size; place++) {
    const share = <f32>3 * (floor<f32>(num(means, place) + 0.5) - <f32>0.05 * 255);
    put(nearby, place, max(floor<f32>(num(nearby, place) * rest + 0.5), min<f32>(255, floor<f32>(max<f32>(0, share)))));
  }
}

/** Takes over the colours of what has changed, and slowly those of the rest. */
export function remember(now: usize, known: usize, changed: usize, size: i32, least: f32): void {
  for (let place: i32 = 0, at: i32 = 0; place < size; place++, at += 3) {
    const level = num(changed, place);
    const rise: f32 = level >= ONE ? min<f32>(1, max<f32>(0, level / ONE - 0.5)) : 0;
    const rate = max(rise, least);
    for (let channel = at; channel < at + 3; channel++) {
      const before = num(known, channel);
      put(known, channel, before + (<f32>load<u8>(now + channel) - before) * rate);
    }
  }
}

/** Linearly; an axis is three tables (kernels.ts); `row`: a row of the source's width. */
export function enlarge(
  source: usize, width: i32, out: usize, toWidth: i32, toHeight: i32, across: usize, downward: usize, row: usize,
): void {
  const second = across + (<usize>toWidth << 2);
  const share = second + (<usize>toWidth << 2);
  for (let y: i32 = 0; y < toHeight; y++) {
    const over = source + (<usize>(load<i32>(downward + (<usize>y << 2)) * width) << 2);
    const under = source + (<usize>(load<i32>(downward + (<usize>(toHeight + y) << 2)) * width) << 2);
    const down = num(downward, 2 * toHeight + y);
    for (let x: i32 = 0; x < width; x++) put(row, x, num(over, x) + (num(under, x) - num(over, x)) * down);
    const to = out + (<usize>(y * toWidth) << 2);
    for (let x: i32 = 0; x < toWidth; x++) {
      const left = num(row, load<i32>(across + (<usize>x << 2)));
      put(to, x, left + (num(row, load<i32>(second + (<usize>x << 2))) - left) * num(share, x));
    }
  }
}

/** Whether of all that is person in one of two alphas less than half is in both. */
export function differ(one: usize, two: usize, size: i32): bool {
  let union: i32 = 0;
  let common: i32 = 0;
  for (let place: i32 = 0; place < size; place++) {
    const first = num(one, place) >= 0.5;
    const second = num(two, place) >= 0.5;
    union += <i32>(first || second);
    common += <i32>(first && second);
  }
  return 2 * common < union;
}

/** The stream's alpha `kept` goes towards the new one, `said`, and is written over it; `means`: of the new one. */
export function blend(
  said: usize, kept: usize, evidence: usize, means: usize, change: usize, near: usize, size: i32,
  least: f32, release: f32, turn: f32,
): void {
  const half = f32x4.splat(0.5);
  const one = f32x4.splat(1);
  const zero = f32x4.splat(0);
  const slowest = f32x4.splat(least);
  const rest = f32x4.splat(1 - least);
  for (let at: usize = 0; at < <usize>size << 2; at += 16) {
    const now = v128.load(said + at);
    const before = v128.load(kept + at);
    const off = f32x4.sub(now, half);
    const sure = f32x4.mul(off, off);
    const doubt = f32x4.mul(f32x4.mul(v128.load(near + at), f32x4.splat(<f32>4 / 255)), sure);
    const level = f32x4.floor(f32x4.add(v128.load(change + at), half));
    const changed = f32x4.ge(level, f32x4.splat(ONE));
    const jump = v128.and(changed, f32x4.min(one, f32x4.sub(f32x4.mul(level, f32x4.splat(1 / ONE)), half)));
    const up = f32x4.max(f32x4.add(f32x4.mul(f32x4.mul(doubt, f32x4.splat(RISE)), rest), slowest), jump);
    // A hole in the person is believed late, what lies outside of all but a few of the new pixels around it soon.
    const alone = f32x4.sub(f32x4.splat(4 * release), f32x4.mul(f32x4.splat(8 * release), v128.load(means + at)));
    const outside = f32x4.mul(f32x4.max(zero, alone), sure);
    const fall = f32x4.add(f32x4.mul(f32x4.max(doubt, outside), rest), slowest);
    const down = v128.bitselect(one, fall, changed);
    let rate = v128.bitselect(up, down, f32x4.gt(now, before));
    const told = v128.load(evidence + at);
    const proof = f32x4.add(told, f32x4.mul(f32x4.sub(now, told), rate));
    v128.store(evidence + at, proof);
    const was = f32x4.ge(before, half);
    const turns = v128.xor(was, f32x4.ge(now, half));
    const convinced = v128.bitselect(f32x4.lt(proof, f32x4.splat(0.5 - MARGIN)), f32x4.ge(proof, f32x4.splat(0.5 + MARGIN)), was);
    const turning = v128.and(v128.or(changed, convinced), f32x4.max(rate, f32x4.splat(turn)));
    rate = v128.bitselect(turning, rate, turns);
    let value = f32x4.add(before, f32x4.mul(f32x4.sub(now, before), rate));
    // What no eye sees ends here: numbers that shrink for ever become slow to compute with.
    value = v128.andnot(value, f32x4.lt(value, f32x4.splat(1e-4)));
    value = v128.bitselect(one, value, f32x4.gt(value, f32x4.splat(1 - 1e-4)));
    v128.store(kept + at, value);
    v128.store(said + at, value);
  }
}

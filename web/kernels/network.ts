/**
 * A convolutional network's layers, as WebAssembly (AssemblyScript): in 4 x 8 blocks of pixels and channels that stay in registers.
 *
 * ONNX Runtime's own WebAssembly takes more than twice as long, most of all for depthwise layers (docs/browser.md).
 * Planes are (height, width, channels) float32 with a border of zeros as wide as the layers that read them want it, so none
 * of them asks where the picture ends. Every function computes rows `from` to before `to`, so that threads can share a layer.
 * Arguments are addresses of a plane's first pixel inside of the border, and distances in bytes. src/network/plan.ts calls them.
 */

// @ts-nocheck: AssemblyScript's compiler checks this file.

// @ts-ignore: decorator
@inline
function madd(one: v128, two: v128, sum: v128): v128 {
  // Decided when it is compiled: with the fused one where the browser has relaxed SIMD.
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(one, two, sum) : f32x4.add(f32x4.mul(one, two), sum);
}

// @ts-ignore: decorator
@inline
function splat(at: usize): v128 {
  return v128.load32_splat(at);
}

// @ts-ignore: decorator
@inline
function finish(value: v128, least: v128, at: usize): void {
  v128.store(at, f32x4.max(value, least)); // of a number and none max makes none, so what is broken stays so
}

/** The picture's bytes as numbers with `offset` added; a row of it has `length` of them, one of the plane `row` bytes. */
export function read(from: i32, to: i32, bytes: usize, out: usize, length: i32, row: usize, offset: f32): void {
  const more = f32x4.splat(offset);
  for (let y = from; y < to; y++) {
    let at = bytes + <usize>y * <usize>length;
    let put = out + <usize>y * row;
    let x: i32 = 0;
    for (; x + 8 <= length; x += 8, at += 8, put += 32) {
      const eight = v128.load_ext<u8>(at);
      v128.store(put, f32x4.add(f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(eight)), more));
      v128.store(put, f32x4.add(f32x4.convert_i32x4_u(i32x4.extend_high_i16x8_u(eight)), more), 16);
    }
    for (; x < length; x++, at++, put += 4) store<f32>(put, <f32>load<u8>(at) + offset);
  }
}

/**
 * A convolution whose kernel's rows are `runs` runs of `run` numbers that lie one after another in the input, `tapRow` apart.
 *
 * `weights`: for every 8 channels all taps, for each tap 8 numbers; `rest`: what is added (a plane of the output's size, or
 * with `shift` 1 of half of it, enlarged), or 0; `least`: 0 for ReLU, else minus infinity.
 */
export function conv(
  from: i32, to: i32, input: usize, inRow: usize, step: usize, tapRow: usize, runs: i32, run: i32,
  weights: usize, bias: usize, out: usize, outRow: usize, width: i32, channels: i32,
  rest: usize, restRow: usize, shift: i32, least: f32,
): void {
  const pixel = <usize>channels << 2;
  const block = (<usize>(runs * run)) << 5;
  for (let y = from; y < to; y++) {
    const source = input + <usize>y * inRow;
    const target = out + <usize>y * outRow;
    const more = rest == 0 ? 0 : rest + <usize>(y >> shift) * restRow;
    let kernel = weights;
    for (let channel: usize = 0; channel < pixel; channel += 32, kernel += block) {
      let x: i32 = 0;
      for (; x + 4 <= width; x += 4) {
        four(
          source + <usize>x * step, step, tapRow, runs, run, kernel, bias + channel, target + <usize>x * pixel + channel, pixel,
          more == 0 ? 0 : more + <usize>(x >> shift) * pixel + channel, shift, least,
        );
      }
      for (; x < width; x++) {
        one(
          source + <usize>x * step, tapRow, runs, run, kernel, bias + channel, target + <usize>x * pixel + channel,
          more == 0 ? 0 : more + <usize>(x >> shift) * pixel + channel, least,
        );
      }
    }
  }
}

/** Four pixels, eight channels. */
// @ts-ignore: decorator
@inline
function four(
  source: usize, step: usize, tapRow: usize, runs: i32, run: i32, kernel: usize, bias: usize, target: usize, pixel: usize,
  rest: usize, shift: i32, least: f32,
): void {
  let a0 = v128.load(bias);
  let a1 = v128.load(bias, 16);
  let b0 = a0;
  let b1 = a1;
  let c0 = a0;
  let c1 = a1;
  let d0 = a0;
  let d1 = a1;
  let weight = kernel;
  for (let row: i32 = 0; row < runs; row++) {
    let a = source + <usize>row * tapRow;
    let b = a + step;
    let c = b + step;
    let d = c + step;
    const end = a + (<usize>run << 2);
    for (; a < end; a += 4, b += 4, c += 4, d += 4, weight += 32) {
      const w0 = v128.load(weight);
      const w1 = v128.load(weight, 16);
      const va = splat(a);
      a0 = madd(va, w0, a0);
      a1 = madd(va, w1, a1);
      const vb = splat(b);
      b0 = madd(vb, w0, b0);
      b1 = madd(vb, w1, b1);
      const vc = splat(c);
      c0 = madd(vc, w0, c0);
      c1 = madd(vc, w1, c1);
      const vd = splat(d);
      d0 = madd(vd, w0, d0);
      d1 = madd(vd, w1, d1);
    }
  }
  if (rest != 0) {
    const second = rest + (1 >> shift) * pixel;
    const third = rest + (2 >> shift) * pixel;
    const fourth = rest + (3 >> shift) * pixel;
    a0 = f32x4.add(a0, v128.load(rest));
    a1 = f32x4.add(a1, v128.load(rest, 16));
    b0 = f32x4.add(b0, v128.load(second));
    b1 = f32x4.add(b1, v128.load(second, 16));
    c0 = f32x4.add(c0, v128.load(third));
    c1 = f32x4.add(c1, v128.load(third, 16));
    d0 = f32x4.add(d0, v128.load(fourth));
    d1 = f32x4.add(d1, v128.load(fourth, 16));
  }
  const floor = f32x4.splat(least);
  finish(a0, floor, target);
  finish(a1, floor, target + 16);
  finish(b0, floor, target + pixel);
  finish(b1, floor, target + pixel + 16);
  finish(c0, floor, target + 2 * pixel);
  finish(c1, floor, target + 2 * pixel + 16);
  finish(d0, floor, target + 3 * pixel);
  finish(d1, floor, target + 3 * pixel + 16);
}

/** One pixel, eight channels: what is left of a row. */
function one(
  source: usize, tapRow: usize, runs: i32, run: i32, kernel: usize, bias: usize, target: usize, rest: usize, least: f32,
): void {
  let first = v128.load(bias);
  let second = v128.load(bias, 16);
  let weight = kernel;
  for (let row: i32 = 0; row < runs; row++) {
    let at = source + <usize>row * tapRow;
    const end = at + (<usize>run << 2);
    for (; at < end; at += 4, weight += 32) {
      const value = splat(at);
      first = madd(value, v128.load(weight), first);
      second = madd(value, v128.load(weight, 16), second);
    }
  }
  if (rest != 0) {
    first = f32x4.add(first, v128.load(rest));
    second = f32x4.add(second, v128.load(rest, 16));
  }
  const floor = f32x4.splat(least);
  finish(first, floor, target);
  finish(second, floor, target + 16);
}

/** Every channel by its own kernel of `side` x `side`; sixteen of them at a time, whose weights stay in the first cache. */
export function depthwise(
  from: i32, to: i32, input: usize, inRow: usize, lineStep: usize, step: usize, side: i32,
  weights: usize, bias: usize, out: usize, outRow: usize, width: i32, channels: i32, least: f32,
): void {
  const pixel = <usize>channels << 2;
  const floor = f32x4.splat(least);
  for (let y = from; y < to; y++) {
    for (let channel: usize = 0; channel < pixel; channel += 64) {
      const b0 = v128.load(bias + channel);
      const b1 = v128.load(bias + channel, 16);
      const b2 = v128.load(bias + channel, 32);
      const b3 = v128.load(bias + channel, 48);
      let source = input + <usize>y * lineStep + channel;
      let target = out + <usize>y * outRow + channel;
      for (let x: i32 = 0; x < width; x++, source += step, target += pixel) {
        let s0 = b0;
        let s1 = b1;
        let s2 = b2;
        let s3 = b3;
        let weight = weights + channel;
        let line = source;
        for (let row: i32 = 0; row < side; row++, line += inRow) {
          let at = line;
          for (let column: i32 = 0; column < side; column++, at += pixel, weight += pixel) {
            s0 = madd(v128.load(at), v128.load(weight), s0);
            s1 = madd(v128.load(at, 16), v128.load(weight, 16), s1);
            s2 = madd(v128.load(at, 32), v128.load(weight, 32), s2);
            s3 = madd(v128.load(at, 48), v128.load(weight, 48), s3);
          }
        }
        finish(s0, floor, target);
        finish(s1, floor, target + 16);
        finish(s2, floor, target + 32);
        finish(s3, floor, target + 48);
      }
    }
  }
}

/** The last layer: from each pixel's channels 2 x 2 logits, and of those the sigmoid; `out`: rows of 2 * `width` numbers. */
export function alpha(from: i32, to: i32, input: usize, inRow: usize, weights: usize, bias: f32, out: usize, width: i32, channels: i32): void {
  const row = <usize>width << 3;
  for (let y = from; y < to; y++) {
    let at = input + <usize>y * inRow;
    let target = out + 2 * <usize>y * row;
    for (let x: i32 = 0; x < width; x++, target += 8) {
      let sum = f32x4.splat(bias);
      let weight = weights;
      for (let channel: i32 = 0; channel < channels; channel++, at += 4, weight += 16) {
        sum = madd(splat(at), v128.load(weight), sum);
      }
      const four = sigmoid(sum);
      v128.store64_lane(target, four, 0);
      v128.store64_lane(target + row, four, 1);
    }
  }
}

/** 1 / (1 + e^-x), within a millionth. */
// @ts-ignore: decorator
@inline
function sigmoid(value: v128): v128 {
  const bounded = f32x4.max(f32x4.min(f32x4.mul(value, f32x4.splat(-1.44269504)), f32x4.splat(126)), f32x4.splat(-126));
  const whole = f32x4.nearest(bounded);
  const part = f32x4.sub(bounded, whole);
  // 2^part, by its series
  let power = madd(part, f32x4.splat(0.0013333558), f32x4.splat(0.0096181291));
  power = madd(power, part, f32x4.splat(0.0555041087));
  power = madd(power, part, f32x4.splat(0.2402265070));
  power = madd(power, part, f32x4.splat(0.6931471806));
  power = madd(power, part, f32x4.splat(1));
  const scale = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(whole), i32x4.splat(127)), 23);
  return f32x4.div(f32x4.splat(1), madd(power, scale, f32x4.splat(1)));
}

/** The cut-out person laid over what is behind; pixels are RGBA bytes. */

// @ts-nocheck: AssemblyScript's compiler checks this file.

/** In place of `person`, which has straight alpha; `behind` is taken as opaque. Both have room up to a multiple of 16 bytes. */
export function over(person: usize, behind: usize, pixels: i32): void {
  const opaque = i32x4.splat(0xff000000);
  const end = person + (<usize>pixels << 2);
  for (let at = person, under = behind; at < end; at += 16, under += 16) {
    const own = v128.load(at);
    const alpha = v128.and(own, opaque);
    if (i32x4.all_true(i32x4.eq(alpha, opaque))) continue;
    const back = v128.load(under);
    if (v128.any_true(alpha)) {
      const low = mixed(i16x8.extend_low_i8x16_u(own), i16x8.extend_low_i8x16_u(back));
      const high = mixed(i16x8.extend_high_i8x16_u(own), i16x8.extend_high_i8x16_u(back));
      v128.store(at, v128.or(i8x16.narrow_i16x8_u(low, high), opaque));
    } else v128.store(at, v128.or(back, opaque));
  }
}

/** Two pixels, their numbers 16 bits wide. */
// @ts-ignore: decorator
@inline
function mixed(own: v128, back: v128): v128 {
  const alpha = v128.shuffle<i16>(own, own, 3, 3, 3, 3, 7, 7, 7, 7);
  const rest = i16x8.sub(i16x8.splat(255), alpha);
  const sum = i16x8.add(i16x8.add(i16x8.mul(own, alpha), i16x8.mul(back, rest)), i16x8.splat(128));
  return i16x8.shr_u(i16x8.add(sum, i16x8.shr_u(sum, 8)), 8); // divided by 255 and rounded
}

/** A small picture enlarged linearly; an axis is three tables (kernels.ts); `row`: a row of the small one's pixels as float32. */
export function stretch(
  small: usize, width: i32, across: usize, downward: usize, row: usize, out: usize, toWidth: i32, toHeight: i32,
): void {
  const second = across + (<usize>toWidth << 2);
  const share = second + (<usize>toWidth << 2);
  let to = out;
  for (let y: i32 = 0; y < toHeight; y++) {
    const over = small + (<usize>(load<i32>(downward + (<usize>y << 2)) * width) << 2);
    const under = small + (<usize>(load<i32>(downward + (<usize>(toHeight + y) << 2)) * width) << 2);
    const down = v128.load32_splat(downward + (<usize>(2 * toHeight + y) << 2));
    for (let x: usize = 0; x < <usize>width; x++) {
      const above = numbers(over + (x << 2));
      v128.store(row + (x << 4), f32x4.add(above, f32x4.mul(f32x4.sub(numbers(under + (x << 2)), above), down)));
    }
    for (let x: usize = 0; x < <usize>toWidth; x++, to += 4) {
      const left = v128.load(row + (<usize>load<i32>(across + (x << 2)) << 4));
      const right = v128.load(row + (<usize>load<i32>(second + (x << 2)) << 4));
      const value = f32x4.add(left, f32x4.mul(f32x4.sub(right, left), v128.load32_splat(share + (x << 2))));
      const whole = i32x4.trunc_sat_f32x4_s(f32x4.add(value, f32x4.splat(0.5)));
      const words = i16x8.narrow_i32x4_u(whole, whole);
      v128.store32_lane(to, i8x16.narrow_i16x8_u(words, words), 0);
    }
  }
}

// @ts-ignore: decorator
@inline
function numbers(pixel: usize): v128 {
  const four = v128.load32_zero(pixel);
  return f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(four)));
}

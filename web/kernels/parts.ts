/** An alpha's connected parts: which are doubted, which are holes, which are specks (src/matting/alpha.ts). */

// @ts-nocheck: AssemblyScript's compiler checks this file.

const LOW: f32 = 0.25;
const SCALE: f32 = 2; // from LOW .. 0.75 to 0 .. 1
const FAINT: f32 = 0.1; // what counts as part of anything
const RIM: i32 = 2; // pixels around a hole, which are soft

// @ts-ignore: decorator
@inline
function pixel(plane: usize, place: i32): f32 {
  return load<f32>(plane + (<usize>place << 2));
}

// @ts-ignore: decorator
@inline
function member(part: usize, one: i32): i32 {
  return load<i32>(part + (<usize>one << 2));
}

/** The network's border cut off and the middle of its range stretched; whether all of it are numbers. */
export function crisp(output: usize, inputWidth: i32, out: usize, width: i32, height: i32): bool {
  let place: i32 = 0;
  for (let y: i32 = 0; y < height; y++) {
    for (let x: i32 = 0; x < width; x++, place++) {
      const value = pixel(output, y * inputWidth + x);
      if (!(value > -1e30 && value < 1e30)) return false;
      store<f32>(out + (<usize>place << 2), min<f32>(1, max<f32>(0, (value - LOW) * SCALE)));
    }
  }
  return true;
}

/** Of the part that `start` belongs to, its pixels into `part`; how many. `seen`: bytes, 0 where a pixel is in no part yet. */
function collect(seen: usize, part: usize, start: i32, width: i32, height: i32, diagonal: bool): i32 {
  store<u8>(seen + start, 1);
  store<i32>(part, start);
  let size: i32 = 1;
  for (let next: i32 = 0; next < size; next++) {
    const place = member(part, next);
    const x = place % width;
    const y = place / width;
    const left = max(0, x - 1);
    const right = min(width - 1, x + 1);
    for (let row = max(0, y - 1); row <= min(height - 1, y + 1); row++) {
      const isOwn = row == y;
      const from = isOwn || diagonal ? left : x;
      const to = isOwn || diagonal ? right : x;
      for (let at = row * width + from; at <= row * width + to; at++) {
        if (load<u8>(seen + at) != 0) continue;
        store<u8>(seen + at, 1);
        store<i32>(part + (<usize>size << 2), at);
        size++;
      }
    }
  }
  return size;
}

/** Empties the parts of a network's output that it is hardly sure of: too few of a part's pixels are beyond `sure`. */
export function doubt(output: usize, width: i32, height: i32, seen: usize, part: usize, sure: f32, share: f32): void {
  const all = width * height;
  for (let place: i32 = 0; place < all; place++) store<u8>(seen + place, <u8>!(pixel(output, place) > FAINT));
  for (let start: i32 = 0; start < all; start++) {
    if (load<u8>(seen + start) != 0) continue;
    const size = collect(seen, part, start, width, height, true);
    let person: i32 = 0;
    let certain: i32 = 0;
    for (let one: i32 = 0; one < size; one++) {
      const value = pixel(output, member(part, one));
      if (value >= 0.5) person++;
      if (value > sure) certain++;
    }
    if (<f32>certain > share * <f32>person) continue;
    for (let one: i32 = 0; one < size; one++) store<f32>(output + (<usize>member(part, one) << 2), 0);
  }
}

/** Fills holes of fewer than `least` pixels inside the person, with their rims; `holes`: as many int32 as there are pixels. */
export function fill(alpha: usize, width: i32, height: i32, seen: usize, part: usize, holes: usize, least: f32): void {
  const all = width * height;
  let count: i32 = 0;
  for (let place: i32 = 0; place < all; place++) store<u8>(seen + place, <u8>!(pixel(alpha, place) < 0.5));
  for (let start: i32 = 0; start < all; start++) {
    if (load<u8>(seen + start) != 0) continue;
    const size = collect(seen, part, start, width, height, false);
    if (<f32>size >= least || touchesBorder(part, size, width, height)) continue;
    memory.copy(holes + (<usize>count << 2), part, <usize>size << 2);
    count += size;
  }
  for (let one: i32 = 0; one < count; one++) {
    const x = member(holes, one) % width;
    const y = member(holes, one) / width;
    for (let row = max(0, y - RIM); row <= min(height - 1, y + RIM); row++) {
      for (let column = max(0, x - RIM); column <= min(width - 1, x + RIM); column++) {
        store<f32>(alpha + (<usize>(row * width + column) << 2), 1);
      }
    }
  }
}

function touchesBorder(part: usize, size: i32, width: i32, height: i32): bool {
  for (let one: i32 = 0; one < size; one++) {
    const place = member(part, one);
    const x = place % width;
    if (x == 0 || x == width - 1 || place < width || place >= width * (height - 1)) return true;
  }
  return false;
}

/** Drops parts of fewer than `least` pixels, and those that are nowhere half person. */
export function drop(alpha: usize, width: i32, height: i32, seen: usize, part: usize, least: f32): void {
  const all = width * height;
  for (let place: i32 = 0; place < all; place++) store<u8>(seen + place, <u8>!(pixel(alpha, place) > FAINT));
  for (let start: i32 = 0; start < all; start++) {
    if (load<u8>(seen + start) != 0) continue;
    const size = collect(seen, part, start, width, height, true);
    let most: f32 = 0;
    for (let one: i32 = 0; one < size; one++) most = max<f32>(most, pixel(alpha, member(part, one)));
    if (<f32>size >= least && most >= 0.5) continue;
    for (let one: i32 = 0; one < size; one++) store<f32>(alpha + (<usize>member(part, one) << 2), 0);
  }
}

@inline
function bump(hist: usize, bin: u32): void {
  const at = hist + (<usize>bin << 2)
  store<u32>(at, load<u32>(at) + 1)
}

/** Adds to the u32 hist[65536] one count per f32 of x, by the upper 16 bits of |x|. */
export function histogramHigh(x: usize, n: u32, hist: usize): void {
  const end = x + (<usize>n << 2)
  const whole = x + (<usize>(n & ~3) << 2)
  for (; x < whole; x += 16) {
    countAt(hist, load<u32>(x))
    countAt(hist, load<u32>(x, 4))
    countAt(hist, load<u32>(x, 8))
    countAt(hist, load<u32>(x, 12))
  }
  for (; x < end; x += 4) countAt(hist, load<u32>(x))
}

/** The sign is masked away, and four bytes a bin are what is left of the shift. */
@inline
function countAt(hist: usize, bits: u32): void {
  const at = hist + ((bits >> 13) & 0x3fffc)
  store<u32>(at, load<u32>(at) + 1)
}

/** Adds to the u32 hist[32768] one count per f32 of x whose upper 16 bits of |x| are `high`, by the lower 15 bits. */
export function histogramLow(x: usize, n: u32, high: u32, hist: usize): void {
  const whole = x + (<usize>(n & ~3) << 2)
  const end = x + (<usize>n << 2)
  const wanted = i32x4.splat(high)
  for (; x < whole; x += 16) {
    if (!v128.any_true(i32x4.eq(i32x4.shr_u(i32x4.shl(v128.load(x), 1), 16), wanted))) continue
    for (let at = x; at < x + 16; at += 4) bumpLow(load<u32>(at), high, hist)
  }
  for (; x < end; x += 4) bumpLow(load<u32>(x), high, hist)
}

@inline
function bumpLow(bits: u32, high: u32, hist: usize): void {
  if ((bits << 1) >> 16 == high) bump(hist, bits & 0x7fff)
}

/**
 * Adds to the u32 hist[7 * 32768] one count per f32 of x whose upper 16 bits of |x| are one of the seven from `base` on,
 * by its place among all |x| from there. The number of |x| below; -1 where there is NaN or infinity.
 */
export function histogramRange(x: usize, n: u32, base: u32, hist: usize): i32 {
  const whole = x + (<usize>(n & ~3) << 2)
  const end = x + (<usize>n << 2)
  const from = i32x4.splat(base << 15)
  const width = i32x4.splat(7 << 15)
  const size = i32x4.splat(0x7fffffff)
  let below = i32x4.splat(0)
  let zeros = below
  let most = below
  for (; x < whole; x += 16) {
    const bits = v128.and(v128.load(x), size)
    most = i32x4.max_u(most, bits)
    const at = i32x4.sub(bits, from)
    below = i32x4.add(below, i32x4.shr_u(at, 31))
    // Zeros, which there may be many of, are counted by themselves.
    const zero = i32x4.eq(bits, i32x4.splat(0))
    zeros = i32x4.sub(zeros, zero)
    const inside = v128.andnot(i32x4.lt_u(at, width), zero)
    if (!v128.any_true(inside)) continue
    bumpRange(i32x4.extract_lane(at, 0), i32x4.extract_lane(inside, 0), hist)
    bumpRange(i32x4.extract_lane(at, 1), i32x4.extract_lane(inside, 1), hist)
    bumpRange(i32x4.extract_lane(at, 2), i32x4.extract_lane(inside, 2), hist)
    bumpRange(i32x4.extract_lane(at, 3), i32x4.extract_lane(inside, 3), hist)
  }
  let greatest = max(max(i32x4.extract_lane(most, 0), i32x4.extract_lane(most, 1)), max(i32x4.extract_lane(most, 2), i32x4.extract_lane(most, 3)))
  let count = sumLanes(below)
  let none = sumLanes(zeros)
  for (; x < end; x += 4) {
    const bits = load<i32>(x) & 0x7fffffff
    greatest = max(greatest, bits)
    const at = bits - <i32>(base << 15)
    if (bits == 0) none += 1
    else bumpRange(at, i32(<u32>at < 7 << 15), hist)
    count += i32(at < 0)
  }
  if (base == 0) store<u32>(hist, load<u32>(hist) + none)
  return greatest >= 0x7f800000 ? -1 : count
}

@inline
function bumpRange(at: i32, inside: i32, hist: usize): void {
  if (inside) bump(hist, at)
}

@inline
function sumLanes(x: v128): i32 {
  return i32x4.extract_lane(x, 0) + i32x4.extract_lane(x, 1) + i32x4.extract_lane(x, 2) + i32x4.extract_lane(x, 3)
}

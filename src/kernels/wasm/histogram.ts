@inline
function bump(hist: usize, bin: u32): void {
  const at = hist + (<usize>bin << 2)
  store<u32>(at, load<u32>(at) + 1)
}

/** Adds to the u32 hist[65536] one count per f32 of x, by the upper 16 bits of |x|. */
export function histogramHigh(x: usize, n: u32, hist: usize): void {
  const whole = x + (<usize>(n & ~3) << 2)
  const end = x + (<usize>n << 2)
  for (; x < whole; x += 16) {
    // The sign is shifted out, so the bin is what is left of the upper half.
    const bins = i32x4.shr_u(i32x4.shl(v128.load(x), 1), 16)
    bump(hist, i32x4.extract_lane(bins, 0))
    bump(hist, i32x4.extract_lane(bins, 1))
    bump(hist, i32x4.extract_lane(bins, 2))
    bump(hist, i32x4.extract_lane(bins, 3))
  }
  for (; x < end; x += 4) bump(hist, (load<u32>(x) << 1) >> 16)
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
 * Adds to the u32 hist[3 * 32768] one count per f32 of x whose upper 16 bits of |x| are `base`, `base` + 1 or `base` +
 * 2, by the lower 17 bits from there.
 */
export function histogramNear(x: usize, n: u32, base: u32, hist: usize): void {
  const whole = x + (<usize>(n & ~3) << 2)
  const end = x + (<usize>n << 2)
  const from = i32x4.splat(base)
  const three = i32x4.splat(3)
  for (; x < whole; x += 16) {
    const high = i32x4.sub(i32x4.shr_u(i32x4.shl(v128.load(x), 1), 16), from)
    if (!v128.any_true(i32x4.lt_u(high, three))) continue
    for (let at = x; at < x + 16; at += 4) bumpNear(load<u32>(at), base, hist)
  }
  for (; x < end; x += 4) bumpNear(load<u32>(x), base, hist)
}

@inline
function bumpNear(bits: u32, base: u32, hist: usize): void {
  const from = ((bits << 1) >> 16) - base
  if (from < 3) bump(hist, (from << 15) | (bits & 0x7fff))
}

@inline
function bump(hist: usize, bin: u32): void {
  const at = hist + (<usize>bin << 2)
  store<u32>(at, load<u32>(at) + 1)
}

/** Adds to the u32 hist[65536] one count per f32 of x, by the upper 16 bits of |x|. */
export function histogramHigh(x: usize, n: u32, hist: usize): void {
  const end = x + (<usize>n << 2)
  const whole = x + (<usize>(n & ~3) << 2)
  const size = i32x4.splat(0x7fffffff)
  // One count after the other in one place takes four times as long as in different ones, and zeros come in crowds.
  let zeros: u32 = 0
  for (; x < whole; x += 16) {
    if (!v128.any_true(v128.and(v128.load(x), size))) {
      zeros += 4
      continue
    }
    countAt(hist, load<u32>(x))
    countAt(hist, load<u32>(x, 4))
    countAt(hist, load<u32>(x, 8))
    countAt(hist, load<u32>(x, 12))
  }
  store<u32>(hist, load<u32>(hist) + zeros)
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
  return base == 0 ? rangeFromZero(x, n, hist) : rangeAbove(x, n, base << 15, hist)
}

function rangeAbove(x: usize, n: u32, first: i32, hist: usize): i32 {
  const whole = x + (<usize>(n & ~15) << 2)
  const end = x + (<usize>n << 2)
  const size = i32x4.splat(0x7fffffff)
  // Places from the first on, moved so that what is below is positive and one comparison of signed numbers is enough.
  const shift = i32x4.splat(first - 0x80000000)
  const limit = i32x4.splat((7 << 15) - 0x80000000)
  let reached = i32x4.splat(0)
  let most = reached
  for (; x < whole; x += 64) {
    const a = v128.and(v128.load(x), size)
    const b = v128.and(v128.load(x, 16), size)
    const c = v128.and(v128.load(x, 32), size)
    const d = v128.and(v128.load(x, 48), size)
    most = i32x4.max_s(most, i32x4.max_s(i32x4.max_s(a, b), i32x4.max_s(c, d)))
    const p = i32x4.sub(a, shift)
    const q = i32x4.sub(b, shift)
    const r = i32x4.sub(c, shift)
    const s = i32x4.sub(d, shift)
    reached = i32x4.add(
      reached,
      i32x4.add(
        i32x4.add(i32x4.shr_s(p, 31), i32x4.shr_s(q, 31)),
        i32x4.add(i32x4.shr_s(r, 31), i32x4.shr_s(s, 31)),
      ),
    )
    if (!v128.any_true(i32x4.gt_s(limit, i32x4.min_s(i32x4.min_s(p, q), i32x4.min_s(r, s))))) continue
    for (let at = x; at < x + 64; at += 4) countFrom(load<i32>(at), first, hist)
  }
  let greatest = maxLane(most)
  let below = <i32>(n & ~15) + sumLanes(reached)
  for (; x < end; x += 4) {
    const bits = load<i32>(x)
    greatest = max(greatest, bits & 0x7fffffff)
    below += i32((bits & 0x7fffffff) < first)
    countFrom(bits, first, hist)
  }
  return greatest >= 0x7f800000 ? -1 : below
}

/** Nothing is below; zeros, which there may be many of, are counted by themselves. */
function rangeFromZero(x: usize, n: u32, hist: usize): i32 {
  const whole = x + (<usize>(n & ~3) << 2)
  const end = x + (<usize>n << 2)
  const size = i32x4.splat(0x7fffffff)
  const limit = i32x4.splat(7 << 15)
  const none = i32x4.splat(0)
  let zeros = none
  let most = none
  for (; x < whole; x += 16) {
    const bits = v128.and(v128.load(x), size)
    most = i32x4.max_s(most, bits)
    const zero = i32x4.eq(bits, none)
    zeros = i32x4.sub(zeros, zero)
    if (!v128.any_true(v128.andnot(i32x4.gt_s(limit, bits), zero))) continue
    for (let at = x; at < x + 16; at += 4) if ((load<i32>(at) & 0x7fffffff) != 0) countFrom(load<i32>(at), 0, hist)
  }
  let greatest = maxLane(most)
  let count = sumLanes(zeros)
  for (; x < end; x += 4) {
    const bits = load<i32>(x) & 0x7fffffff
    greatest = max(greatest, bits)
    if (bits == 0) count += 1
    else countFrom(bits, 0, hist)
  }
  store<u32>(hist, load<u32>(hist) + count)
  return greatest >= 0x7f800000 ? -1 : 0
}

@inline
function countFrom(bits: i32, first: i32, hist: usize): void {
  const at = (bits & 0x7fffffff) - first
  if (<u32>at < 7 << 15) bump(hist, at)
}

@inline
function sumLanes(x: v128): i32 {
  return i32x4.extract_lane(x, 0) + i32x4.extract_lane(x, 1) + i32x4.extract_lane(x, 2) + i32x4.extract_lane(x, 3)
}

@inline
function maxLane(x: v128): i32 {
  return max(
    max(i32x4.extract_lane(x, 0), i32x4.extract_lane(x, 1)),
    max(i32x4.extract_lane(x, 2), i32x4.extract_lane(x, 3)),
  )
}

/**
 * Writes the bins of a histogram that are not empty to `out`, as u32 pairs of bin and count in ascending order, and
 * empties it; the number of pairs. Takes a multiple of 4 bins.
 */
export function takePairs(hist: usize, bins: u32, out: usize): u32 {
  let to = out
  for (let bin: u32 = 0; bin < bins; bin += 4) {
    const at = hist + (<usize>bin << 2)
    if (!v128.any_true(v128.load(at))) continue
    for (let i: u32 = 0; i < 4; i++) {
      const count = load<u32>(at + (<usize>i << 2))
      if (count == 0) continue
      store<u32>(to, bin + i)
      store<u32>(to, count, 4)
      to += 8
    }
    v128.store(at, i32x4.splat(0))
  }
  return <u32>((to - out) >> 3)
}

/**
 * x·y + sum in f32. An exact product is the same whether it is rounded before it is added or not, and an engine that
 * knows this instruction of relaxed SIMD has one for both where the processor does.
 */
@inline
function multiplyAdd(x: v128, y: v128, sum: v128, exact: bool): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (exact) return f32x4.relaxed_madd(x, y, sum)
  }
  return f32x4.add(sum, f32x4.mul(x, y))
}

/** One row: see `rows`. */
@inline
function row(out: usize, n: u32, up: usize, rank: u32, down: usize, stride: u32, exact: bool): void {
  let j: u32 = 0
  for (; j + 16 <= n; j += 16) {
    let a = f32x4.splat(0)
    let b = a
    let c = a
    let d = a
    let at = down + (<usize>j << 2)
    for (let r: u32 = 0; r < rank; r++) {
      const u = v128.load_splat<f32>(up + (<usize>r << 2))
      a = multiplyAdd(u, v128.load(at), a, exact)
      b = multiplyAdd(u, v128.load(at, 16), b, exact)
      c = multiplyAdd(u, v128.load(at, 32), c, exact)
      d = multiplyAdd(u, v128.load(at, 48), d, exact)
      at += <usize>stride << 2
    }
    const to = out + (<usize>j << 2)
    v128.store(to, a)
    v128.store(to, b, 16)
    v128.store(to, c, 32)
    v128.store(to, d, 48)
  }
  for (; j < n; j++) {
    let sum: f32 = 0
    let at = down + (<usize>j << 2)
    for (let r: u32 = 0; r < rank; r++) {
      sum += load<f32>(up + (<usize>r << 2)) * load<f32>(at)
      at += <usize>stride << 2
    }
    store<f32>(out + (<usize>j << 2), sum)
  }
}

/**
 * out[j] = Σᵣ up[r]·down[r·stride + j] for n elements of each row in f32, the ranks added in order. The rows of `up` lie
 * one after the other, those of `out` `outStride` numbers apart. Two at a time, so that numbers of `down` are loaded once
 * for both.
 */
@inline
function rows(
  out: usize,
  outStride: u32,
  n: u32,
  up: usize,
  rank: u32,
  down: usize,
  stride: u32,
  count: u32,
  exact: bool,
): void {
  const next = <usize>outStride << 2
  const across = <usize>stride << 2
  const upNext = <usize>rank << 2
  let i: u32 = 0
  for (; i + 2 <= count; i += 2) {
    let j: u32 = 0
    for (; j + 16 <= n; j += 16) {
      let a = f32x4.splat(0)
      let b = a
      let c = a
      let d = a
      let e = a
      let f = a
      let g = a
      let h = a
      let at = down + (<usize>j << 2)
      let from = up
      for (let r: u32 = 0; r < rank; r++) {
        const u = v128.load_splat<f32>(from)
        const v = v128.load_splat<f32>(from + upNext)
        const w = v128.load(at)
        const x = v128.load(at, 16)
        const y = v128.load(at, 32)
        const z = v128.load(at, 48)
        a = multiplyAdd(u, w, a, exact)
        e = multiplyAdd(v, w, e, exact)
        b = multiplyAdd(u, x, b, exact)
        f = multiplyAdd(v, x, f, exact)
        c = multiplyAdd(u, y, c, exact)
        g = multiplyAdd(v, y, g, exact)
        d = multiplyAdd(u, z, d, exact)
        h = multiplyAdd(v, z, h, exact)
        at += across
        from += 4
      }
      const to = out + (<usize>j << 2)
      v128.store(to, a)
      v128.store(to, b, 16)
      v128.store(to, c, 32)
      v128.store(to, d, 48)
      v128.store(to + next, e)
      v128.store(to + next, f, 16)
      v128.store(to + next, g, 32)
      v128.store(to + next, h, 48)
    }
    if (j < n) {
      const rest = <usize>j << 2
      row(out + rest, n - j, up, rank, down + rest, stride, exact)
      row(out + next + rest, n - j, up + upNext, rank, down + rest, stride, exact)
    }
    out += 2 * next
    up += 2 * upNext
  }
  if (i < count) row(out, n, up, rank, down, stride, exact)
}

/** Rows of a low-rank matrix, each product rounded before it is added. */
export function lowRankRows(
  out: usize,
  outStride: u32,
  n: u32,
  up: usize,
  rank: u32,
  down: usize,
  stride: u32,
  count: u32,
): void {
  rows(out, outStride, n, up, rank, down, stride, count, false)
}

/** The same where `areExact` holds for the factors. */
export function exactRows(
  out: usize,
  outStride: u32,
  n: u32,
  up: usize,
  rank: u32,
  down: usize,
  stride: u32,
  count: u32,
): void {
  rows(out, outStride, n, up, rank, down, stride, count, true)
}

/** The bits that numbers of at most 12 significant bits do not have. */
@inline
const BEYOND: u32 = 0xfff
/** What takes the sign away, and what is left of infinity. */
@inline
const SIZE: u32 = 0x7fffffff
@inline
const INFINITE: u32 = 0x7f800000

/**
 * Whether every product of one of `n` f32 at `x` and one of `m` at `y` is exact in f32. False where a number has more
 * than 12 significant bits, where a product could be too large, or could have bits below the least that f32 has, and
 * where all of one are 0.
 */
export function areExact(x: usize, n: u32, y: usize, m: u32): bool {
  const a = extremes(x, n)
  const b = extremes(y, m)
  // A number of 12 bits with exponent e is a multiple of 2^(e - 138) and below 2^(e - 126): their product is a multiple
  // of 2^-149 from 127 on, and below 2^128 up to 380.
  return a != 0 && b != 0 && exponent(a >> 32) + exponent(b >> 32) >= 127 && exponent(a) + exponent(b) <= 380
}

/** The exponent of a size, as it is stored. */
@inline
function exponent(size: u64): u32 {
  return <u32>size >> 23
}

/**
 * The greatest size of n f32, and 32 bits higher the least but 0; 0 where there is none, where one is not finite and
 * where one has more than 12 significant bits.
 */
function extremes(x: usize, n: u32): u64 {
  let bits = i32x4.splat(0)
  let most = bits
  let least = i32x4.splat(-1)
  const end = x + (<usize>n << 2)
  for (; x + 16 <= end; x += 16) {
    const size = v128.and(v128.load(x), i32x4.splat(SIZE))
    bits = v128.or(bits, size)
    most = i32x4.max_u(most, size)
    // Of 0 it is the greatest that there is.
    least = i32x4.min_u(least, i32x4.sub(size, i32x4.splat(1)))
  }
  for (; x < end; x += 4) {
    const size = v128.and(v128.load32_zero(x), i32x4.splat(SIZE))
    bits = v128.or(bits, size)
    most = i32x4.max_u(most, size)
    least = i32x4.min_u(least, i32x4.sub(size, i32x4.splat(1)))
  }
  most = i32x4.max_u(most, i32x4.shuffle(most, most, 2, 3, 0, 1))
  least = i32x4.min_u(least, i32x4.shuffle(least, least, 2, 3, 0, 1))
  const top = max<u32>(i32x4.extract_lane(most, 0), i32x4.extract_lane(most, 1))
  const low = min<u32>(i32x4.extract_lane(least, 0), i32x4.extract_lane(least, 1)) + 1
  const beyond = v128.any_true(v128.and(bits, i32x4.splat(BEYOND)))
  return beyond || top >= INFINITE ? 0 : (<u64>low << 32) | top
}

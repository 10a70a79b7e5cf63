import { SCRATCH } from './scratch'

@inline
const PLAIN: i32 = 0
@inline
const ABSOLUTE: i32 = 1
@inline
const PRODUCT: i32 = 2

/** Two neighbouring terms in float64; the product of two float32 is exact there. */
@inline
function terms(x: usize, y: usize, kind: i32): v128 {
  const value = f64x2.promote_low_f32x4(v128.load64_zero(x))
  if (kind == ABSOLUTE) return f64x2.abs(value)
  if (kind == PRODUCT) return f64x2.mul(value, f64x2.promote_low_f32x4(v128.load64_zero(y)))
  return value
}

/** The sum of one block of at most 4096 elements: element j goes to lane j mod 8. */
@inline
function block(x: usize, y: usize, n: u32, kind: i32): f64 {
  let p = f64x2.splat(0)
  let q = p
  let r = p
  let s = p
  const end = x + (<usize>(n & ~7) << 2)
  for (; x < end; x += 32, y += 32) {
    p = f64x2.add(p, terms(x, y, kind))
    q = f64x2.add(q, terms(x + 8, y + 8, kind))
    r = f64x2.add(r, terms(x + 16, y + 16, kind))
    s = f64x2.add(s, terms(x + 24, y + 24, kind))
  }
  const rest = n & 7
  if (rest) {
    // Lanes start at +0 and so are never -0: the zeros that fill up the last eight change no lane.
    memory.fill(SCRATCH, 0, 64)
    memory.copy(SCRATCH, x, rest << 2)
    if (kind == PRODUCT) memory.copy(SCRATCH + 32, y, rest << 2)
    p = f64x2.add(p, terms(SCRATCH, SCRATCH + 32, kind))
    q = f64x2.add(q, terms(SCRATCH + 8, SCRATCH + 40, kind))
    r = f64x2.add(r, terms(SCRATCH + 16, SCRATCH + 48, kind))
    s = f64x2.add(s, terms(SCRATCH + 24, SCRATCH + 56, kind))
  }
  return pair(p) + pair(q) + (pair(r) + pair(s))
}

@inline
function pair(lanes: v128): f64 {
  return f64x2.extract_lane(lanes, 0) + f64x2.extract_lane(lanes, 1)
}

@inline
function total(x: usize, y: usize, n: u32, kind: i32, running: f64): f64 {
  for (let left = n; left > 0; ) {
    const size = min<u32>(left, 4096)
    running += block(x, y, size, kind)
    x += 16384
    y += 16384
    left -= size
  }
  return running
}

/** The sum of n f32, added to what came before block by block. */
export function sum(x: usize, n: u32, before: f64): f64 {
  return total(x, x, n, PLAIN, before)
}

/** The sum of the sizes of n f32. */
export function sumAbs(x: usize, n: u32): f64 {
  return total(x, x, n, ABSOLUTE, 0)
}

/** The sum of the products of n pairs of f32, added to what came before block by block. */
export function dot(x: usize, y: usize, n: u32, before: f64): f64 {
  return total(x, y, n, PRODUCT, before)
}

/** The sum of n u8, exact. */
export function sumMask(m: usize, n: u32): f64 {
  const end = m + n
  let lanes = i64x2.splat(0)
  for (; m + 16 <= end; m += 16) {
    const fours = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(v128.load(m)))
    lanes = i64x2.add(lanes, i64x2.add(i64x2.extend_low_i32x4_u(fours), i64x2.extend_high_i32x4_u(fours)))
  }
  let count = i64x2.extract_lane(lanes, 0) + i64x2.extract_lane(lanes, 1)
  for (; m < end; m++) count += load<u8>(m)
  return <f64>count
}

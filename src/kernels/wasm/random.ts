import { SCRATCH } from './scratch'

/** A bijection of 64 bits that spreads every bit over all (the finalizer of splitmix64). */
function spread(word: u64): u64 {
  word ^= word >> 30
  word *= 0xbf58476d1ce4e5b9
  word ^= word >> 27
  word *= 0x94d049bb133111eb
  return word ^ (word >> 31)
}

/** The two round keys of one key and one block of 2^32 elements: neighbouring keys and blocks get unrelated ones. */
function schedule(k0: u32, k1: u32, hi: u32): u64 {
  const key = (<u64>k0 | (<u64>k1 << 32)) + 0x9e3779b97f4a7c15
  return spread(spread(key) + <u64>hi * 0x9e3779b97f4a7c15)
}

@inline
function fold(x: v128, shift: i32): v128 {
  return v128.xor(x, i32x4.shr_u(x, shift))
}

/** The 32 bits of the four elements from `lo` on: two keyed rounds, then the first round's result is added back. */
@inline
function draw(lo: u32, a: v128, b: v128): v128 {
  let x = v128.xor(i32x4.add(i32x4.splat(lo), i32x4(0, 1, 2, 3)), a)
  x = i32x4.mul(fold(x, 16), i32x4.splat(0x21f0aaad))
  x = i32x4.mul(fold(x, 15), i32x4.splat(0xd35a2d97))
  const first = fold(x, 15)
  x = i32x4.add(first, b)
  x = i32x4.mul(fold(x, 16), i32x4.splat(0x7feb352d))
  x = i32x4.mul(fold(x, 15), i32x4.splat(0x846ca68b))
  // Without the sum a stream would be a permutation and never repeat a value, which true random bits do.
  return i32x4.add(fold(x, 16), first)
}

/** u32 out[i] = the draw itself. */
export function randomBits(out: usize, lo: u32, hi: u32, n: u32, k0: u32, k1: u32): void {
  const keys = schedule(k0, k1, hi)
  const a = i32x4.splat(<u32>keys)
  const b = i32x4.splat(<u32>(keys >> 32))
  const whole = n & ~3
  for (let i: u32 = 0; i < whole; i += 4) v128.store(out + (i << 2), draw(lo + i, a, b))
  if (whole == n) return
  v128.store(SCRATCH, draw(lo + whole, a, b))
  memory.copy(out + (whole << 2), SCRATCH, (n - whole) << 2)
}

@inline
function narrow(p: v128, q: v128, r: v128, s: v128): v128 {
  return i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(p, q), i16x8.narrow_i32x4_s(r, s))
}

@inline
function bernoulli16(lo: u32, a: v128, b: v128, last: v128): v128 {
  const mask = narrow(
    i32x4.le_u(draw(lo, a, b), last),
    i32x4.le_u(draw(lo + 4, a, b), last),
    i32x4.le_u(draw(lo + 8, a, b), last),
    i32x4.le_u(draw(lo + 12, a, b), last),
  )
  return v128.and(mask, i8x16.splat(1))
}

/** u8 out[i] = 1 where the draw is at most `last`, else 0. */
export function bernoulli(out: usize, lo: u32, hi: u32, n: u32, k0: u32, k1: u32, last: u32): void {
  const keys = schedule(k0, k1, hi)
  const a = i32x4.splat(<u32>keys)
  const b = i32x4.splat(<u32>(keys >> 32))
  const limit = i32x4.splat(last)
  const whole = n & ~15
  for (let i: u32 = 0; i < whole; i += 16) v128.store(out + i, bernoulli16(lo + i, a, b, limit))
  if (whole == n) return
  v128.store(SCRATCH, bernoulli16(lo + whole, a, b, limit))
  memory.copy(out + whole, SCRATCH, n - whole)
}

@inline
function count4(bits: v128, lasts: usize, end: usize, base: v128): v128 {
  let part = base
  for (let at = lasts; at < end; at += 4) part = i32x4.sub(part, i32x4.gt_u(bits, v128.load32_splat(at)))
  return part
}

// Parts are below 256, so the signed first and the unsigned second narrowing keep them whole.
@inline
function partition16(lo: u32, a: v128, b: v128, lasts: usize, end: usize, base: v128): v128 {
  return i8x16.narrow_i16x8_u(
    i16x8.narrow_i32x4_s(count4(draw(lo, a, b), lasts, end, base), count4(draw(lo + 4, a, b), lasts, end, base)),
    i16x8.narrow_i32x4_s(count4(draw(lo + 8, a, b), lasts, end, base), count4(draw(lo + 12, a, b), lasts, end, base)),
  )
}

/** u8 out[i] = `base` + how many of the `count` u32 at `lasts` are below the draw. */
export function partition(out: usize, lo: u32, hi: u32, n: u32, k0: u32, k1: u32, lasts: usize, count: u32, base: u32): void {
  const keys = schedule(k0, k1, hi)
  const a = i32x4.splat(<u32>keys)
  const b = i32x4.splat(<u32>(keys >> 32))
  const end = lasts + (count << 2)
  const first = i32x4.splat(base)
  const whole = n & ~15
  for (let i: u32 = 0; i < whole; i += 16) v128.store(out + i, partition16(lo + i, a, b, lasts, end, first))
  if (whole == n) return
  v128.store(SCRATCH, partition16(lo + whole, a, b, lasts, end, first))
  memory.copy(out + whole, SCRATCH, n - whole)
}

@inline
function uniform4(lo: u32, a: v128, b: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_u(draw(lo, a, b), 8)), f32x4.splat(5.9604644775390625e-8))
}

/** f32 out[i] = the draw's upper 24 bits / 2^24. */
export function uniform(out: usize, lo: u32, hi: u32, n: u32, k0: u32, k1: u32): void {
  const keys = schedule(k0, k1, hi)
  const a = i32x4.splat(<u32>keys)
  const b = i32x4.splat(<u32>(keys >> 32))
  const whole = n & ~3
  for (let i: u32 = 0; i < whole; i += 4) v128.store(out + (i << 2), uniform4(lo + i, a, b))
  if (whole == n) return
  v128.store(SCRATCH, uniform4(lo + whole, a, b))
  memory.copy(out + (whole << 2), SCRATCH, (n - whole) << 2)
}

@inline
function segment(table: usize, index: i32): v128 {
  return v128.load(table + (<usize>index << 4))
}

/** Four normal values: sign from the top bit, size from the cubic of the tail probability's segment. */
@inline
function gaussian4(lo: u32, a: v128, b: v128, table: usize): v128 {
  const bits = draw(lo, a, b)
  // An odd number below 2^31 stands for the tail probability / 2^32; as a float its leading bits name the segment.
  const odd = v128.or(v128.and(bits, i32x4.splat(0x7fffffff)), i32x4.splat(1))
  const tail = f32x4.convert_i32x4_s(odd)
  const index = i32x4.sub(i32x4.shr_u(tail, 18), i32x4.splat(127 << 5))
  const rest = v128.or(v128.and(i32x4.shl(tail, 5), i32x4.splat(0x7fffff)), i32x4.splat(0x3f800000))
  const t = f32x4.sub(rest, f32x4.splat(1.5))
  const p = segment(table, i32x4.extract_lane(index, 0))
  const q = segment(table, i32x4.extract_lane(index, 1))
  const r = segment(table, i32x4.extract_lane(index, 2))
  const s = segment(table, i32x4.extract_lane(index, 3))
  const pq01 = v128.shuffle<u32>(p, q, 0, 4, 1, 5)
  const rs01 = v128.shuffle<u32>(r, s, 0, 4, 1, 5)
  const pq23 = v128.shuffle<u32>(p, q, 2, 6, 3, 7)
  const rs23 = v128.shuffle<u32>(r, s, 2, 6, 3, 7)
  let z = f32x4.mul(t, v128.shuffle<u64>(pq23, rs23, 1, 3))
  z = f32x4.mul(t, f32x4.add(z, v128.shuffle<u64>(pq23, rs23, 0, 2)))
  z = f32x4.mul(t, f32x4.add(z, v128.shuffle<u64>(pq01, rs01, 1, 3)))
  z = f32x4.add(z, v128.shuffle<u64>(pq01, rs01, 0, 2))
  return v128.xor(z, v128.and(bits, i32x4.splat(0x80000000)))
}

/** f32 out[i] = a standard normal value; `table` holds the segments of normal-table.ts. */
export function gaussian(out: usize, lo: u32, hi: u32, n: u32, k0: u32, k1: u32, table: usize): void {
  const keys = schedule(k0, k1, hi)
  const a = i32x4.splat(<u32>keys)
  const b = i32x4.splat(<u32>(keys >> 32))
  const whole = n & ~3
  for (let i: u32 = 0; i < whole; i += 4) v128.store(out + (i << 2), gaussian4(lo + i, a, b, table))
  if (whole == n) return
  v128.store(SCRATCH, gaussian4(lo + whole, a, b, table))
  memory.copy(out + (whole << 2), SCRATCH, (n - whole) << 2)
}

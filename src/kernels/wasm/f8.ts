import { SCRATCH } from './scratch'

/** Four float32 of four codes: normal numbers by moving the fields, the others by multiplying an integer. */
@inline
function decode4(codes: v128, mantissa: i32, bias: i32, step: f32, special: i32): v128 {
  const size = v128.and(codes, i32x4.splat(0x7f))
  const normal = i32x4.add(i32x4.shl(size, 23 - mantissa), i32x4.splat((127 - bias) << 23))
  const small = f32x4.mul(f32x4.convert_i32x4_s(size), f32x4.splat(step))
  const finite = v128.bitselect(small, normal, i32x4.lt_s(size, i32x4.splat(1 << mantissa)))
  // From `special` on: infinity where the code is 0x7c (it does not exist in E4M3), otherwise a quiet NaN.
  const nan = v128.and(i32x4.ne(size, i32x4.splat(0x7c)), i32x4.splat(0x7fc00000))
  const value = v128.bitselect(v128.or(nan, i32x4.splat(0x7f800000)), finite, i32x4.ge_s(size, i32x4.splat(special)))
  return v128.or(value, i32x4.shl(v128.and(codes, i32x4.splat(0x80)), 24))
}

@inline
function decode(x: usize, n: u32, out: usize, mantissa: i32, bias: i32, step: f32, special: i32): void {
  const whole = n & ~3
  for (let i: u32 = 0; i < whole; i += 4) {
    const codes = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(x + i)))
    v128.store(out + (i << 2), decode4(codes, mantissa, bias, step, special))
  }
  for (let i = whole; i < n; i++) {
    const value = decode4(i32x4.splat(load<u8>(x + i)), mantissa, bias, step, special)
    v128.store32_lane(out + (i << 2), value, 0)
  }
}

/** Four codes of four float32: to nearest, ties to even; at most `limit`, which is what too large a number becomes. */
@inline
function encode4(x: v128, mantissa: i32, bias: i32, magic: f32, limit: i32): v128 {
  const size = v128.and(x, i32x4.splat(0x7fffffff))
  const shift = 23 - mantissa
  const even = v128.and(i32x4.shr_u(size, shift), i32x4.splat(1))
  const rounded = i32x4.add(i32x4.add(size, even), i32x4.splat((1 << (shift - 1)) - 1 - ((127 - bias) << 23)))
  const normal = i32x4.min_s(i32x4.shr_s(rounded, shift), i32x4.splat(limit))
  // Adding a number whose last place is the code's smallest step rounds to that step.
  const small = i32x4.sub(f32x4.add(size, f32x4.splat(magic)), f32x4.splat(magic))
  const finite = v128.bitselect(small, normal, i32x4.lt_s(size, i32x4.splat((128 - bias) << 23)))
  const code = v128.bitselect(i32x4.splat(0x7f), finite, i32x4.gt_s(size, i32x4.splat(0x7f800000)))
  return v128.or(code, v128.and(i32x4.shr_u(x, 24), i32x4.splat(0x80)))
}

@inline
function encode(x: usize, n: u32, out: usize, mantissa: i32, bias: i32, magic: f32, limit: i32): void {
  const whole = n & ~3
  for (let i: u32 = 0; i < whole; i += 4) {
    const codes = encode4(v128.load(x + (i << 2)), mantissa, bias, magic, limit)
    const bytes = v128.shuffle<u8>(codes, codes, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12)
    v128.store32_lane(out + i, bytes, 0)
  }
  if (whole == n) return
  memory.copy(SCRATCH, x + (whole << 2), (n - whole) << 2)
  v128.store(SCRATCH, encode4(v128.load(SCRATCH), mantissa, bias, magic, limit))
  for (let i = whole; i < n; i++) store<u8>(out + i, load<u8>(SCRATCH + ((i - whole) << 2)))
}

/** F8_E4M3 codes to float32; 0x7f and 0xff are NaN. */
export function decodeF8E4M3(x: usize, n: u32, out: usize): void {
  decode(x, n, out, 3, 7, 0.001953125, 0x7f)
}

/** F8_E5M2 codes to float32, as IEEE would have it. */
export function decodeF8E5M2(x: usize, n: u32, out: usize): void {
  decode(x, n, out, 2, 15, 0.0000152587890625, 0x7c)
}

/** Float32 to F8_E4M3 codes; what is too large, and infinity, becomes NaN. */
export function encodeF8E4M3(x: usize, n: u32, out: usize): void {
  encode(x, n, out, 3, 7, 16384, 0x7f)
}

/** Float32 to F8_E5M2 codes; what is too large becomes infinity. */
export function encodeF8E5M2(x: usize, n: u32, out: usize): void {
  encode(x, n, out, 2, 15, 128, 0x7c)
}

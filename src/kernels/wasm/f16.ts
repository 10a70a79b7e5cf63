/**
 * Four half-precision codes, each sign-extended in its lane, as float32: normal numbers by shifting the bit fields,
 * subnormal ones as the difference of two normal numbers. The smaller of the two is always the right one.
 */
@inline
function decode4(half: v128): v128 {
  const size = i32x4.shr_u(i32x4.shl(half, 17), 4)
  const normal = i32x4.add(size, i32x4.splat(112 << 23))
  const small = f32x4.sub(i32x4.add(size, i32x4.splat(113 << 23)), f32x4.splat(0.00006103515625))
  const special = v128.and(i32x4.gt_s(size, i32x4.splat(0x7bff << 13)), i32x4.splat(0x7f800000))
  const value = v128.or(i32x4.min_s(small, normal), special)
  return v128.or(value, v128.and(half, i32x4.splat(0x80000000)))
}

/** Half-precision codes to float32, exactly; NaN stays NaN. */
export function decodeF16(x: usize, n: u32, out: usize): void {
  const whole = n & ~7
  for (let i: u32 = 0; i < whole; i += 8) {
    const codes = v128.load(x + (i << 1))
    v128.store(out + (i << 2), decode4(i32x4.extend_low_i16x8_s(codes)))
    v128.store(out + (i << 2), decode4(i32x4.extend_high_i16x8_s(codes)), 16)
  }
  for (let i = whole; i < n; i++) {
    v128.store32_lane(out + (i << 2), decode4(i32x4.splat(<i32>load<i16>(x + (i << 1)))), 0)
  }
}

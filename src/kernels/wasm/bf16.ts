/** Eight bfloat16 codes of eight float32: to nearest, ties to even; NaN becomes the quiet NaN of its sign. */
@inline
function encode8(a: v128, b: v128): v128 {
  return v128.shuffle<u8>(encode4(a), encode4(b), 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29)
}

/** The code of each float32, in the lower half of its lane. */
@inline
function encode4(x: v128): v128 {
  const size = v128.and(x, i32x4.splat(0x7fffffff))
  const even = v128.and(i32x4.shr_u(x, 16), i32x4.splat(1))
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(x, even), i32x4.splat(0x7fff)), 16)
  const nan = v128.or(i32x4.shr_u(v128.and(x, i32x4.splat(0x80000000)), 16), i32x4.splat(0x7fc0))
  return v128.bitselect(nan, rounded, i32x4.gt_s(size, i32x4.splat(0x7f800000)))
}

/** Float32 to bfloat16 codes; what is too large becomes infinity. */
export function encodeBF16(x: usize, n: u32, out: usize): void {
  const whole = n & ~7
  for (let i: u32 = 0; i < whole; i += 8) {
    v128.store(out + (i << 1), encode8(v128.load(x + (i << 2)), v128.load(x + (i << 2), 16)))
  }
  for (let i = whole; i < n; i++) v128.store16_lane(out + (i << 1), encode4(v128.load32_zero(x + (i << 2))), 0)
}

/** Bfloat16 codes to float32: the same bits, and sixteen more that are 0. */
export function decodeBF16(x: usize, n: u32, out: usize): void {
  const whole = n & ~7
  for (let i: u32 = 0; i < whole; i += 8) {
    const codes = v128.load(x + (i << 1))
    const zero = i16x8.splat(0)
    v128.store(out + (i << 2), v128.shuffle<u8>(zero, codes, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23))
    v128.store(out + (i << 2), v128.shuffle<u8>(zero, codes, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31), 16)
  }
  for (let i = whole; i < n; i++) store<u32>(out + (i << 2), <u32>load<u16>(x + (i << 1)) << 16)
}

/** Packs n u8 into (n + 7) / 8 bytes, lowest bit first; any byte but 0 is a 1, unused bits are 0. */
export function packBits(m: usize, n: u32, out: usize): void {
  const whole = n & ~15
  let i: u32 = 0
  for (; i < whole; i += 16) store<u16>(out + (i >> 3), <u16>i8x16.bitmask(i8x16.ne(v128.load(m + i), i8x16.splat(0))))
  for (; i < n; i += 8) {
    let byte: u32 = 0
    for (let bit: u32 = 0; bit < min<u32>(8, n - i); bit++) byte |= u32(load<u8>(m + i + bit) != 0) << bit
    store<u8>(out + (i >> 3), <u8>byte)
  }
}

/** Unpacks n bits into n u8 of 0 or 1. */
export function unpackBits(packed: usize, n: u32, m: usize): void {
  const whole = n & ~15
  const select = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128)
  let i: u32 = 0
  for (; i < whole; i += 16) {
    const pair = v128.load16_splat(packed + (i >> 3))
    const bytes = v128.shuffle<u8>(pair, pair, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)
    v128.store(m + i, v128.and(i8x16.eq(v128.and(bytes, select), select), i8x16.splat(1)))
  }
  for (; i < n; i++) store<u8>(m + i, <u8>((<u32>load<u8>(packed + (i >> 3)) >> (i & 7)) & 1))
}

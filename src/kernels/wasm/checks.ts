/** The index of the first of n elements that has every bit of the mask set, or -1. */
@inline
function first<T>(x: usize, n: u32, mask: T): i32 {
  const start = x
  const end = x + <usize>n * sizeof<T>()
  const bits = v128.splat<T>(mask)
  for (; x + 64 <= end; x += 64) {
    const p = v128.eq<T>(v128.and(v128.load(x), bits), bits)
    const q = v128.eq<T>(v128.and(v128.load(x, 16), bits), bits)
    const r = v128.eq<T>(v128.and(v128.load(x, 32), bits), bits)
    const s = v128.eq<T>(v128.and(v128.load(x, 48), bits), bits)
    if (v128.any_true(v128.or(v128.or(p, q), v128.or(r, s)))) break
  }
  for (; x < end; x += sizeof<T>()) if ((load<T>(x) & mask) == mask) return <i32>((x - start) / sizeof<T>())
  return -1
}

export function firstMasked8(x: usize, n: u32, mask: u32): i32 {
  return first<u8>(x, n, <u8>mask)
}

export function firstMasked16(x: usize, n: u32, mask: u32): i32 {
  return first<u16>(x, n, <u16>mask)
}

export function firstMasked32(x: usize, n: u32, mask: u32): i32 {
  return first<u32>(x, n, mask)
}

/** `mask` is the upper half of the 64 bits; the lower half is free. */
export function firstMasked64(x: usize, n: u32, mask: u32): i32 {
  return first<u64>(x, n, <u64>mask << 32)
}

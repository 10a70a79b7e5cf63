/** The upper 19 bits of a number's, which are all that f16 and bf16 have, in the order of the numbers: −0 is below 0. */
@inline
function upperOf(bits: u32): u32 {
  return (bits ^ (<u32>(<i32>bits >> 31) | 0x80000000)) >> 13
}

/** Adds to the u32 counts[2^19] one count per f32 of x, by its upper bits in ascending order; gives the bits that any has. */
export function countOrdered(x: usize, n: u32, counts: usize): u32 {
  let any: u32 = 0
  for (const end = x + (<usize>n << 2); x < end; x += 4) {
    const bits = load<u32>(x)
    any |= bits
    const at = counts + (<usize>upperOf(bits) << 2)
    store<u32>(at, load<u32>(at) + 1)
  }
  return any
}

/**
 * Puts for each of n f32 of x what has its rank among other numbers in its place of y. `places` has for each value of the
 * upper bits, in ascending order, the next rank and where the run is that has it: triples of the first rank after it, the
 * bits to put, and those of y that they replace. Where the run is `zeros`, whose first rank is `first`, the sign to put is
 * a bit of `signs`, the lowest of a byte first.
 */
export function putRanked(
  y: usize,
  x: usize,
  n: u32,
  places: usize,
  zeros: usize,
  first: u32,
  signs: usize,
): void {
  for (const end = x + (<usize>n << 2); x < end; x += 4, y += 4) {
    const bits = load<u32>(x)
    const at = places + (<usize>upperOf(bits == 0x80000000 ? 0 : bits) << 3)
    const rank = load<u32>(at)
    let run = <usize>load<u32>(at, 4)
    while (rank >= load<u32>(run)) run += 12
    store<u32>(at, rank + 1)
    store<u32>(at, <u32>run, 4)
    let value = load<u32>(run, 4)
    if (run == zeros) {
      const i = rank - first
      value = (<u32>load<u8>(signs + (i >> 3)) >> (i & 7)) << 31
    }
    const replaced = load<u32>(run, 8)
    store<u32>(y, (value & replaced) | (load<u32>(y) & ~replaced))
  }
}

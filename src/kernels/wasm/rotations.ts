/**
 * Turns neighbouring columns of a strip of eight rows, which lies column by column: with i from `top` − 1 down, and a
 * cosine c and a sine s for each, column i + 1 becomes s·xᵢ + c·xᵢ₊₁ and column i becomes c·xᵢ − s·xᵢ₊₁.
 */
export function rotate(strip: usize, top: u32, count: u32, turns: usize): void {
  let at = strip + ((<usize>top) << 6)
  let h0 = v128.load(at)
  let h1 = v128.load(at, 16)
  let h2 = v128.load(at, 32)
  let h3 = v128.load(at, 48)
  for (let n: u32 = 0; n < count; n++) {
    const c = v128.load64_splat(turns)
    const s = v128.load64_splat(turns, 8)
    turns += 16
    at -= 64
    let x = v128.load(at)
    v128.store(at, f64x2.add(f64x2.mul(s, x), f64x2.mul(c, h0)), 64)
    h0 = f64x2.sub(f64x2.mul(c, x), f64x2.mul(s, h0))
    x = v128.load(at, 16)
    v128.store(at, f64x2.add(f64x2.mul(s, x), f64x2.mul(c, h1)), 80)
    h1 = f64x2.sub(f64x2.mul(c, x), f64x2.mul(s, h1))
    x = v128.load(at, 32)
    v128.store(at, f64x2.add(f64x2.mul(s, x), f64x2.mul(c, h2)), 96)
    h2 = f64x2.sub(f64x2.mul(c, x), f64x2.mul(s, h2))
    x = v128.load(at, 48)
    v128.store(at, f64x2.add(f64x2.mul(s, x), f64x2.mul(c, h3)), 112)
    h3 = f64x2.sub(f64x2.mul(c, x), f64x2.mul(s, h3))
  }
  v128.store(at, h0)
  v128.store(at, h1, 16)
  v128.store(at, h2, 32)
  v128.store(at, h3, 48)
}

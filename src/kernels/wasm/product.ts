/**
 * out[j] = Σᵣ up[r]·down[r·stride + j] for n elements in f32, the ranks added in order, each product rounded before it
 * is added.
 */
export function lowRank(out: usize, n: u32, up: usize, rank: u32, down: usize, stride: u32): void {
  let j: u32 = 0
  for (; j + 16 <= n; j += 16) {
    let a = f32x4.splat(0)
    let b = a
    let c = a
    let d = a
    let at = down + (<usize>j << 2)
    for (let r: u32 = 0; r < rank; r++) {
      const u = f32x4.splat(load<f32>(up + (<usize>r << 2)))
      a = f32x4.add(a, f32x4.mul(u, v128.load(at)))
      b = f32x4.add(b, f32x4.mul(u, v128.load(at, 16)))
      c = f32x4.add(c, f32x4.mul(u, v128.load(at, 32)))
      d = f32x4.add(d, f32x4.mul(u, v128.load(at, 48)))
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

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

/**
 * The same for several rows, those of `up` one after the other and those of `out` `outStride` numbers apart: two at a
 * time, so that numbers of `down` are loaded once for both.
 */
export function lowRankRows(
  out: usize,
  outStride: u32,
  n: u32,
  up: usize,
  rank: u32,
  down: usize,
  stride: u32,
  rows: u32,
): void {
  const next = <usize>outStride << 2
  const across = <usize>stride << 2
  const upNext = <usize>rank << 2
  let row: u32 = 0
  for (; row + 2 <= rows; row += 2) {
    let j: u32 = 0
    for (; j + 16 <= n; j += 16) {
      let a = f32x4.splat(0)
      let b = a
      let c = a
      let d = a
      let e = a
      let f = a
      let g = a
      let h = a
      let at = down + (<usize>j << 2)
      let from = up
      for (let r: u32 = 0; r < rank; r++) {
        const u = v128.load_splat<f32>(from)
        const v = v128.load_splat<f32>(from + upNext)
        const w = v128.load(at)
        const x = v128.load(at, 16)
        const y = v128.load(at, 32)
        const z = v128.load(at, 48)
        a = f32x4.add(a, f32x4.mul(u, w))
        e = f32x4.add(e, f32x4.mul(v, w))
        b = f32x4.add(b, f32x4.mul(u, x))
        f = f32x4.add(f, f32x4.mul(v, x))
        c = f32x4.add(c, f32x4.mul(u, y))
        g = f32x4.add(g, f32x4.mul(v, y))
        d = f32x4.add(d, f32x4.mul(u, z))
        h = f32x4.add(h, f32x4.mul(v, z))
        at += across
        from += 4
      }
      const to = out + (<usize>j << 2)
      v128.store(to, a)
      v128.store(to, b, 16)
      v128.store(to, c, 32)
      v128.store(to, d, 48)
      v128.store(to + next, e)
      v128.store(to + next, f, 16)
      v128.store(to + next, g, 32)
      v128.store(to + next, h, 48)
    }
    if (j < n) {
      const rest = <usize>j << 2
      lowRank(out + rest, n - j, up, rank, down + rest, stride)
      lowRank(out + next + rest, n - j, up + upNext, rank, down + rest, stride)
    }
    out += 2 * next
    up += 2 * upNext
  }
  if (row < rows) lowRank(out, n, up, rank, down, stride)
}

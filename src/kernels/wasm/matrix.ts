/**
 * c = a·b in f64: c is m × n, row by row; a lies in groups of four rows and b in groups of four columns, each group one
 * after the other along k. m and n are multiples of 4. Along k products are added in order, each rounded before.
 */
export function multiply(c: usize, a: usize, b: usize, m: u32, n: u32, k: u32): void {
  const row = <usize>n << 3
  for (let i: u32 = 0; i < m; i += 4) {
    for (let j: u32 = 0; j < n; j += 4) {
      let c00 = f64x2.splat(0)
      let c01 = c00
      let c10 = c00
      let c11 = c00
      let c20 = c00
      let c21 = c00
      let c30 = c00
      let c31 = c00
      let left = a + ((<usize>i * k) << 3)
      let right = b + ((<usize>j * k) << 3)
      for (let l: u32 = 0; l < k; l++) {
        const b0 = v128.load(right)
        const b1 = v128.load(right, 16)
        let x = v128.load64_splat(left)
        c00 = f64x2.add(c00, f64x2.mul(x, b0))
        c01 = f64x2.add(c01, f64x2.mul(x, b1))
        x = v128.load64_splat(left, 8)
        c10 = f64x2.add(c10, f64x2.mul(x, b0))
        c11 = f64x2.add(c11, f64x2.mul(x, b1))
        x = v128.load64_splat(left, 16)
        c20 = f64x2.add(c20, f64x2.mul(x, b0))
        c21 = f64x2.add(c21, f64x2.mul(x, b1))
        x = v128.load64_splat(left, 24)
        c30 = f64x2.add(c30, f64x2.mul(x, b0))
        c31 = f64x2.add(c31, f64x2.mul(x, b1))
        left += 32
        right += 32
      }
      let to = c + <usize>i * row + (<usize>j << 3)
      v128.store(to, c00)
      v128.store(to, c01, 16)
      to += row
      v128.store(to, c10)
      v128.store(to, c11, 16)
      to += row
      v128.store(to, c20)
      v128.store(to, c21, 16)
      to += row
      v128.store(to, c30)
      v128.store(to, c31, 16)
    }
  }
}

/**
 * Solves triangular equations for a strip of eight rows, which lies column by column: column j becomes what is left of it
 * without the columns before it (after it, if `backward`), each multiplied by its number in row j of `factors`, divided by
 * the number that row has at j.
 */
export function solveStrip(strip: usize, factors: usize, width: u32, backward: boolean): void {
  const row = <usize>width << 3
  for (let step: u32 = 0; step < width; step++) {
    const j = backward ? width - 1 - step : step
    const own = strip + (<usize>j << 6)
    const numbers = factors + <usize>j * row
    let h0 = v128.load(own)
    let h1 = v128.load(own, 16)
    let h2 = v128.load(own, 32)
    let h3 = v128.load(own, 48)
    const end = numbers + (<usize>(backward ? width : j) << 3)
    let at = backward ? own + 64 : strip
    for (let k = numbers + (backward ? <usize>(j + 1) << 3 : 0); k < end; k += 8, at += 64) {
      const c = v128.load64_splat(k)
      h0 = f64x2.sub(h0, f64x2.mul(v128.load(at), c))
      h1 = f64x2.sub(h1, f64x2.mul(v128.load(at, 16), c))
      h2 = f64x2.sub(h2, f64x2.mul(v128.load(at, 32), c))
      h3 = f64x2.sub(h3, f64x2.mul(v128.load(at, 48), c))
    }
    const d = v128.load64_splat(numbers + (<usize>j << 3))
    v128.store(own, f64x2.div(h0, d))
    v128.store(own, f64x2.div(h1, d), 16)
    v128.store(own, f64x2.div(h2, d), 32)
    v128.store(own, f64x2.div(h3, d), 48)
  }
}

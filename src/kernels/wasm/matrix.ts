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

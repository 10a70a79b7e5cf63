/**
 * Takes the transforms of real lines, two as the real and imaginary parts of a complex one, apart: element k of each has
 * the real part of its frequency k, element n − k the imaginary one.
 */
export function splitLines(at: usize, imag: isize, blocks: u32, n: u32, count: u32): void {
  const run = <usize>count << 3
  const half = f64x2.splat(0.5)
  for (let b: u32 = 0; b < blocks; b++, at += <usize>n * run) {
    for (let k: u32 = 1; k < n - k; k++) {
      for (let x = at + <usize>k * run, y = at + <usize>(n - k) * run, end = x + run; x < end; x += 16, y += 16) {
        const xr = f64x2.mul(half, v128.load(x))
        const yr = f64x2.mul(half, v128.load(y))
        const xi = f64x2.mul(half, v128.load(x + imag))
        const yi = f64x2.mul(half, v128.load(y + imag))
        v128.store(x, f64x2.add(xr, yr))
        v128.store(y, f64x2.sub(xi, yi))
        v128.store(x + imag, f64x2.add(xi, yi))
        v128.store(y + imag, f64x2.sub(yr, xr))
      }
    }
  }
}

/** Undoes `splitLines`. */
export function joinLines(at: usize, imag: isize, blocks: u32, n: u32, count: u32): void {
  const run = <usize>count << 3
  for (let b: u32 = 0; b < blocks; b++, at += <usize>n * run) {
    for (let k: u32 = 1; k < n - k; k++) {
      for (let x = at + <usize>k * run, y = at + <usize>(n - k) * run, end = x + run; x < end; x += 16, y += 16) {
        const xr = v128.load(x)
        const xi = v128.load(y)
        const yr = v128.load(x + imag)
        const yi = v128.load(y + imag)
        v128.store(x, f64x2.sub(xr, yi))
        v128.store(y, f64x2.add(xr, yi))
        v128.store(x + imag, f64x2.add(yr, xi))
        v128.store(y + imag, f64x2.sub(yr, xi))
      }
    }
  }
}

/** What `splitLines` makes of transforms of three elements, without the transforms: of real lines, and of as many blocks. */
export function realBy3(at: usize, blocks: u32, count: u32): void {
  const run = <usize>count << 3
  const half = f64x2.splat(0.5)
  const sin = f64x2.splat(0.8660254037844386)
  for (let b: u32 = 0; b < blocks; b++, at += 2 * run) {
    for (const end = at + run; at < end; at += 16) {
      const x = v128.load(at)
      const y = v128.load(at + run)
      const z = v128.load(at + 2 * run)
      const sum = f64x2.add(y, z)
      v128.store(at, f64x2.add(x, sum))
      v128.store(at + run, f64x2.sub(x, f64x2.mul(half, sum)))
      v128.store(at + 2 * run, f64x2.mul(sin, f64x2.sub(z, y)))
    }
  }
}

/** Undoes `realBy3`, but for a factor of 3. */
export function realFrom3(at: usize, blocks: u32, count: u32): void {
  const run = <usize>count << 3
  const root = f64x2.splat(1.7320508075688772)
  for (let b: u32 = 0; b < blocks; b++, at += 2 * run) {
    for (const end = at + run; at < end; at += 16) {
      const x = v128.load(at)
      const y = v128.load(at + run)
      const z = f64x2.mul(root, v128.load(at + 2 * run))
      const rest = f64x2.sub(x, y)
      v128.store(at, f64x2.add(x, f64x2.add(y, y)))
      v128.store(at + run, f64x2.sub(rest, z))
      v128.store(at + 2 * run, f64x2.add(rest, z))
    }
  }
}

/** The share of a frequency whose square, times the number of axes, is `square`. */
@inline
function shareOf(square: v128, axes: v128, base: v128, slope: v128, cut: v128, scale: v128): v128 {
  const share = f64x2.add(base, f64x2.mul(slope, f64x2.sub(f64x2.sqrt(f64x2.div(square, axes)), cut)))
  return f64x2.mul(scale, f64x2.pmin(f64x2.splat(1), f64x2.pmax(f64x2.splat(0), share)))
}

/**
 * Multiplies the frequencies of real lines, two as the real and imaginary parts of a complex one, by `scale` times
 * `base + slope·(f − cut)`, from 0 to 1, where f is the root of the mean of the squares of `axes` axes: one of `squares`
 * for each of the n elements, and the sum of the others of `others` for each of `count` real lines and then as many more.
 */
export function filterLines(
  at: usize,
  imag: isize,
  n: u32,
  count: u32,
  squares: usize,
  others: usize,
  axes: f64,
  base: f64,
  slope: f64,
  cut: f64,
  scale: f64,
): void {
  const run = <usize>count << 3
  const half = f64x2.splat(0.5)
  const d = f64x2.splat(axes)
  const p = f64x2.splat(base)
  const q = f64x2.splat(slope)
  const c = f64x2.splat(cut)
  const f = f64x2.splat(scale)
  for (let k: u32 = 0; k <= n >> 1; k++) {
    const square = v128.load64_splat(squares + (<usize>k << 3))
    let y = at + <usize>(k == 0 ? 0 : n - k) * run
    let other = others
    for (let x = at + <usize>k * run, end = x + run; x < end; x += 16, y += 16, other += 16) {
      const s = shareOf(f64x2.add(square, v128.load(other)), d, p, q, c, f)
      const t = shareOf(f64x2.add(square, v128.load(other + run)), d, p, q, c, f)
      // s·X + i·t·Y, X and Y taken apart as in splitLines.
      const both = f64x2.mul(half, f64x2.add(s, t))
      const rest = f64x2.mul(half, f64x2.sub(s, t))
      const xr = v128.load(x)
      const xi = v128.load(x + imag)
      const yr = v128.load(y)
      const yi = v128.load(y + imag)
      v128.store(x, f64x2.add(f64x2.mul(both, xr), f64x2.mul(rest, yr)))
      v128.store(x + imag, f64x2.sub(f64x2.mul(both, xi), f64x2.mul(rest, yi)))
      v128.store(y, f64x2.add(f64x2.mul(both, yr), f64x2.mul(rest, xr)))
      v128.store(y + imag, f64x2.sub(f64x2.mul(both, yi), f64x2.mul(rest, xi)))
    }
  }
}

/** Lays rows of n f32, `apart` numbers apart, next to each other as f64: the first two, and `imag` bytes behind two more. */
export function interleave(to: usize, imag: isize, from: usize, n: u32, apart: u32): void {
  const row = <usize>apart << 2
  for (let i: u32 = 0; i < n; i++, from += 4, to += 16) {
    v128.store(to, f64x2.replace_lane(f64x2.splat(<f64>load<f32>(from)), 1, <f64>load<f32>(from + row)))
    v128.store(
      to + imag,
      f64x2.replace_lane(f64x2.splat(<f64>load<f32>(from + 2 * row)), 1, <f64>load<f32>(from + 3 * row)),
    )
  }
}

/** Undoes `interleave`, rounding to f32. */
export function separate(to: usize, from: usize, imag: isize, n: u32, apart: u32): void {
  const row = <usize>apart << 2
  for (let i: u32 = 0; i < n; i++, from += 16, to += 4) {
    store<f32>(to, <f32>load<f64>(from))
    store<f32>(to + row, <f32>load<f64>(from, 8))
    store<f32>(to + 2 * row, <f32>load<f64>(from + imag))
    store<f32>(to + 3 * row, <f32>load<f64>(from + imag, 8))
  }
}

/** Sums and differences of elements that are as far from the first as from the last, for odd radices up to 61. */
const SUMS: usize = memory.data(4 * 30 * 16, 16)

@inline
const SUM_IM: usize = 30 * 16
@inline
const DIFFERENCE: usize = 2 * 30 * 16
@inline
const DIFFERENCE_IM: usize = 3 * 30 * 16

/** Stores a complex product. */
@inline
function put(to: usize, imag: isize, xr: v128, xi: v128, wr: v128, wi: v128): void {
  v128.store(to, f64x2.sub(f64x2.mul(xr, wr), f64x2.mul(xi, wi)))
  v128.store(to + imag, f64x2.add(f64x2.mul(xr, wi), f64x2.mul(xi, wr)))
}

@inline
function by2(from: usize, to: usize, imag: isize, apart: usize, run: usize, every: usize, roots: usize, rest: usize): void {
  for (let at: usize = 0, k = roots; at < apart; at += run, k += every) {
    const wr = v128.load64_splat(k)
    const wi = v128.load64_splat(k + rest)
    for (let i = from + at, out = to + 2 * at, end = i + run; i < end; i += 16, out += 16) {
      const ar = v128.load(i)
      const ai = v128.load(i + imag)
      const br = v128.load(i + apart)
      const bi = v128.load(i + apart + imag)
      v128.store(out, f64x2.add(ar, br))
      v128.store(out + imag, f64x2.add(ai, bi))
      put(out + run, imag, f64x2.sub(ar, br), f64x2.sub(ai, bi), wr, wi)
    }
  }
}

@inline
function by3(from: usize, to: usize, imag: isize, apart: usize, run: usize, every: usize, roots: usize, rest: usize): void {
  const half = f64x2.splat(0.5)
  const sin = f64x2.splat(0.8660254037844386)
  for (let at: usize = 0, k: usize = 0; at < apart; at += run, k += every) {
    const ur = v128.load64_splat(roots + k)
    const ui = v128.load64_splat(roots + k + rest)
    const vr = v128.load64_splat(roots + 2 * k)
    const vi = v128.load64_splat(roots + 2 * k + rest)
    for (let i = from + at, out = to + 3 * at, end = i + run; i < end; i += 16, out += 16) {
      const ar = v128.load(i)
      const ai = v128.load(i + imag)
      const br = v128.load(i + apart)
      const bi = v128.load(i + apart + imag)
      const cr = v128.load(i + 2 * apart)
      const ci = v128.load(i + 2 * apart + imag)
      const sr = f64x2.add(br, cr)
      const si = f64x2.add(bi, ci)
      v128.store(out, f64x2.add(ar, sr))
      v128.store(out + imag, f64x2.add(ai, si))
      const mr = f64x2.sub(ar, f64x2.mul(half, sr))
      const mi = f64x2.sub(ai, f64x2.mul(half, si))
      const dr = f64x2.mul(sin, f64x2.sub(br, cr))
      const di = f64x2.mul(sin, f64x2.sub(bi, ci))
      put(out + run, imag, f64x2.add(mr, di), f64x2.sub(mi, dr), ur, ui)
      put(out + 2 * run, imag, f64x2.sub(mr, di), f64x2.add(mi, dr), vr, vi)
    }
  }
}

@inline
function by4(from: usize, to: usize, imag: isize, apart: usize, run: usize, every: usize, roots: usize, rest: usize): void {
  for (let at: usize = 0, k: usize = 0; at < apart; at += run, k += every) {
    const ur = v128.load64_splat(roots + k)
    const ui = v128.load64_splat(roots + k + rest)
    const vr = v128.load64_splat(roots + 2 * k)
    const vi = v128.load64_splat(roots + 2 * k + rest)
    const wr = v128.load64_splat(roots + 3 * k)
    const wi = v128.load64_splat(roots + 3 * k + rest)
    for (let i = from + at, out = to + 4 * at, end = i + run; i < end; i += 16, out += 16) {
      const ar = v128.load(i)
      const cr = v128.load(i + 2 * apart)
      const sr = f64x2.add(ar, cr)
      const tr = f64x2.sub(ar, cr)
      const ai = v128.load(i + imag)
      const ci = v128.load(i + 2 * apart + imag)
      const si = f64x2.add(ai, ci)
      const ti = f64x2.sub(ai, ci)
      const br = v128.load(i + apart)
      const dr = v128.load(i + 3 * apart)
      const xr = f64x2.add(br, dr)
      const yr = f64x2.sub(br, dr)
      const bi = v128.load(i + apart + imag)
      const di = v128.load(i + 3 * apart + imag)
      const xi = f64x2.add(bi, di)
      const yi = f64x2.sub(bi, di)
      v128.store(out, f64x2.add(sr, xr))
      v128.store(out + imag, f64x2.add(si, xi))
      put(out + run, imag, f64x2.add(tr, yi), f64x2.sub(ti, yr), ur, ui)
      put(out + 2 * run, imag, f64x2.sub(sr, xr), f64x2.sub(si, xi), vr, vi)
      put(out + 3 * run, imag, f64x2.sub(tr, yi), f64x2.add(ti, yr), wr, wi)
    }
  }
}

@inline
function by5(from: usize, to: usize, imag: isize, apart: usize, run: usize, every: usize, roots: usize, rest: usize): void {
  const c1 = f64x2.splat(0.30901699437494745)
  const c2 = f64x2.splat(-0.8090169943749475)
  const s1 = f64x2.splat(0.9510565162951535)
  const s2 = f64x2.splat(0.5877852522924731)
  for (let at: usize = 0, k: usize = 0; at < apart; at += run, k += every) {
    const w1r = v128.load64_splat(roots + k)
    const w1i = v128.load64_splat(roots + k + rest)
    const w2r = v128.load64_splat(roots + 2 * k)
    const w2i = v128.load64_splat(roots + 2 * k + rest)
    const w3r = v128.load64_splat(roots + 3 * k)
    const w3i = v128.load64_splat(roots + 3 * k + rest)
    const w4r = v128.load64_splat(roots + 4 * k)
    const w4i = v128.load64_splat(roots + 4 * k + rest)
    for (let i = from + at, out = to + 5 * at, end = i + run; i < end; i += 16, out += 16) {
      const ar = v128.load(i)
      const ai = v128.load(i + imag)
      let xr = v128.load(i + apart)
      let yr = v128.load(i + 4 * apart)
      const pr = f64x2.add(xr, yr)
      const ur = f64x2.sub(xr, yr)
      xr = v128.load(i + 2 * apart)
      yr = v128.load(i + 3 * apart)
      const qr = f64x2.add(xr, yr)
      const vr = f64x2.sub(xr, yr)
      let xi = v128.load(i + apart + imag)
      let yi = v128.load(i + 4 * apart + imag)
      const pi = f64x2.add(xi, yi)
      const ui = f64x2.sub(xi, yi)
      xi = v128.load(i + 2 * apart + imag)
      yi = v128.load(i + 3 * apart + imag)
      const qi = f64x2.add(xi, yi)
      const vi = f64x2.sub(xi, yi)
      v128.store(out, f64x2.add(ar, f64x2.add(pr, qr)))
      v128.store(out + imag, f64x2.add(ai, f64x2.add(pi, qi)))
      let mr = f64x2.add(ar, f64x2.add(f64x2.mul(c1, pr), f64x2.mul(c2, qr)))
      let mi = f64x2.add(ai, f64x2.add(f64x2.mul(c1, pi), f64x2.mul(c2, qi)))
      let dr = f64x2.add(f64x2.mul(s1, ur), f64x2.mul(s2, vr))
      let di = f64x2.add(f64x2.mul(s1, ui), f64x2.mul(s2, vi))
      put(out + run, imag, f64x2.add(mr, di), f64x2.sub(mi, dr), w1r, w1i)
      put(out + 4 * run, imag, f64x2.sub(mr, di), f64x2.add(mi, dr), w4r, w4i)
      mr = f64x2.add(ar, f64x2.add(f64x2.mul(c2, pr), f64x2.mul(c1, qr)))
      mi = f64x2.add(ai, f64x2.add(f64x2.mul(c2, pi), f64x2.mul(c1, qi)))
      dr = f64x2.sub(f64x2.mul(s2, ur), f64x2.mul(s1, vr))
      di = f64x2.sub(f64x2.mul(s2, ui), f64x2.mul(s1, vi))
      put(out + 2 * run, imag, f64x2.add(mr, di), f64x2.sub(mi, dr), w2r, w2i)
      put(out + 3 * run, imag, f64x2.sub(mr, di), f64x2.add(mi, dr), w3r, w3i)
    }
  }
}

/** Any odd radix: `own` are its roots, real parts and then imaginary ones. */
function byOdd(
  radix: usize,
  from: usize,
  to: usize,
  imag: isize,
  apart: usize,
  run: usize,
  every: usize,
  roots: usize,
  rest: usize,
  own: usize,
): void {
  const pairs = (radix - 1) >> 1
  for (let at: usize = 0, k: usize = 0; at < apart; at += run, k += every) {
    for (let q: usize = 0; q < run; q += 16) {
      const i = from + at + q
      const out = to + radix * at + q
      const ar = v128.load(i)
      const ai = v128.load(i + imag)
      let allRe = ar
      let allIm = ai
      for (let j: usize = 1, s = SUMS; j <= pairs; j++, s += 16) {
        const xr = v128.load(i + j * apart)
        const yr = v128.load(i + (radix - j) * apart)
        const xi = v128.load(i + j * apart + imag)
        const yi = v128.load(i + (radix - j) * apart + imag)
        const sr = f64x2.add(xr, yr)
        const si = f64x2.add(xi, yi)
        allRe = f64x2.add(allRe, sr)
        allIm = f64x2.add(allIm, si)
        v128.store(s, sr)
        v128.store(s + SUM_IM, si)
        v128.store(s + DIFFERENCE, f64x2.sub(xr, yr))
        v128.store(s + DIFFERENCE_IM, f64x2.sub(xi, yi))
      }
      v128.store(out, allRe)
      v128.store(out + imag, allIm)
      for (let t: usize = 1; t <= pairs; t++) {
        let cr = ar
        let ci = ai
        let sr = f64x2.splat(0)
        let si = sr
        for (let j: usize = 1, s = SUMS, turn: usize = 0; j <= pairs; j++, s += 16) {
          turn += t
          if (turn >= radix) turn -= radix
          const cos = v128.load64_splat(own + (turn << 3))
          const sin = v128.load64_splat(own + ((radix + turn) << 3))
          cr = f64x2.add(cr, f64x2.mul(cos, v128.load(s)))
          ci = f64x2.add(ci, f64x2.mul(cos, v128.load(s + SUM_IM)))
          sr = f64x2.sub(sr, f64x2.mul(sin, v128.load(s + DIFFERENCE_IM)))
          si = f64x2.add(si, f64x2.mul(sin, v128.load(s + DIFFERENCE)))
        }
        const w = roots + t * k
        const z = roots + (radix - t) * k
        put(out + t * run, imag, f64x2.add(cr, sr), f64x2.add(ci, si), v128.load64_splat(w), v128.load64_splat(w + rest))
        put(
          out + (radix - t) * run,
          imag,
          f64x2.sub(cr, sr),
          f64x2.sub(ci, si),
          v128.load64_splat(z),
          v128.load64_splat(z + rest),
        )
      }
    }
  }
}

/**
 * One step of Stockham's Fourier transform of `blocks` blocks of `size` complex f64, imaginary parts `imag` bytes behind
 * real ones: of r elements that are a share 1/r of the block apart the sums weighted by the powers of the r-th root of
 * unity, times a power of a root of what is left of the length, next to each other. `stride` elements after each other, an
 * even number, are treated alike. `roots` are those of the whole length `n`, real parts and then imaginary ones, of which
 * `every` picks those of what is left; `own` are those of an odd radix.
 */
export function fourierStep(
  radix: u32,
  from: usize,
  to: usize,
  imag: isize,
  blocks: u32,
  size: u32,
  stride: u32,
  every: u32,
  roots: usize,
  n: u32,
  own: usize,
): void {
  const block = <usize>size << 3
  const apart = <usize>(size / radix) << 3
  const run = <usize>stride << 3
  const next = <usize>every << 3
  const rest = <usize>n << 3
  for (let b: u32 = 0; b < blocks; b++, from += block, to += block) {
    if (radix == 4) by4(from, to, imag, apart, run, next, roots, rest)
    else if (radix == 2) by2(from, to, imag, apart, run, next, roots, rest)
    else if (radix == 3) by3(from, to, imag, apart, run, next, roots, rest)
    else if (radix == 5) by5(from, to, imag, apart, run, next, roots, rest)
    else byOdd(radix, from, to, imag, apart, run, next, roots, rest, own)
  }
}

/** Multiplies the `count` complex f64 of each of n elements by its number of `by`, real parts and then imaginary ones. */
export function multiplyLines(
  to: usize,
  toImag: isize,
  from: usize,
  fromImag: isize,
  n: u32,
  count: u32,
  by: usize,
): void {
  const rest = <usize>n << 3
  for (let k: u32 = 0; k < n; k++, by += 8) {
    const wr = v128.load64_splat(by)
    const wi = v128.load64_splat(by + rest)
    for (let q: u32 = 0; q < count; q += 2, from += 16, to += 16)
      put(to, toImag, v128.load(from), v128.load(from + fromImag), wr, wi)
  }
}

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

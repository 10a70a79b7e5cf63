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

/** The two parts of ln 2: multiples of the first by whole numbers of 11 bits are exact. */
@inline
const LN2_HIGH: f64 = 6.93147180369123816490e-1
@inline
const LN2_LOW: f64 = 1.90821492927058770002e-10
/** Powers of less count as that of it. */
@inline
const LEAST: f64 = -700
/** What is added to it becomes a whole number, which its lowest bits hold. */
@inline
const WHOLE: f64 = 6755399441055744
/** The bits of √½. */
@inline
const ROOT_HALF: i64 = 0x3fe6a09e667f3bcd

/** Two neighbouring coefficients of the series of eʳ, as a number. */
@inline
function pair(a: f64, b: f64, r: v128): v128 {
  return f64x2.add(f64x2.splat(1 / a), f64x2.mul(f64x2.splat(1 / b), r))
}

/** eˣ of two numbers that are not above 0, within 1e-14 of its size: 2ⁿ·eʳ with |r| ≤ ½·ln 2. NaN stays NaN. */
@inline
function exp(x: v128): v128 {
  const above = f64x2.pmax(f64x2.splat(LEAST), x)
  const shifted = f64x2.add(f64x2.mul(above, f64x2.splat(1.4426950408889634)), f64x2.splat(WHOLE))
  const n = f64x2.sub(shifted, f64x2.splat(WHOLE))
  const r = f64x2.sub(f64x2.sub(above, f64x2.mul(n, f64x2.splat(LN2_HIGH))), f64x2.mul(n, f64x2.splat(LN2_LOW)))
  const square = f64x2.mul(r, r)
  const fourth = f64x2.mul(square, square)
  const low = f64x2.add(pair(1, 1, r), f64x2.mul(pair(2, 6, r), square))
  const middle = f64x2.add(pair(24, 120, r), f64x2.mul(pair(720, 5040, r), square))
  const high = f64x2.add(pair(40320, 362880, r), f64x2.mul(pair(3628800, 39916800, r), square))
  const power = f64x2.add(low, f64x2.mul(f64x2.add(middle, f64x2.mul(high, fourth)), fourth))
  const scaled = f64x2.mul(power, i64x2.shl(i64x2.add(shifted, i64x2.splat(1023)), 52))
  return v128.bitselect(scaled, x, f64x2.eq(x, x))
}

/** ln(a/b), a and b from 1 to 2³²: near 1 within 1e-15 of its size. */
function logOfQuotient(a: f64, b: f64): f64 {
  const quotient = a / b
  const exponent = (reinterpret<i64>(quotient) - ROOT_HALF) >> 52
  const mantissa = reinterpret<f64>(reinterpret<i64>(quotient) - (exponent << 52))
  const s = exponent == 0 ? (a - b) / (a + b) : (mantissa - 1) / (mantissa + 1)
  const z = s * s
  let sum: f64 = 1 / 19.0
  sum = sum * z + 1 / 17.0
  sum = sum * z + 1 / 15.0
  sum = sum * z + 1 / 13.0
  sum = sum * z + 1 / 11.0
  sum = sum * z + 1 / 9.0
  sum = sum * z + 1 / 7.0
  sum = sum * z + 1 / 5.0
  sum = sum * z + 1 / 3.0
  sum = sum * z + 1
  return 2 * s * sum + <f64>exponent * (LN2_HIGH + LN2_LOW)
}

/** Writes x less the greatest of a row, in f64; gives the greatest. */
@inline
function shift(x: usize, width: u32, to: usize): f64 {
  const end = x + (<usize>width << 2)
  let most: f32 = -Infinity
  for (let at = x; at < end; at += 4) {
    const value = load<f32>(at)
    // No comparison with NaN holds.
    if (value > most) most = value
  }
  for (let at = x; at < end; at += 4, to += 8) store<f64>(to, <f64>load<f32>(at) - <f64>most)
  return most
}

/**
 * f32 out[i] = |x[i] − base[i]| times the divergence KL(softmax(x) ‖ softmax(base)) of its row of `width`, in f64 and
 * added in order; a divergence that rounding takes below 0 counts as 0. `room` has 24 bytes for each element and for one
 * more.
 */
export function importanceOfRows(x: usize, base: usize, rows: u32, width: u32, out: usize, room: usize): void {
  const bytes = <usize>width << 2
  const length = <usize>rows * width
  const powers = room
  const others = powers + ((length + 1) >> 1 << 4)
  const tops = others + ((length + 1) >> 1 << 4)
  for (let row: usize = 0; row < rows; row++) {
    const first = row * bytes
    const top = shift(x + first, width, powers + 2 * first)
    store<f64>(tops + (row << 3), top - shift(base + first, width, others + 2 * first))
  }
  for (let at = powers, end = powers + (length << 3), other = others; at < end; at += 16, other += 16) {
    v128.store(at, exp(v128.load(at)))
    v128.store(other, exp(v128.load(other)))
  }
  for (let row: usize = 0; row < rows; row++) {
    const first = row * bytes
    const end = first + bytes
    const top = load<f64>(tops + (row << 3))
    let sum: f64 = 0
    let sumOfBase: f64 = 0
    let moved: f64 = 0
    for (let at = first; at < end; at += 4) {
      const power = load<f64>(powers + 2 * at)
      sum += power
      sumOfBase += load<f64>(others + 2 * at)
      moved += power * (<f64>load<f32>(x + at) - <f64>load<f32>(base + at) - top)
    }
    const divergence = moved / sum - logOfQuotient(sum, sumOfBase)
    const counted = max<f64>(divergence, 0)
    for (let at = first; at < end; at += 4)
      store<f32>(out + at, <f32>(Math.abs(<f64>load<f32>(x + at) - <f64>load<f32>(base + at)) * counted))
  }
}

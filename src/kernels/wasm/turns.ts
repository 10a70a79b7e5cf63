@inline
const SUM: i32 = 0
@inline
const DOT: i32 = 1
@inline
const PEAK: i32 = 2

/** A number of a block after one more element. No comparison with NaN holds, so it never becomes the greatest. */
@inline
function next(sofar: f64, x: usize, y: usize, kind: i32): f64 {
  const value = <f64>load<f32>(x)
  // The product of two float32 is exact in float64.
  if (kind == DOT) return sofar + value * <f64>load<f32>(y)
  if (kind == SUM) return sofar + value
  const size = Math.abs(value)
  return size > sofar && size < Infinity ? size : sofar
}

/** The same of two neighbouring elements for two neighbouring blocks. */
@inline
function nextTwo(sofar: v128, x: usize, y: usize, kind: i32): v128 {
  const value = f64x2.promote_low_f32x4(v128.load64_zero(x))
  if (kind == DOT) return f64x2.add(sofar, f64x2.mul(value, f64x2.promote_low_f32x4(v128.load64_zero(y))))
  if (kind == SUM) return f64x2.add(sofar, value)
  const size = f64x2.abs(value)
  return f64x2.pmax(sofar, v128.and(size, f64x2.lt(size, f64x2.splat(Infinity))))
}

/** A stretch of elements for as many neighbouring blocks. */
@inline
function each(to: usize, x: usize, y: usize, n: u32, kind: i32): void {
  const whole = x + (<usize>(n & ~3) << 2)
  const end = x + (<usize>n << 2)
  for (; x < whole; x += 16, y += 16, to += 32) {
    v128.store(to, nextTwo(v128.load(to), x, y, kind))
    v128.store(to, nextTwo(v128.load(to, 16), x + 8, y + 8, kind), 16)
  }
  for (; x < end; x += 4, y += 4, to += 8) store<f64>(to, next(load<f64>(to), x, y, kind))
}

/** A stretch of elements for one block, one after the other. */
@inline
function all(to: usize, x: usize, y: usize, n: u32, kind: i32): void {
  const end = x + (<usize>n << 2)
  let sofar = load<f64>(to)
  for (; x < end; x += 4, y += 4) sofar = next(sofar, x, y, kind)
  store<f64>(to, sofar)
}

@inline
function turns(x: usize, y: usize, n: u32, to: usize, count: u32, block: u32, run: u32, left: u32, kind: i32): void {
  while (n > 0) {
    const at = to + (<usize>block << 3)
    const length = min<u32>(n, run == 1 ? count - block : left)
    if (run == 1) each(at, x, y, length, kind)
    else all(at, x, y, length, kind)
    x += <usize>length << 2
    y += <usize>length << 2
    n -= length
    left = run
    block += run == 1 ? length : 1
    if (block == count) block = 0
  }
}

/**
 * Adds n f32 to the f64 of their blocks: each of `count` blocks takes `run` of them in turn, and the first `left` go to
 * block `block`. However the elements are cut, a block gets its own in their order.
 */
export function sumTurns(x: usize, y: usize, n: u32, to: usize, count: u32, block: u32, run: u32, left: u32): void {
  turns(x, y, n, to, count, block, run, left, SUM)
}

/** The same of the products of n pairs of f32. */
export function dotTurns(x: usize, y: usize, n: u32, to: usize, count: u32, block: u32, run: u32, left: u32): void {
  turns(x, y, n, to, count, block, run, left, DOT)
}

/** The same of the greatest size, NaN and infinity passed over. */
export function peakTurns(x: usize, y: usize, n: u32, to: usize, count: u32, block: u32, run: u32, left: u32): void {
  turns(x, y, n, to, count, block, run, left, PEAK)
}

/** The greatest of n f32 and one before; what is NaN is passed over, since no comparison with it holds. */
export function greatest(x: usize, n: u32, before: f32): f32 {
  let lanes = f32x4.splat(before)
  let others = lanes
  const end = x + (<usize>n << 2)
  for (const whole = x + (<usize>(n & ~7) << 2); x < whole; x += 32) {
    lanes = f32x4.pmax(lanes, v128.load(x))
    others = f32x4.pmax(others, v128.load(x, 16))
  }
  lanes = f32x4.pmax(lanes, others)
  for (; x < end; x += 4) lanes = f32x4.pmax(lanes, v128.load32_splat(x))
  return max(
    max(f32x4.extract_lane(lanes, 0), f32x4.extract_lane(lanes, 1)),
    max(f32x4.extract_lane(lanes, 2), f32x4.extract_lane(lanes, 3)),
  )
}

/** The least in the same way. */
export function least(x: usize, n: u32, before: f32): f32 {
  let lanes = f32x4.splat(before)
  let others = lanes
  const end = x + (<usize>n << 2)
  for (const whole = x + (<usize>(n & ~7) << 2); x < whole; x += 32) {
    lanes = f32x4.pmin(lanes, v128.load(x))
    others = f32x4.pmin(others, v128.load(x, 16))
  }
  lanes = f32x4.pmin(lanes, others)
  for (; x < end; x += 4) lanes = f32x4.pmin(lanes, v128.load32_splat(x))
  return min(
    min(f32x4.extract_lane(lanes, 0), f32x4.extract_lane(lanes, 1)),
    min(f32x4.extract_lane(lanes, 2), f32x4.extract_lane(lanes, 3)),
  )
}

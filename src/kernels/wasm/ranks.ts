/** Counters of all digits of a row: at most four of 8 bits or more, or two of 13. */
@inline
const MOST_BITS: u32 = 13

/** Bytes that `rankRows` needs as `room` besides 16 for each element of a row. */
export const ranksRoom: u32 = 3 << (MOST_BITS + 2)

/** How many digits make sorting the cheapest: each costs a look at every key and one at every counter. */
@inline
function digitsOf(bits: u32, width: u32): u32 {
  let best: u32 = 0
  let least: u64 = u64.MAX_VALUE
  for (let digits: u32 = 1; digits <= 8; digits++) {
    const size = (bits + digits - 1) / digits
    if (size > MOST_BITS || digits << size > 3 << MOST_BITS) continue
    const cost = <u64>digits * (2 * <u64>width + (1 << size))
    if (cost < least) {
      least = cost
      best = digits
    }
  }
  return best
}

/**
 * f32 out[i] = the rank of |x[i]| in its row of `width`, from 0 for the least; equal ones by index, NaN above infinity by
 * its bits. Sorts by as many bits as the magnitudes of a row differ in.
 */
export function rankRows(x: usize, rows: u32, width: u32, out: usize, room: usize): void {
  const keys = room + ranksRoom
  const others = keys + (<usize>width << 3)
  const bytes = <usize>width << 2
  for (let row: u32 = 0; row < rows; row++, x += bytes, out += bytes) {
    let all: u32 = 0
    let least: u32 = 0x80000000
    let most: u32 = 0
    for (let at = x, end = x + bytes; at < end; at += 4) {
      const size = load<u32>(at) & 0x7fffffff
      all |= size
      most = max(most, size)
      least = min(least, size - 1)
    }
    // Of a zero, less 1, nothing is less; so `least` is one below the least that is not 0.
    const shift = all == 0 ? 0 : ctz(all)
    const base = all == 0 ? 0 : (least + 1 >> shift) - 1
    const bits = max<u32>(1, 32 - clz(all == 0 ? 0 : (most >> shift) - base))
    const digits = digitsOf(bits, width)
    const step = (bits + digits - 1) / digits
    const mask: u32 = (1 << step) - 1
    const counters: usize = (<usize>mask + 1) << 2

    memory.fill(room, 0, counters * digits)
    for (let i: u32 = 0; i < width; i++) {
      const size = load<u32>(x + (<usize>i << 2)) & 0x7fffffff
      let key = size == 0 ? 0 : (size >> shift) - base
      store<u64>(keys + (<usize>i << 3), (<u64>key << 32) | i)
      for (let count = room, end = room + counters * digits; count < end; count += counters) {
        const at = count + (<usize>(key & mask) << 2)
        store<u32>(at, load<u32>(at) + 1)
        key >>= step
      }
    }
    for (let count = room, end = room + counters * digits; count < end; count += counters) {
      let below: u32 = 0
      for (let at = count, last = count + counters; at < last; at += 4) {
        const here = load<u32>(at)
        store<u32>(at, below)
        below += here
      }
    }
    let from = keys
    let to = others
    for (let digit: u32 = 1; digit <= digits; digit++) {
      const count = room + counters * (digit - 1)
      const low = <u64>(32 + step * (digit - 1))
      const end = from + (<usize>width << 3)
      if (digit == digits) {
        for (let at = from, place: usize = 0; at < end; at += 8) {
          const key = load<u64>(at)
          place = count + (<usize>(<u32>(key >> low) & mask) << 2)
          const rank = load<u32>(place)
          store<u32>(place, rank + 1)
          store<f32>(out + (<usize>(<u32>key) << 2), <f32>rank)
        }
      } else {
        for (let at = from, place: usize = 0; at < end; at += 8) {
          const key = load<u64>(at)
          place = count + (<usize>(<u32>(key >> low) & mask) << 2)
          const rank = load<u32>(place)
          store<u32>(place, rank + 1)
          store<u64>(to + (<usize>rank << 3), key)
        }
        const swapped = from
        from = to
        to = swapped
      }
    }
  }
}

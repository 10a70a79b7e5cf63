import seedrandom from 'seedrandom'

/** The 64 bits that choose one stream of random bits; each half is a u32. */
export type RandomKey = { readonly k0: number; readonly k1: number }

/**
 * What a stream belongs to: the seed, the step (its name, or its own `seed:`), which of the step's draws, and the
 * tensor's name.
 */
export type KeyWords = {
  readonly seed: number | string
  readonly step: string | number
  readonly draw: number
  readonly tensor: string
}

/**
 * The key of the words. Different words give unrelated keys; equal words give the same key on every machine, for ever.
 */
export const deriveKey = ({ seed, step, draw, tensor }: KeyWords): RandomKey => {
  const random = seedrandom(toAscii(JSON.stringify([seed, step, draw, tensor])))
  return { k0: random.int32() >>> 0, k1: random.int32() >>> 0 }
}

// seedrandom looks at the lower 8 bits of a code unit only: two names in another script could otherwise share a stream.
const toAscii = (json: string): string =>
  json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

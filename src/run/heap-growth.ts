import { setFlagsFromString } from 'node:v8'

/** Tensors of inputs from which on it is worth it. */
const MANY = 50_000

/** By how much the heap grows, in percent of what is in use, before garbage is collected; 0 leaves it to V8. */
const SLOWLY = 50

/** Versions of V8, those of Node.js 20 to 24, that have the flag; another would tell the terminal that it has not. */
const KNOWING = /^1[123]\./

let now = 0

/**
 * Has V8 collect garbage more often where there are very many tensors: most of what a plan of them makes is kept, and the
 * heap would grow to twice as much and more before it is looked through. With fewer tensors there is nothing to save.
 */
export const adaptHeapGrowth = (tensors: number): void => {
  const wanted = tensors < MANY ? 0 : SLOWLY
  if (wanted === now || !KNOWING.test(process.versions.v8)) return
  now = wanted
  setFlagsFromString(`--heap-growing-percent=${wanted}`)
}

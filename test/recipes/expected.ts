import { half, type Checkpoint } from './checkpoint.js'

/** The noise schedule of a checkpoint, token positions, and the scale of CLIP’s training. */
export const isConstant = (name: string): boolean =>
  !name.includes('.') || name.endsWith('.position_ids') || name.endsWith('.logit_scale')

/** The numbers of a tensor that is there. */
export const numbersOf = (checkpoint: Checkpoint, name: string): Float32Array => checkpoint.get(name)!.numbers

/** A checkpoint made number by number in float32 and rounded to float16; constants are the first model's. */
export const merge = (
  f: (name: string, ...numbers: number[]) => number,
  ...models: readonly Checkpoint[]
): Checkpoint =>
  new Map(
    [...models[0]!].map(([name, tensor]) => {
      if (isConstant(name)) return [name, tensor]
      const numbers = tensor.numbers.map((_, i) => f(name, ...models.map((m) => numbersOf(m, name)[i]!)))
      return [name, { ...tensor, numbers: half(numbers) }]
    }),
  )

const { fround } = Math
/** What a blend makes of two numbers, in float32. */
export const lerp = (x: number, y: number, keep: number): number => fround(x + fround(fround(y - x) * fround(1 - keep)))

/** Names of tensors that are not what they should be, in dtype, shape or any number. */
export const differing = (found: Checkpoint, expected: Checkpoint, tolerance = 0): string[] =>
  [...new Set([...found.keys(), ...expected.keys()])].filter((name) => {
    const [x, y] = [found.get(name), expected.get(name)]
    if (x?.dtype !== y?.dtype || x?.shape.join() !== y?.shape.join()) return true
    return x!.numbers.some((value, i) => !(Math.abs(value - y!.numbers[i]!) <= tolerance))
  })

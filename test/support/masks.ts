type Step = Readonly<Record<string, unknown>>

/** Numbers from 0 to 1 that a seed determines (mulberry32). */
export const random = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let x = Math.imul(state ^ (state >>> 15), 1 | state)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Steps that make masks of the models `a` and `b`, with tensors `x`, `y` and `z`: some constant, some not. */
export const BASE = {
  half: { op: 'mask.magnitude', model: 'a', base: 'b', quantile: 0.5 },
  some: { op: 'mask.magnitude', model: 'a', base: 'b', select: 'below', quantile: { default: 0.2, x: 0, y: 1 } },
  all: { op: 'mask.fill', like: 'a', value: true },
  none: { op: 'mask.fill', like: 'a', value: false },
  drawn: { op: 'mask.fill', like: 'a', p: 0.5, seed: 'one' },
  sure: { op: 'mask.fill', like: 'a', p: 1 },
  normal: { op: 'mask.fill', like: 'a', gaussian: { above: 0 } },
  whole: { op: 'mask.layers', like: 'a', layers: 'x' },
  further: { op: 'mask.compare', a: 'a', b: 'b', base: 'b' },
  agreed: { op: 'mask.sign_agreement', base: 'b', models: ['a', 'a'] },
  tall: { op: 'mask.tall', model: 'a', base: 'b', merged: 'a' },
  loaded: { op: 'mask.load', file: 'a' },
  parts: { op: 'mask.partition', like: 'a', shares: [1, 0] },
} as const

/** Operations on masks. `pick` names a mask, and `draw` gives a number from 0 to 1. */
export const OPERATIONS: readonly ((pick: () => string, draw: () => number) => Step)[] = [
  ...['union', 'intersection', 'difference', 'xor'].map((op) => (pick: () => string) => ({
    op: `mask.${op}`,
    masks: [pick(), pick(), pick()],
  })),
  (pick) => ({ op: 'mask.xor', masks: [pick(), pick()] }),
  (pick) => ({ op: 'mask.complement', mask: pick() }),
  (pick, draw) => ({ op: 'mask.at_least', masks: [pick(), pick(), pick()], k: 1 + Math.floor(3 * draw()) }),
  ...(['replace', 'and', 'or', 'xor'] as const).flatMap((combine) =>
    [{ set: true }, { set: false }, { p: 0.5, seed: 'one' }].map((filling) => (pick: () => string) => ({
      op: 'mask.edit',
      mask: pick(),
      layers: 'x',
      combine,
      ...filling,
    })),
  ),
]

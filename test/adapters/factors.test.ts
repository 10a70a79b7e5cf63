import { expect, test } from 'vitest'
import type { AdapterTarget } from '#src/architectures/adapters/names.js'
import { groupAdapter } from '#src/architectures/adapters/modules.js'
import { makePatches } from '#src/architectures/adapters/patch.js'
import { ok } from '#src/base/result.js'
import type { Dtype } from '#src/tensor/dtype.js'
import { sizeOf, type TensorInfo } from '#src/tensor/info.js'
import { createDice } from './dice.js'

type Shape = readonly number[]
type Factors = Readonly<Record<string, Shape>>

const info = (name: string, shape: Shape, dtype: Dtype = 'F16'): TensorInfo => ({
  name,
  dtype,
  shape,
  file: 'lora',
  begin: 0,
  end: 2 * sizeOf(shape),
})

/** What is made of factors by their endings, for a weight and the rows of it that they are for. */
const outcome = (
  factors: Factors,
  weight: Shape,
  target: Partial<AdapterTarget> = {},
  dtypes: Readonly<Record<string, Dtype>> = {},
) => {
  const { modules } = groupAdapter(
    new Map(
      Object.entries(factors).map(([ending, shape]) => [
        `net.fc.${ending}`,
        info(`net.fc.${ending}`, shape, dtypes[ending]),
      ]),
    ),
  )
  return makePatches(
    modules[0]!,
    { weight: 'w', bias: undefined, text: false, ...target },
    {
      adapter: '`lora`',
      model: '`model`',
      at: { type: 'option', name: 'x' },
      tensors: new Map([['w', info('w', weight)]]),
      scaleOf: () => ok(1),
      numberOf: () => 0,
      inputsFirst: () => false,
      onInputs: () => undefined,
      parameters: [],
      oft: undefined,
      architectureMismatch: undefined,
    },
  )
}

interface Kind {
  readonly what: string
  readonly weight: Shape
  readonly target?: Partial<AdapterTarget>
  readonly right: readonly Factors[]
}

const lora = (up: Shape, down: Shape): Factors => ({ 'lora_up.weight': up, 'lora_down.weight': down })
const loha = (a: Shape, b: Shape): Factors => ({ hada_w1_a: a, hada_w1_b: b, hada_w2_a: a, hada_w2_b: b })

/** Sizes that no product of others equals, so that every other shape is wrong. */
const KINDS: readonly Kind[] = [
  {
    what: 'a linear layer',
    weight: [11, 7],
    right: [lora([11, 5], [5, 7]), lora([11, 5, 1, 1], [5, 7, 1, 1]), loha([11, 5], [5, 7])],
  },
  {
    what: 'a convolution',
    weight: [11, 7, 3, 2],
    right: [
      lora([11, 5, 1, 1], [5, 7, 3, 2]),
      lora([11, 5], [5, 42]),
      loha([11, 5], [5, 42]),
      loha([11, 5], [5, 7, 3, 2]),
    ],
  },
  { what: 'a convolution over a line', weight: [11, 7, 3], right: [lora([11, 5, 1], [5, 7, 3])] },
  {
    what: 'a convolution of one element',
    weight: [11, 7, 1, 1],
    right: [lora([11, 5], [5, 7]), lora([11, 5, 1, 1], [5, 7, 1, 1])],
  },
  {
    what: 'a convolution with a middle factor',
    weight: [11, 7, 3, 2],
    right: [{ ...lora([11, 5, 1, 1], [5, 7, 1, 1]), 'lora_mid.weight': [5, 5, 3, 2] }],
  },
  {
    what: 'rows of a fused layer',
    weight: [33, 7],
    target: { rows: { first: 11, count: 11 } },
    right: [lora([11, 5], [5, 7]), loha([11, 5], [5, 7])],
  },
  {
    what: 'swapped halves',
    weight: [22, 7],
    target: { change: 'halves-swapped' },
    right: [lora([22, 5], [5, 7]), loha([22, 5], [5, 7])],
  },
  { what: 'a vector', weight: [11], right: [lora([11, 5], [5, 1]), lora([11, 5], [5])] },
]

const trimmed = (shape: Shape): string => shape.join().replace(/(?:,1)*$/, '')

/** A shape that means something else than the one given. */
const otherThan = (shape: Shape, dice: (n: number) => number): Shape => {
  for (;;) {
    const at = dice(shape.length)
    const changed = [
      () => shape.with(at, Math.max(0, shape[at]! + dice(7) - 3)),
      () => shape.with(at, shape[at]! * (2 + dice(3))),
      () => shape.toSpliced(at, 1),
      () => shape.toSpliced(at, 0, 2 + dice(9)),
      () => shape.toReversed(),
      () => [sizeOf(shape)],
    ][dice(6)]!()
    if (trimmed(changed) !== trimmed(shape)) return changed
  }
}

test.each(KINDS.flatMap((kind) => kind.right.map((right, i) => [`${kind.what} (${i + 1})`, kind, right] as const)))(
  'factors for %s are taken, and none of a hundred with one of another shape',
  (_what, { weight, target }, right) => {
    expect(outcome(right, weight, target).diagnostics).toEqual([])
    const dice = createDice(sizeOf(weight) + Object.keys(right).length)
    const endings = Object.keys(right)
    for (let i = 0; i < 100; i++) {
      const ending = endings[i % endings.length]!
      const shape = otherThan(right[ending]!, dice)
      const wrong = { ...right, [ending]: shape }
      // A flat factor may have the dimensions that it stands for, and the other way round.
      if (outcome(wrong, weight, target).type === 'ok') {
        const others = [
          [5, ...weight.slice(1)],
          [5, sizeOf(weight.slice(1))],
        ].map(trimmed)
        expect([ending, others]).toEqual([expect.stringMatching(/down|_b$/), expect.arrayContaining([trimmed(shape)])])
        continue
      }
      const [problem] = outcome(wrong, weight, target).diagnostics
      expect(problem!.message).toContain('`net.fc`')
      if (problem!.code === 'bad-rank') continue
      const [, named, found, wanted] =
        /^`net\.fc\.([\w.]+)` of `lora` is \[([^\]]*)\], but `net\.fc` needs \[([^\]]*)\]: its rank is \d+, and it changes (?:rows 11 to 21 of )?`w`/.exec(
          problem!.message,
        ) ?? []
      expect([problem!.code, found]).toEqual(['adapter-shape', wrong[named!]!.join(', ')])
      expect(wanted).not.toBe(found)
    }
  },
)

test('a LoHa whose second product is of another shape than its first is refused by the name of the factor', () => {
  const second = (a: Shape, b: Shape): Factors => ({ ...loha([4, 2], [2, 6]), hada_w2_a: a, hada_w2_b: b })
  const told = (factors: Factors): string | undefined => outcome(factors, [4, 6]).diagnostics[0]?.message
  expect(told(second([4, 2], [2, 6]))).toBeUndefined()
  expect(told(second([2, 2], [2, 12]))).toBe(
    '`net.fc.hada_w2_a` of `lora` is [2, 2], but `net.fc` needs [4, 2]: its rank is 2, and it changes `w`, which is [4, 6]',
  )
  expect(told(second([4, 2], [2, 5]))).toBe(
    '`net.fc.hada_w2_b` of `lora` is [2, 5], but `net.fc` needs [2, 6]: its rank is 2, and it changes `w`, which is [4, 6]',
  )
  expect(told(second([4, 3], [3, 6]))).toContain('`net.fc.hada_w2_a` of `lora` is [4, 3], but `net.fc` needs [4, 2]')
})

test('factors that are to lie beyond the last row are refused', () => {
  expect(outcome(lora([4, 2], [2, 6]), [6, 6], { rows: { first: 4, count: 4 } }).diagnostics[0]!.message).toContain(
    'is [4, 2], but `net.fc` needs [2, 2]',
  )
})

test.each(['I64', 'BOOL', 'U8', 'F8_E8M0'] as const)(
  'a factor of %s is refused, whichever it is and however small',
  (dtype) => {
    for (const factors of [
      lora([4, 2], [2, 6]),
      lora([], []),
      { ...lora([4, 2], [2, 6]), 'lora_mid.weight': [2, 2] },
      loha([4, 2], [2, 6]),
      { diff: [4, 6] },
    ] as readonly Factors[]) {
      for (const ending of Object.keys(factors)) {
        expect(outcome(factors, [4, 6], {}, { [ending]: dtype }).diagnostics[0]).toMatchObject({
          code: 'adapter-dtype',
          message: expect.stringContaining(`\`net.fc.${ending}\``),
        })
      }
    }
  },
)

test('an alpha may be a whole number, in a list or not', () => {
  for (const shape of [[], [1]])
    expect(outcome({ ...lora([4, 2], [2, 6]), alpha: shape }, [4, 6], {}, { alpha: 'I64' }).diagnostics).toEqual([])
})

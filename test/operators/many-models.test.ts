import { describe, expect, test } from 'vitest'
import { buildRun } from '../support/build-run.js'
import { runOf, type PlainFile, type PlainTensor } from '../support/recipe-run.js'
import { evaluateLast, f32, problemsOf } from '../support/small.js'

type Files = Readonly<Record<string, PlainFile>>
type Step = Readonly<Record<string, unknown>>

const shaped = (shape: readonly number[], ...values: readonly number[]): PlainTensor => ({ ...f32(...values), shape })
const one = (...values: readonly number[]): PlainFile => ({ x: f32(...values) })
const result = (files: Files, step: Step): readonly number[] => evaluateLast(files, { r: step })['x']!

/** What a real build, in float32, makes of the tensor `x`. */
const built = async (files: Files, step: Step): Promise<readonly number[]> => {
  const made = await buildRun(runOf(files, { r: step }, {}))
  if (made.type === 'failed') throw new Error(made.diagnostics.map((d) => d.code).join())
  return made.value['x']!.values
}

const close = (found: readonly number[], expected: readonly number[], digits = 5): void => {
  expect(found.length).toBe(expected.length)
  expected.forEach((x, i) => expect(found[i]).toBeCloseTo(x, digits))
}

/** Steps whose result is the model, where all models are the same. */
const AGREEING: readonly (readonly [op: string, step: Step])[] = [
  ['merge.slerp_many', { models: { m1: 1, m2: 0.3, m3: 2 } }],
  ['merge.slerp_many', { base: 'base', models: { m1: 1, m2: 0.3, m3: 2 } }],
  ['merge.nuslerp', { models: { m1: 0.6, m2: 0.4 } }],
  ['merge.nuslerp', { base: 'base', models: { m1: 0.6, m2: 0.4 }, over: 'row' }],
  ['merge.nuslerp', { models: { m1: 0.6, m2: 0.4 }, over: 'column' }],
  ['merge.karcher', { models: { m1: 1, m2: 0.3, m3: 2 } }],
  ['merge.geometric_median', { models: { m1: 1, m2: 0.3, m3: 2 } }],
  ['merge.model_stock', { base: 'base', models: ['m1', 'm2', 'm3'] }],
  ['merge.model_stock', { base: 'base', models: ['m1', 'm2', 'm3'], over: 'row' }],
  ['merge.model_stock', { base: 'base', models: ['m1', 'm2', 'm3'], pairs: 'consecutive' }],
]

/** Steps whose result is the base, where no model differs from it. */
const UNMOVED: readonly (readonly [op: string, step: Step])[] = [
  ['merge.sce', { base: 'base', models: ['m1', 'm2', 'm3'] }],
  ['merge.sce', { base: 'base', models: ['m1', 'm2', 'm3'], density: 0.5, even_below: 0 }],
  ['merge.ram', { base: 'base', models: ['m1', 'm2', 'm3'], rescale: 0.1 }],
]

const SHAPE = [4, 5]
const SIZE = 20
const random = (seed: number): readonly number[] =>
  Array.from({ length: SIZE }, (_, i) => (Math.sin(seed * 12.9898 + i * 78.233) * 43758.5453) % 1)
const alike = (values: readonly number[], base = random(9)): Files => ({
  base: { x: shaped(SHAPE, ...base) },
  m1: { x: shaped(SHAPE, ...values) },
  m2: { x: shaped(SHAPE, ...values) },
  m3: { x: shaped(SHAPE, ...values) },
})

describe('equal models give that model, bit for bit, with', () => {
  test.each(AGREEING)('%s %j', async (op, step) => {
    const files = alike(random(1))
    expect(await built(files, { op, ...step })).toEqual(files['m1']!['x']!.values)
  })
})

describe('models that are the base give it, bit for bit, with', () => {
  test.each([...AGREEING, ...UNMOVED])('%s %j', async (op, step) => {
    const files = alike(random(1), random(1))
    expect(await built(files, { op, ...step })).toEqual(files['base']!['x']!.values)
  })
})

describe('tensors of zeros stay zeros with', () => {
  test.each([...AGREEING, ...UNMOVED])('%s %j', async (op, step) => {
    const zeros = Array<number>(SIZE).fill(0)
    expect((await built(alike(zeros, zeros), { op, ...step })).every((x) => x === 0)).toBe(true)
  })
})

describe('a tensor without elements is none with', () => {
  test.each([...AGREEING, ...UNMOVED])('%s %j', async (op, step) => {
    const none: PlainFile = { x: shaped([0, 3]), y: shaped([1], 1) }
    expect(await built({ base: none, m1: none, m2: none, m3: none }, { op, ...step })).toEqual([])
  })
})

test.each(['merge.slerp_many', 'merge.karcher', 'merge.geometric_median', 'merge.sce', 'merge.ram'])(
  'a single model is the result of %s',
  (op) => {
    const base = op === 'merge.sce' || op === 'merge.ram' ? { base: 'base' } : {}
    expect(result({ base: one(1, 1), m: one(2, -3) }, { op, ...base, models: ['m'] })).toEqual([2, -3])
  },
)

describe('models that differ by a millionth are merged to the last bit by', () => {
  const near = (seed: number): readonly number[] =>
    random(9).map((x, i) => Math.fround((1.5 + x / 4) * (1 + 1e-6 * random(seed)[i]!)))
  const [base, a, b, c] = [near(4), near(1), near(2), near(3)]
  const files = {
    base: { x: shaped(SHAPE, ...base) },
    m1: { x: shaped(SHAPE, ...a) },
    m2: { x: shaped(SHAPE, ...b) },
    m3: { x: shaped(SHAPE, ...c) },
  }
  const dot = (x: readonly number[], y: readonly number[]): number => x.reduce((sum, v, i) => sum + v * y[i]!, 0)
  const norm = (x: readonly number[]): number => Math.sqrt(dot(x, x))
  const mix = (weights: readonly number[], vectors: readonly (readonly number[])[]): readonly number[] =>
    vectors[0]!.map((_, i) => weights.reduce((sum, w, k) => sum + w * vectors[k]![i]!, 0))
  const minus = (x: readonly number[], y: readonly number[]): readonly number[] => mix([1, -1], [x, y])
  const models = [a, b, c]
  const deltas = models.map((x) => minus(x, base))
  const onSphere = (vectors: readonly (readonly number[])[]): readonly number[] => {
    const mean = mix([1 / 3, 1 / 3, 1 / 3], vectors.map((v) => v.map((x) => x / norm(v)))) // prettier-ignore
    const length = (norm(vectors[0]!) + norm(vectors[1]!) + norm(vectors[2]!)) / 3
    return mean.map((x) => (x * length) / norm(mean))
  }
  const median = (): readonly number[] => {
    let at = mix([1 / 3, 1 / 3, 1 / 3], deltas)
    for (let i = 0; i < 500; i++) {
      const weights = deltas.map((x) => 1 / norm(minus(x, at)))
      const sum = weights.reduce((x, y) => x + y, 0)
      at = mix(weights.map((w) => w / sum), deltas) // prettier-ignore
    }
    return mix([1, 1], [base, at])
  }
  const stock = (): readonly number[] => {
    const cosine = (x: readonly number[], y: readonly number[]) => dot(x, y) / norm(x) / norm(y)
    const [d, e, f] = deltas as [number[], number[], number[]]
    const mean = (cosine(d, e) + cosine(d, f) + cosine(e, f)) / 3
    const t = (3 * mean) / (1 + 2 * mean)
    return mix([1, t / 3, t / 3, t / 3], [base, d, e, f])
  }
  const list = ['m1', 'm2', 'm3']
  test.each([
    ['merge.slerp_many', { models: list }, onSphere(models)],
    ['merge.slerp_many', { base: 'base', models: list }, mix([1, 1], [base, onSphere(deltas)])],
    ['merge.karcher', { models: list }, onSphere(models)],
    ['merge.nuslerp', { models: { m1: 0.7, m2: 0.3 } }, mix([0.7, 0.3], [a, b])],
    ['merge.geometric_median', { models: list }, median()],
    ['merge.model_stock', { base: 'base', models: list }, stock()],
  ] as const)('%s %j', async (op, step, expected) => {
    const found = await built(files, { op, ...step })
    // Half a unit in the last place, and a little for values close to the middle of two.
    expected.forEach((x, i) =>
      expect(Math.abs(found[i]! - x)).toBeLessThan(0.51 * 2 ** (Math.floor(Math.log2(x)) - 23)),
    )
  })
})

describe('directions that cancel out', () => {
  const opposite = { m1: one(3, -4), m2: one(-3, 4), m3: one(6, -8) }
  test.each([
    ['merge.slerp_many', { models: ['m1', 'm2'] }, [0, 0]],
    ['merge.slerp_many', { models: { m3: 1, m2: 1 } }, [1.5, -2]],
    ['merge.karcher', { models: ['m1', 'm2'] }, [0, 0]],
    ['merge.karcher', { models: ['m3', 'm2'] }, [1.5, -2]],
    ['merge.nuslerp', { models: { m1: 1, m2: 3 } }, [-1.5, 2]],
    ['merge.geometric_median', { models: ['m1', 'm2'] }, [0, 0]],
  ] as const)('are mixed on a straight line: %s %j', (op, step, expected) => {
    close(result(opposite, { op, ...step }), expected)
  })

  const step = { op: 'merge.model_stock', base: 'zero', models: ['m1', 'm2'] }
  const files = { zero: one(0, 0), ...opposite }
  test('have no model stock: the build fails and names the tensor', async () => {
    const made = await buildRun(runOf(files, { r: step }, {}))
    expect(made.diagnostics.map(({ code, message, help }) => [code, message, help])).toEqual([
      ['non-finite', expect.stringContaining('`x`'), expect.stringContaining('write `cancelling: base` if')],
    ])
  })
  test('have the base for their model stock, if asked for', async () => {
    expect(await built(files, { ...step, cancelling: 'base' })).toEqual([0, 0])
  })
  test('keep the base in their rows alone', async () => {
    const rows = {
      base: { x: shaped([2, 2], 1, 1, 1, 1) },
      m1: { x: shaped([2, 2], 2, 1, 3, 1) },
      m2: { x: shaped([2, 2], 0, 1, 3, 1) },
    }
    expect(
      await built(rows, {
        op: 'merge.model_stock',
        base: 'base',
        models: ['m1', 'm2'],
        over: 'row',
        cancelling: 'base',
      }),
    ).toEqual([1, 1, 3, 1])
  })
})

describe('a tensor of zeros', () => {
  const files = { m1: one(3, 4), m2: one(0, 0), m3: one(-4, 3) }
  test('has no direction, and makes the mean of the others shorter', () => {
    for (const op of ['merge.slerp_many', 'merge.karcher'])
      close(result(files, { op, models: ['m1', 'm2', 'm3'] }), mean(10 / 3))
    close(result(files, { op: 'merge.karcher', models: ['m2', 'm1', 'm3'] }), mean(10 / 3))
  })
  const mean = (length: number): readonly number[] => [
    (-1 / 5) * length * Math.SQRT1_2,
    (7 / 5) * length * Math.SQRT1_2,
  ]
  test('is approached on a straight line by merge.nuslerp', () => {
    expect(result(files, { op: 'merge.nuslerp', models: { m1: 3, m2: 1 } })).toEqual([2.25, 3])
  })
  test('resembles nothing, so the columns are taken from the other model', () => {
    expect(result(files, { op: 'merge.cosine_a', a: 'm2', b: 'm1', keep: 1 })).toEqual([3, 4])
    expect(result(files, { op: 'merge.cosine_b', a: 'm1', b: 'm2', keep: 1 })).toEqual([0, 0])
  })
  test('counts as at a right angle in a model stock', () => {
    const zero = { zero: one(0, 0), ...files }
    expect(result(zero, { op: 'merge.model_stock', base: 'zero', models: ['m1', 'm2'] })).toEqual([0, 0])
  })
})

describe('rows and columns are vectors of their own', () => {
  const [FILTERS, INPUTS, KERNEL] = [3, 2, 4]
  const conv = (seed: number): readonly number[] =>
    random(seed)
      .concat(random(seed + 50))
      .slice(0, FILTERS * INPUTS * KERNEL)
  const part = (values: readonly number[], pick: (filter: number, input: number) => boolean): readonly number[] =>
    values.filter((_, i) => pick(Math.floor(i / (INPUTS * KERNEL)), Math.floor(i / KERNEL) % INPUTS))
  const whole = (pick: (filter: number, input: number) => boolean): Files =>
    Object.fromEntries(['base', 'm1', 'm2'].map((name, i) => [name, { x: f32(...part(conv(i + 1), pick)) }]))
  const files: Files = Object.fromEntries(
    ['base', 'm1', 'm2'].map((name, i) => [name, { x: shaped([FILTERS, INPUTS, 2, 2], ...conv(i + 1)) }]),
  )
  const models = { m1: 0.7, m2: 0.3 }
  test.each([
    ['merge.nuslerp', { base: 'base', models }],
    ['merge.model_stock', { base: 'base', models: ['m1', 'm2'] }],
  ] as const)('a filter of a convolution is a row to %s', (op, step) => {
    const found = result(files, { op, ...step, over: 'row' })
    for (let filter = 0; filter < FILTERS; filter++) {
      const own = (f: number): boolean => f === filter
      close(part(found, own), result(whole(own), { op, ...step }))
    }
  })
  test('what one input of a convolution leads to is a column', () => {
    const step = { op: 'merge.nuslerp', models }
    const found = result(files, { ...step, over: 'column' })
    for (let input = 0; input < INPUTS; input++) {
      const own = (_: number, i: number): boolean => i === input
      close(part(found, own), result(whole(own), step))
    }
  })
})

describe('merge.geometric_median', () => {
  const at = (files: Files, models: unknown): readonly number[] =>
    result(files, { op: 'merge.geometric_median', models })
  test('is the model that has more than half of the weight', () => {
    expect(at({ m1: one(1, 2), m2: one(0, 7), m3: one(-30, 5) }, { m1: 5, m2: 2, m3: 2.9 })).toEqual([1, 2])
  })
  test('is the model in the middle of others, wherever it is in the list', () => {
    const files = { m1: one(0, 0), m2: one(10, 1), m3: one(5, 0.6), m4: one(5, -8), m5: one(4.5, 9) }
    for (const models of [
      ['m1', 'm2', 'm3', 'm4', 'm5'],
      ['m3', 'm4', 'm1', 'm5', 'm2'],
    ])
      close(at(files, models), [5, 0.6])
  })
  test('is the average of two models of equal weight', () => {
    expect(at({ m1: one(1, 2), m2: one(5, 0) }, ['m1', 'm2'])).toEqual([3, 1])
  })
  test('is found from an average that is one of the models, but not the median', () => {
    const files = { m1: one(-1, 0.2), m2: one(-1, 0), m3: one(-1, -0.2), m4: one(7, 0), m5: one(1, 0) }
    // Where the pulls balance, 1 + 2s/√(s² + 0.04) = 2 at s beyond the three.
    close(at(files, ['m1', 'm2', 'm3', 'm4', 'm5']), [-1 + Math.sqrt(0.01 / 0.75), 0])
  })
})

describe('a model of weight 0 is not read by', () => {
  const files = { m1: one(1, 2), m2: one(3, 3), no: { x: { dtype: 'f32', shape: [2], values: [NaN, NaN] } } } as const
  test.each(['merge.slerp_many', 'merge.karcher', 'merge.geometric_median'])('%s', (op) => {
    expect(result(files, { op, models: { m1: 1, no: 0, m2: 1 } }).every(Number.isFinite)).toBe(true)
  })
  test('merge.nuslerp, which then copies the other', () => {
    expect(result(files, { op: 'merge.nuslerp', models: { m1: 1, no: 0 } })).toEqual([1, 2])
  })
})

describe('a NaN of a model does not turn into a number with', () => {
  const files = (shape: readonly number[]): Files => {
    const holed = (...values: readonly number[]): PlainFile => ({ x: { dtype: 'f32', shape, values } })
    return { base: holed(1, 1, 1, 1), m1: holed(2, NaN, 4, 5), m2: holed(3, 3, 5, 5), m3: holed(4, 1, 5, 9) }
  }
  test.each([...AGREEING, ...UNMOVED.filter(([, { density }]) => density === undefined)])('%s %j', (op, step) => {
    expect(result(files([2, 2]), { op, ...step })[1]).toBeNaN()
  })
})

describe('refuses', () => {
  const files = { m1: one(1, 2), m2: one(3, 3), base: one(0, 0) }
  test.each(['merge.slerp_many', 'merge.karcher', 'merge.geometric_median'])('weights that add up to 0: %s', (op) => {
    const weights = op === 'merge.slerp_many' ? { m1: 1, m2: -1 } : { m1: 0, m2: 0 }
    expect(problemsOf(files, { r: { op, models: weights } })).toEqual(['error zero-weight-sum @r.models'])
  })
  test('nothing of weights that add up to 0 where they are not divided, or count as equal', () => {
    expect(
      result(files, { op: 'merge.slerp_many', models: { m1: 1, m2: -1 }, normalize: false }).every(Number.isFinite),
    ).toBe(true)
    expect(result(files, { op: 'merge.nuslerp', models: { m1: 1, m2: -1 } })).toEqual(
      result(files, { op: 'merge.nuslerp', models: ['m1', 'm2'] }),
    )
  })
  test('another number of models than two: merge.nuslerp', () => {
    expect(problemsOf(files, { r: { op: 'merge.nuslerp', models: ['m1', 'm2', 'base'] } })).toEqual([
      'error not-two-models @r.models',
    ])
  })
  test.each(['merge.slerp_many', 'merge.karcher', 'merge.geometric_median', 'merge.model_stock'])(
    'more than 64 models, which it would measure in pairs: %s',
    (op) => {
      const base = op === 'merge.model_stock' ? { base: 'base' } : {}
      const list = (count: number): readonly string[] => Array<string>(count).fill('m1')
      expect(problemsOf(files, { r: { op, ...base, models: list(65) } })).toEqual(['error too-many-models @r.models'])
      expect(problemsOf(files, { r: { op, ...base, models: list(64) } })).toEqual([])
    },
  )
})

test('negative statistics are no Fisher information, and nothing finite is made of them', () => {
  const files = { a: one(1, 2), b: one(5, 6), first: one(1, 3), second: one(3, -1) }
  const models = [
    { model: 'a', statistics: 'first' },
    { model: 'b', statistics: 'second' },
  ]
  expect(result(files, { op: 'merge.fisher', models, epsilon: 2 })).toEqual([expect.closeTo(3.5), NaN])
})

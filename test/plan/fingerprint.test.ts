import { describe, expect, test } from 'vitest'
import type { Expression, Measure, Stream } from '#src/graph/expression.js'
import { createGraph, type Graph } from '#src/graph/graph.js'
import { createFingerprints, type Encoding, type Fingerprint, type Identify } from '#src/plan/fingerprint.js'
import type { TensorInfo } from '#src/tensor/info.js'
import { sliceOf, wholeOf } from '#src/tensor/view.js'

const info = (name: string, file = 'a', dtype: TensorInfo['dtype'] = 'F32', begin = 0): TensorInfo => ({
  name,
  dtype,
  shape: [8],
  file,
  begin,
  end: begin + 32,
})
/** Contents are told apart by file and place alone, as if each file had contents of its own. */
const byFile: Identify = ({ file, begin }) => `${file}:${begin}`
const PLAIN: Encoding = { elements: 8, dtype: 'F32', allowNonFinite: false }

type Made = (g: Graph) => Expression
/** The fingerprint of what is made in a graph of its own. */
const print = (make: Made, encoding: Partial<Encoding> = {}, identify: Identify = byFile): Fingerprint | undefined => {
  const g = createGraph()
  const value = make(g)
  return createFingerprints(g.grouped, identify).of(value, { ...PLAIN, ...encoding })
}
const printMeasure = (make: (g: Graph) => unknown, identify: Identify = byFile): Fingerprint | undefined => {
  const g = createGraph()
  const value = make(g) as Measure
  return createFingerprints(g.grouped, identify).ofMeasure(value)
}
const stream = (more: Partial<Stream> = {}): Stream => ({ seed: 1, step: 'x', draw: 0, tensor: 'w', ...more })
const blend =
  (keep: number) =>
  (g: Graph): Expression =>
    g.add(g.mul(g.read(info('w')), keep), g.read(info('w', 'b')))

describe('the fingerprint of an expression', () => {
  test('is the same every time, 32 hex digits, and what is shared in it counts once or twice alike', () => {
    expect(print(blend(0.5))).toMatch(/^[0-9a-f]{32}$/)
    expect(print(blend(0.5))).toBe(print(blend(0.5)))
    const sum = (g: Graph): Expression =>
      g.mul(g.sub(g.read(info('w')), g.read(info('w', 'b'))), g.abs(g.sub(g.read(info('w')), g.read(info('w', 'b')))))
    expect(print(sum)).toBe(
      print((g) => {
        // Something else is in the graph, and before it.
        g.sum(g.read(info('v', 'c')))
        return sum(g)
      }),
    )
  })

  test.each<[string, Made]>([
    ['names of tensors', (g) => g.add(g.mul(g.read(info('other')), 0.5), g.read(info('w', 'b')))],
    [
      'shapes of equally many elements',
      (g) => g.add(g.mul(g.read({ ...info('w'), shape: [2, 4] }), 0.5), g.read(info('w', 'b'))),
    ],
  ])('does not depend on %s', (_, other) => expect(print(other)).toBe(print(blend(0.5))))

  test('depends on the contents of everything that is read, not on where it lies', () => {
    const contents =
      (of: Readonly<Record<string, string>>): Identify =>
      ({ file }) =>
        of[file]
    const one = print(blend(0.5), {}, contents({ a: 'A', b: 'B' }))
    const elsewhere = (g: Graph): Expression =>
      g.add(g.mul(g.read(info('w', 'x', 'F32', 96)), 0.5), g.read(info('w', 'y')))
    expect(print(elsewhere, {}, contents({ x: 'A', y: 'B' }))).toBe(one)
    for (const of of [
      { a: 'C', b: 'B' },
      { a: 'A', b: 'C' },
      { a: 'B', b: 'A' },
    ])
      expect(print(blend(0.5), {}, contents(of))).not.toBe(one)
  })

  test('is not known as long as the contents of something are not, and does not stay unknown', () => {
    const g = createGraph()
    const known = new Map([['a', 'A']])
    const prints = createFingerprints(g.grouped, ({ file }) => known.get(file))
    const both = g.add(g.read(info('w')), g.read(info('w', 'b')))
    expect(prints.of(both, PLAIN)).toBeUndefined()
    expect(prints.of(g.read(info('w')), PLAIN)).toBeDefined()
    expect(prints.ofMeasure(g.sum(both as never) as Measure)).toBeUndefined()
    expect(prints.of(g.fill(g.sum(g.read(info('w')))), PLAIN)).toBeDefined()
  })

  const VARIANTS: Readonly<Record<string, readonly Made[]>> = {
    numbers: [0.5, 0.25, 0, -0, Infinity, -Infinity, NaN, 5e-324, 0.1, 0.1 + Number.EPSILON / 8].map(
      (x): Made =>
        (g) =>
          g.fill(x),
    ),
    'order of operands': [
      (g) => g.sub(g.read(info('w')), g.read(info('w', 'b'))),
      (g) => g.sub(g.read(info('w', 'b')), g.read(info('w'))),
    ],
    'dtypes of what is read': [
      (g) => g.read(info('w')),
      (g) => g.read(info('w', 'a', 'F16')),
      (g) => g.readMask(info('w')),
    ],
    operations: [
      (g) => g.add(g.read(info('w')), g.read(info('w', 'b'))),
      (g) => g.mul(g.read(info('w')), g.read(info('w', 'b'))),
      (g) => g.min(g.read(info('w')), g.read(info('w', 'b'))),
      (g) => g.neg(g.read(info('w'))),
      (g) => g.abs(g.read(info('w'))),
      (g) => g.sqrt(g.read(info('w'))),
      (g) => g.sign(g.read(info('w'))),
    ],
    'draws and their words': [
      (g) => g.normal(stream()),
      (g) => g.uniform(stream()),
      (g) => g.normal(stream({ seed: 2 })),
      (g) => g.normal(stream({ seed: '1' })),
      (g) => g.normal(stream({ step: 'y' })),
      (g) => g.normal(stream({ draw: 1 })),
      (g) => g.normal(stream({ tensor: 'v' })),
      (g) => g.bernoulli(0.5, stream()),
      (g) => g.bernoulli(0.25, stream()),
      (g) => g.bernoulli(0.5, stream({ tensor: 'v' })),
    ],
    masks: [
      (g) => g.constant(true),
      (g) => g.constant(false),
      ...(['greater', 'greater-equal', 'less', 'equal'] as const).map(
        (op): Made =>
          (g) =>
            g.compare(op, g.read(info('w')), 1),
      ),
      (g) => g.and(g.readMask(info('w')), g.readMask(info('w', 'b'))),
      (g) => g.or(g.readMask(info('w')), g.readMask(info('w', 'b'))),
      (g) => g.xor(g.readMask(info('w')), g.readMask(info('w', 'b'))),
      (g) => g.not(g.readMask(info('w'))),
    ],
    positions: [(g) => g.position(1, 8), (g) => g.position(2, 8), (g) => g.position(1, 4)],
    thresholds: [
      (g) => g.top(g.read(info('w')), 0.5),
      (g) => g.top(g.read(info('w')), 0.25),
      (g) => g.top(g.read(info('w')), 0.25, undefined, 'all'),
      (g) => g.top(g.read(info('w')), 0.25, undefined, 'none'),
      (g) => g.top(g.read(info('w', 'b')), 0.5),
      (g) => g.compare('greater', g.read(info('w')), g.quantile(g.read(info('w')), 0.5)),
      (g) => g.compare('greater', g.read(info('w')), g.quantile(g.read(info('w')), 0.25)),
    ],
    totals: [
      (g) => g.fill(g.sum(g.read(info('w')))),
      (g) => g.fill(g.least(g.read(info('w')))),
      (g) => g.fill(g.greatest(g.read(info('w')))),
      (g) => g.fill(g.dot(g.read(info('w')), g.read(info('w', 'b')))),
    ],
    products: [
      {},
      { rank: 2 },
      { columns: 8 },
      { firstRow: 1 },
      { up: wholeOf(info('u', 'c')) },
      { up: sliceOf(wholeOf(info('u')), 0, 0, 4) },
      { down: wholeOf(info('d', 'c')) },
      { mid: wholeOf(info('m', 'b')) },
    ].map(
      (more): Made =>
        (g) =>
          g.product({
            up: wholeOf(info('u')),
            down: wholeOf(info('d', 'a', 'F32', 32)),
            mid: undefined,
            rank: 1,
            columns: 4,
            firstRow: 0,
            ...more,
          }),
    ),
  }
  test.each(Object.entries(VARIANTS))('depends on %s', (_, variants) => {
    const found = variants.map((make) => print(make))
    expect(found).not.toContain(undefined)
    expect(new Set(found).size).toBe(variants.length)
  })

  test('depends on how the elements are written, and how many there are', () => {
    const found = [{}, { dtype: 'F16' }, { dtype: 'BF16' }, { allowNonFinite: true }, { elements: 9 }].map((encoding) =>
      print((g) => g.constant(true), encoding as Partial<Encoding>),
    )
    expect(new Set(found).size).toBe(5)
  })
})

describe('the fingerprint of a measure over several tensors', () => {
  const NAMES = ['u', 'v', 'w']
  const group = (
    g: Graph,
    over: string,
    names: readonly string[] = NAMES,
    from: (name: string) => string = () => 'a',
    density = 0.5,
  ): readonly Measure[] =>
    names.map(
      (name) =>
        g.top(g.abs(g.read(info(name, from(name), 'F32', 32 * NAMES.indexOf(name)))), density, {
          group: over,
        }) as Measure,
    )

  test('depends on every member, wherever it is used', () => {
    const used =
      (from: (name: string) => string, names?: readonly string[]): Made =>
      (g) =>
        group(g, 'x/top', names, from)[0] as Expression
    const one = print(used(() => 'a'))
    expect(print(used((name) => (name === 'w' ? 'b' : 'a')))).not.toBe(one)
    expect(print(used(() => 'a', ['u', 'v']))).not.toBe(one)
    expect(
      print(
        used(() => 'a'),
        {},
        (t) => (t.name === 'w' ? undefined : byFile(t)),
      ),
    ).toBeUndefined()
  })

  test('is one for the group, whatever its step is called and in whatever order its members came', () => {
    const of = (over: string, names: readonly string[], which: number) =>
      printMeasure((g) => group(g, over, names)[which])
    const found = [
      of('x/top', NAMES, 0),
      of('x/top', NAMES, 2),
      of('y$&/top', NAMES, 1),
      of('x/top', NAMES.toReversed(), 0),
    ]
    expect(new Set(found).size).toBe(1)
    expect(found[0]).toBeDefined()
  })

  test('depends on the names of its members, which decide between equal numbers', () => {
    const named = (name: string) =>
      printMeasure(
        (g) => [g.top(g.read(info('v')), 0.5, { group: 'x' }), g.top(g.read(info(name, 'b')), 0.5, { group: 'x' })][0],
      )
    expect(named('a')).not.toBe(named('w'))
  })

  test('does not mix groups of other steps, other densities and other kinds', () => {
    const alone = printMeasure((g) => group(g, 'x/top', ['u', 'v'])[0])
    expect(
      printMeasure((g) => {
        group(g, 'y/top', ['w'])
        group(g, 'x/top', ['w'], () => 'a', 0.25)
        g.quantile(g.read(info('w')), 0.5, { group: 'x/top' })
        return group(g, 'x/top', ['u', 'v'])[0]
      }),
    ).toBe(alone)
  })

  test('tells quantiles, sums and extremes of equal members apart', () => {
    const kinds = [
      (g: Graph) => g.quantile(g.read(info('w')), 0.5, { group: 'x' }),
      (g: Graph) => g.quantile(g.read(info('w')), 0.25, { group: 'x' }),
      (g: Graph) => g.top(g.read(info('w')), 0.5, { group: 'x' }),
      (g: Graph) => g.top(g.read(info('w')), 0.5, { group: 'x' }, 'all'),
      (g: Graph) => g.sum(g.read(info('w')), { group: 'x' }),
      (g: Graph) => g.least(g.read(info('w')), { group: 'x' }),
      (g: Graph) => g.greatest(g.read(info('w')), { group: 'x' }),
      (g: Graph) => g.dot(g.read(info('w')), g.read(info('w')), { group: 'x' }),
      (g: Graph) => g.sum(g.read(info('w'))),
    ]
    const found = kinds.map((make) => printMeasure(make))
    expect(found).not.toContain(undefined)
    expect(new Set(found).size).toBe(kinds.length)
  })
})

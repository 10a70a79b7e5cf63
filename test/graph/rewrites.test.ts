import { expect, test } from 'vitest'
import type { Mask, Operand, Scalar, Tensor } from '#src/graph/expression.js'
import { createGraph } from '#src/graph/graph.js'
import { interpret, type Data } from '#src/graph/interpret.js'
import { createAssembler } from '#src/graph/assemble.js'
import { feedsOf, runOnnx } from '../support/run-program.js'

/** Numbers that arithmetic is hard on: zeros, subnormals, neighbours, and numbers beyond which there is none. */
const HARD = [
  0,
  -0,
  1,
  -1,
  0.1,
  -0.3,
  1 / 3,
  2 ** -149,
  -(2 ** -149),
  2 ** -127,
  1e-30,
  -1e-30,
  16777217,
  -33554433,
  1e30,
  -1e30,
  3.4028234663852886e38,
  -3.4028234663852886e38,
]
const LITERALS = [...HARD, Infinity, -Infinity]
const COLUMNS: Readonly<Record<string, Float32Array>> = Object.fromEntries(
  ['x', 'y', 'z'].map((name, k) => [
    name,
    Float32Array.from(
      { length: 7 * HARD.length },
      (_, i) => HARD[(i * (2 * k + 1) + Math.floor(i / HARD.length) * k) % HARD.length]!,
    ),
  ]),
)
const N = 7 * HARD.length

const createDice = (seed: number) => {
  let state = seed
  return (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * n)
  }
}

type Binary = 'add' | 'sub' | 'mul' | 'div' | 'min' | 'max'
type Unary = 'neg' | 'abs' | 'sqrt' | 'sign'
type Order = 'greater' | 'greater-equal' | 'less' | 'less-equal' | 'equal'

/** An expression as somebody would write it down, before anything is made of it. */
type Tree =
  | { readonly type: 'column'; readonly name: string }
  | { readonly type: 'number' | 'fill'; readonly value: number }
  | { readonly type: 'binary'; readonly op: Binary; readonly x: Tree; readonly y: Tree }
  | { readonly type: 'unary'; readonly op: Unary; readonly x: Tree }
  | { readonly type: 'choose'; readonly mask: Condition; readonly x: Tree; readonly y: Tree }
type Condition =
  | { readonly type: 'order'; readonly op: Order; readonly x: Tree; readonly y: Tree }
  | { readonly type: 'logic'; readonly op: 'and' | 'or' | 'xor'; readonly x: Condition; readonly y: Condition }
  | { readonly type: 'not'; readonly x: Condition }
  | { readonly type: 'all'; readonly value: boolean }

const pick = <T>(list: readonly T[], dice: (n: number) => number): T => list[dice(list.length)]!
const grow = (depth: number, dice: (n: number) => number): Tree => {
  const kind = depth === 0 ? dice(3) : 3 + dice(7)
  if (kind === 0 || kind === 1) return { type: 'column', name: pick(['x', 'y', 'z'], dice) }
  if (kind === 2)
    return {
      type: dice(4) === 0 ? 'fill' : 'number',
      value: pick(dice(3) === 0 ? LITERALS : [0, -0, 1, -1, 0.1, 1e30, 1 / 3], dice),
    }
  if (kind === 3) return { type: 'unary', op: pick(['neg', 'abs', 'sqrt', 'sign'], dice), x: grow(depth - 1, dice) }
  if (kind < 7)
    return {
      type: 'binary',
      op: pick(['add', 'sub', 'mul', 'div', 'min', 'max'], dice),
      x: grow(dice(depth), dice),
      y: grow(depth - 1, dice),
    }
  return { type: 'choose', mask: growMask(depth - 1, dice), x: grow(dice(depth), dice), y: grow(dice(depth), dice) }
}
const growMask = (depth: number, dice: (n: number) => number): Condition => {
  const kind = depth === 0 ? 9 : dice(10)
  if (kind === 0) return { type: 'all', value: dice(2) === 0 }
  if (kind === 1) return { type: 'not', x: growMask(depth - 1, dice) }
  if (kind < 4)
    return {
      type: 'logic',
      op: pick(['and', 'or', 'xor'], dice),
      x: growMask(depth - 1, dice),
      y: growMask(depth - 1, dice),
    }
  return {
    type: 'order',
    op: pick(['greater', 'greater-equal', 'less', 'less-equal', 'equal'], dice),
    x: { type: 'column', name: pick(['x', 'y', 'z'], dice) },
    y: grow(Math.max(0, depth - 1), dice),
  }
}

type Round = (x: number) => number
/** Stands for a number of which nothing says which of several it is. */
const OPEN = 'open'
type Element = number | typeof OPEN
/** One number for all elements, in float64, or one each, rounded by every operation. */
type Meaning = { readonly uniform: number } | readonly Element[]

const BINARY: Readonly<Record<Binary, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: Math.min,
  max: Math.max,
}
const UNARY: Readonly<Record<Unary, (a: number) => number>> = {
  neg: (a) => -a,
  abs: Math.abs,
  sqrt: Math.sqrt,
  sign: Math.sign,
}
const ORDER: Readonly<Record<Order, (a: number, b: number) => boolean>> = {
  greater: (a, b) => a > b,
  'greater-equal': (a, b) => a >= b,
  less: (a, b) => a < b,
  'less-equal': (a, b) => a <= b,
  equal: (a, b) => a === b,
}

/** What a tree means, by its words alone. What is made of an open number is open. */
const mean = (tree: Tree, round: Round): Meaning => {
  const each = (value: Meaning, i: number): Element => ('uniform' in value ? round(value.uniform) : value[i]!)
  const elements = (make: (i: number) => Element): readonly Element[] => Array.from({ length: N }, (_, i) => make(i))
  switch (tree.type) {
    case 'column':
      return [...COLUMNS[tree.name]!]
    case 'number':
    case 'fill':
      return { uniform: tree.value }
    case 'unary': {
      const x = mean(tree.x, round)
      if ('uniform' in x) return { uniform: UNARY[tree.op](x.uniform) }
      return elements((i) => {
        const a = each(x, i)
        // No sign is promised of a number that is none.
        return a === OPEN || (tree.op === 'sign' && Number.isNaN(a)) ? OPEN : round(UNARY[tree.op](a))
      })
    }
    case 'binary': {
      const [x, y] = [mean(tree.x, round), mean(tree.y, round)]
      if ('uniform' in x && 'uniform' in y) return { uniform: BINARY[tree.op](x.uniform, y.uniform) }
      // The number 0 absorbs, so that what is multiplied with it need not be read.
      if (tree.op === 'mul' && [x, y].some((v) => 'uniform' in v && v.uniform === 0)) return { uniform: 0 }
      return elements((i) => {
        const [a, b] = [each(x, i), each(y, i)]
        if (a === OPEN || b === OPEN) return OPEN
        // Zeros may have either sign, and of a number and none either may be the smaller.
        if (
          (tree.op === 'div' && b === 0) ||
          ((tree.op === 'min' || tree.op === 'max') && (Number.isNaN(a) || Number.isNaN(b)))
        )
          return OPEN
        return round(BINARY[tree.op](a, b))
      })
    }
    case 'choose': {
      const [mask, x, y] = [meanMask(tree.mask, round), mean(tree.x, round), mean(tree.y, round)]
      if (typeof mask === 'boolean') return mask ? x : y
      const zero = 'uniform' in y && round(y.uniform) === 0 && !('uniform' in x)
      return elements((i) => {
        const [is, a, b] = [mask[i]!, each(x, i), each(y, i)]
        if (is === OPEN || (zero && (a === OPEN || (!is && !Number.isFinite(a))))) return OPEN
        return is ? a : b
      })
    }
  }
}
const meanMask = (condition: Condition, round: Round): boolean | readonly (boolean | typeof OPEN)[] => {
  switch (condition.type) {
    case 'all':
      return condition.value
    case 'not': {
      const x = meanMask(condition.x, round)
      return typeof x === 'boolean' ? !x : x.map((is) => (is === OPEN ? OPEN : !is))
    }
    case 'logic': {
      const [x, y] = [meanMask(condition.x, round), meanMask(condition.y, round)]
      const join = (a: boolean, b: boolean): boolean =>
        condition.op === 'and' ? a && b : condition.op === 'or' ? a || b : a !== b
      if (typeof x === 'boolean' && typeof y === 'boolean') return join(x, y)
      return Array.from({ length: N }, (_, i) => {
        const [a, b] = [typeof x === 'boolean' ? x : x[i]!, typeof y === 'boolean' ? y : y[i]!]
        return a === OPEN || b === OPEN ? OPEN : join(a, b)
      })
    }
    case 'order': {
      const [x, y] = [mean(condition.x, round), mean(condition.y, round)]
      return Array.from({ length: N }, (_, i) => {
        const [a, b] = [x, y].map((v) => ('uniform' in v ? round(v.uniform) : v[i]!)) as [Element, Element]
        return a === OPEN || b === OPEN ? OPEN : ORDER[condition.op](a, b)
      })
    }
  }
}

const graph = createGraph()
const stored = (name: string) => ({ name, dtype: 'F32' as const, shape: [N], file: 'f', begin: 0, end: 4 * N })
const build = (tree: Tree): Operand => {
  switch (tree.type) {
    case 'column':
      return graph.read(stored(tree.name))
    case 'number':
      return graph.number(tree.value)
    case 'fill':
      return graph.fill(tree.value)
    case 'unary':
      return graph[tree.op](build(tree.x))
    case 'binary':
      return graph[tree.op](build(tree.x), build(tree.y))
    case 'choose':
      return graph.choose(buildMask(tree.mask), build(tree.x), build(tree.y))
  }
}
const buildMask = (condition: Condition): Mask => {
  switch (condition.type) {
    case 'all':
      return graph.constant(condition.value)
    case 'not':
      return graph.not(buildMask(condition.x))
    case 'logic':
      return graph[condition.op](buildMask(condition.x), buildMask(condition.y))
    case 'order':
      return graph.compare(condition.op, build(condition.x), build(condition.y))
  }
}
const toTensor = (x: Operand): Tensor =>
  typeof x !== 'number' && x.kind === 'tensor' ? x : graph.fill(x as Scalar | number)

const data: Data = {
  read: ({ name }) => Float64Array.from(COLUMNS[name]!),
  bernoulli: () => new Uint8Array(),
  normal: () => new Float64Array(),
  uniform: () => new Float64Array(),
}

const assemble = createAssembler()
/** What ONNX Runtime computes of some trees, in one program. */
const run = async (roots: readonly Tensor[]): Promise<readonly Float32Array[]> => {
  const assembly = assemble(roots.map((value) => ({ value, dtype: 'F32' })))
  const left = await runOnnx(assembly.program, feedsOf(assembly, COLUMNS, N), N)
  return left.map((bytes) => new Float32Array(bytes.slice().buffer))
}

/** Numbers as they are compared: zeros without their sign, and one NaN for all. */
const plain = (x: number): number => (Number.isNaN(x) ? NaN : x === 0 ? 0 : x)
const differences = (tree: Tree, found: ArrayLike<number>, round: Round): readonly string[] => {
  const meant = mean(tree, round)
  return Array.from({ length: N }, (_, i) => ('uniform' in meant ? round(meant.uniform) : meant[i]!)).flatMap((x, i) =>
    x === OPEN || Object.is(plain(x), plain(found[i]!))
      ? []
      : [`${JSON.stringify(tree)} at ${i}: ${x} became ${found[i]}`],
  )
}

const PER_PROGRAM = 50
test.each(
  Array.from({ length: 14 }, (_, i) => [`trees ${i * PER_PROGRAM} to ${(i + 1) * PER_PROGRAM - 1}`, i] as const),
)('an expression means what it says, however it is rewritten: %s', async (_what, seed) => {
  const dice = createDice(seed + 1)
  const trees = Array.from({ length: PER_PROGRAM }, () => grow(1 + dice(4), dice))
  const roots = trees.map((tree) => toTensor(build(tree)))
  const computed = await run(roots)
  expect(trees.flatMap((tree, i) => differences(tree, computed[i]!, Math.fround))).toEqual([])
  const judged = interpret(roots, N, data)
  expect(trees.flatMap((tree, i) => differences(tree, judged[i] as Float64Array, (x) => x))).toEqual([])
})

test('a choice between any two numbers gives these numbers', async () => {
  const mask = graph.compare('less', graph.read(stored('x')), graph.read(stored('y')))
  const chosen = [...COLUMNS['x']!].map((x, i) => x < COLUMNS['y']![i]!)
  const pairs = LITERALS.flatMap((a) => LITERALS.map((b) => [a, b] as const))
  const roots = pairs.map(([a, b]) => graph.choose(mask, a, b))
  const computed = await run(roots)
  const judged = interpret(roots, N, data)
  expect(new Set(chosen).size).toBe(2)
  for (const [i, [a, b]] of pairs.entries()) {
    expect([...computed[i]!].map(plain)).toEqual(chosen.map((is) => plain(Math.fround(is ? a : b))))
    expect([...(judged[i] as Float64Array)]).toEqual(chosen.map((is) => (is ? a : b)))
  }
})

test('arithmetic stands for a choice where it gives the same numbers, and only there', () => {
  const mask = graph.compare('less', graph.read(stored('x')), graph.read(stored('y')))
  const ops = (yes: Operand, no: Operand): string =>
    assemble([{ value: graph.choose(mask, yes, no), dtype: 'F32' }])
      .program.instructions.map((i) => i.op)
      .filter((op) => op !== 'Less')
      .join(' ')
  expect([ops(1, 0), ops(1, -1), ops(0.5, 0.25), ops(graph.read(stored('z')), 0), ops(3, 0)]).toEqual([
    'Cast',
    'Cast Mul Add',
    'Cast Mul Add',
    'Cast Mul',
    'Cast Mul',
  ])
  expect([ops(1, 1e30), ops(0.1, 1e8), ops(Infinity, 0), ops(3e38, -3e38), ops(graph.read(stored('z')), 1)]).toEqual([
    'Where',
    'Where',
    'Where',
    'Where',
    'Where',
  ])
})

test('little is left open', () => {
  const dice = createDice(99)
  const elements = Array.from({ length: 200 }, () => mean(grow(1 + dice(4), dice), Math.fround)).flatMap((meant) =>
    'uniform' in meant ? [] : meant,
  )
  expect(elements.filter((x) => x === OPEN).length / elements.length).toBeLessThan(0.25)
})

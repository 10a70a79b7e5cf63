import { describe, expect, test } from 'vitest'
import { createGraph } from '#src/graph/graph.js'
import { isDecodedByHost, isEncodedByHost, kernelsOf, lowerFor, type Provider } from '#src/graph/lower.js'
import { encodeOnnx } from '#src/graph/onnx.js'
import { createAssembler, type ScalarInput, type ProgramOutput } from '#src/graph/assemble.js'
import { namedNumber, ZERO, type Program } from '#src/graph/program.js'
import { decodingTables } from '#src/kernels/convert.js'
import { operators } from '#src/operators/index.js'
import { prepare } from '#src/run/prepare.js'
import { PORT_TYPES } from '#src/run/port-types.js'
import { createSession, feed } from '#src/run/sessions.js'
import type { Dtype } from '#src/tensor/dtype.js'
import { readCases } from '../golden/case.js'
import { mapCase } from '../golden/cases.js'
import { makeRandom } from '../safetensors/files.js'
import { inFolder } from '../support/build-run.js'
import { exampleRun } from '../support/examples.js'
import { runOf, type PlainTensor, type RecipeRun } from '../support/recipe-run.js'
import { writeRun } from '../support/write-run.js'

const info = (name: string, dtype: Dtype) => ({ name, dtype, shape: [4], file: 'f', begin: 0, end: 0 })
const graph = createGraph()
const [x, y] = [graph.read(info('x', 'F32')), graph.read(info('y', 'F32'))]
const [m, o] = [graph.readMask(info('m', 'BOOL')), graph.readMask(info('o', 'BOOL'))]
const programOf = (...wanted: readonly ProgramOutput[]): Program => createAssembler()(wanted).program
const reading = (dtype: Dtype): Program =>
  programOf({ value: graph.add(graph.read(info(`z ${dtype}`, dtype)), x), dtype: 'F32' })
const writing = (dtype: Dtype): Program => programOf({ value: graph.add(x, y), dtype })
const asMask = (dtype: Dtype): Program =>
  programOf({ value: graph.choose(graph.readMask(info(`z ${dtype}`, dtype)), x, y), dtype: 'F32' })
const kernels = (provider: Provider, program: Program, besides: readonly string[]): string =>
  kernelsOf(lowerFor(provider, program))
    .filter((k) => !besides.includes(k))
    .join('; ')

describe('stored numbers are read by', () => {
  test.each<[Provider, Dtype, string, string]>([
    ['cpu', 'F16', 'f16', 'Cast f16>f32'],
    ['cpu', 'BF16', 'u16', 'BitCast u16>bf16; Cast bf16>f32'],
    ['cpu', 'F8_E4M3', 'u8', 'Cast u8>i32; Gather f32,i32'],
    ['cpu', 'F64', 'f64', 'Cast f64>f32'],
    ['cuda', 'F16', 'f16', 'Cast f16>f32'],
    ['cuda', 'BF16', 'u16', 'Cast u16>i32; Gather f32,i32'],
    ['cuda', 'F8_E5M2', 'u8', 'Cast u8>i32; Gather f32,i32'],
    ['cuda', 'I64', 'i64', 'Cast i64>f32'],
    ['webgpu', 'F16', 'f16', 'Cast f16>f32'],
    ['webgpu', 'I32', 'i32', 'Cast i32>f32'],
    ['webgpu', 'BF16', 'f32', 'Identity f32'],
    ['webgpu', 'F8_E4M3', 'f32', 'Identity f32'],
    ['webgpu', 'F64', 'f32', 'Identity f32'],
    ['webgpu', 'I64', 'f32', 'Identity f32'],
  ])('%s: %s as %s, with %s', (provider, dtype, port, expected) => {
    const lowered = lowerFor(provider, reading(dtype))
    expect(lowered.inputs.map((p) => p.type)).toEqual([port, 'f32'])
    expect(kernels(provider, reading(dtype), ['Add f32,f32'])).toBe(expected)
    expect(isDecodedByHost(provider, dtype)).toBe(expected === 'Identity f32')
  })

  test('no provider is a float32 decoded for', () => {
    expect(
      (['cpu', 'cuda', 'webgpu'] as const).filter(
        (p) => isDecodedByHost(p, 'F32') || isEncodedByHost(p, 'F32') || isEncodedByHost(p, 'BOOL'),
      ),
    ).toEqual([])
  })

  test.each<[Provider, Dtype, string, string]>([
    ['cpu', 'I64', 'i64', 'Cast i64>bool'],
    ['cpu', 'BF16', 'u16', 'BitCast u16>bf16; Cast bf16>f32; Cast f32>bool'],
    ['cuda', 'BOOL', 'u8', 'Cast u8>bool; Add f32,f32'],
    ['cuda', 'BF16', 'u16', 'Cast u16>i32; Gather f32,i32; Cast f32>bool; Add f32,f32'],
    ['webgpu', 'U8', 'u8', 'Cast u8>bool; Add f32,f32'],
    ['webgpu', 'I64', 'f32', 'Identity f32; Cast f32>bool; Add f32,f32'],
  ])('%s: a mask of %s as %s, with %s', (provider, dtype, port, expected) => {
    expect(lowerFor(provider, asMask(dtype)).inputs[0]!.type).toBe(port)
    expect(kernels(provider, asMask(dtype), ['Where bool,f32,f32'])).toBe(expected)
  })
})

describe('stored numbers are written by', () => {
  test.each<[Provider, Dtype, string, string]>([
    ['cpu', 'F16', 'f16', 'Cast f32>f16'],
    ['cpu', 'BF16', 'u16', 'Cast f32>bf16; BitCast bf16>u16'],
    ['cpu', 'F8_E4M3', 'f32', 'Identity f32'],
    ['cpu', 'F64', 'f64', 'Cast f32>f64'],
    ['cuda', 'F16', 'f16', 'Cast f32>f16'],
    ['cuda', 'BF16', 'f32', 'Identity f32'],
    ['cuda', 'F8_E5M2', 'f32', 'Identity f32'],
    ['cuda', 'F64', 'f64', 'Cast f32>f64'],
    ['webgpu', 'F16', 'f16', 'Cast f32>f16'],
    ['webgpu', 'BF16', 'f32', 'Identity f32'],
    ['webgpu', 'F64', 'f32', 'Identity f32'],
  ])('%s: %s leaves as %s, with %s', (provider, dtype, port, expected) => {
    expect(lowerFor(provider, writing(dtype)).outputs.map((p) => p.type)).toEqual([port])
    expect(kernels(provider, writing(dtype), ['Add f32,f32'])).toBe(expected)
    expect(isEncodedByHost(provider, dtype)).toBe(expected === 'Identity f32')
  })
})

test('WebGPU chooses where it cannot combine masks, and hands out a mask twice', () => {
  const webgpu = (value: typeof m): string => kernels('webgpu', programOf({ value, dtype: 'BOOL' }), ['Cast u8>bool'])
  expect(webgpu(graph.or(m, o))).toBe('Where bool,bool,bool')
  expect(webgpu(graph.xor(m, o))).toBe('Not bool; Where bool,bool,bool')
  expect(webgpu(graph.and(m, o))).toBe('And bool,bool')
  const twice = programOf({ value: graph.and(m, o), dtype: 'BOOL' }, { value: graph.and(m, o), dtype: 'BOOL' })
  expect([kernels('webgpu', twice, []), kernels('cuda', twice, [])]).toEqual([
    'Cast u8>bool; And bool,bool; Where bool,bool,bool',
    'Cast u8>bool; And bool,bool; Identity bool',
  ])
})

type Columns = Readonly<Record<string, Float32Array>>
/** What a processor takes of two zeros of different signs; nothing says which. */
type Tie = (a: number, b: number) => number
const TIES: Readonly<Record<string, Tie>> = {
  'the first': (a) => a,
  'the second': (_, b) => b,
  'the positive': () => 0,
  'the negative': () => -0,
}

const or = (ok: boolean): number => (ok ? 1 : 0)
const TWO: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Greater: (a, b) => or(a > b),
  GreaterOrEqual: (a, b) => or(a >= b),
  Less: (a, b) => or(a < b),
  LessOrEqual: (a, b) => or(a <= b),
  Equal: (a, b) => or(a === b),
  And: (a, b) => a * b,
  Or: Math.max,
  Xor: (a, b) => or(a !== b),
}
const ONE: Readonly<Record<string, (a: number) => number>> = {
  Neg: (a) => -a,
  Abs: Math.abs,
  Sqrt: Math.sqrt,
  Not: (a) => 1 - a,
  Identity: (a) => a,
  Expand: (a) => a,
}

/** A device that chooses by copying, and among zeros in its own way: programs of float32 and masks only. */
const interpret = (
  { inputs, outputs, instructions }: Program,
  feeds: Columns,
  n: number,
  tie: Tie,
): readonly Float32Array[] => {
  const columns = new Map<string, Float32Array>([
    [ZERO, Float32Array.of(0)],
    ...inputs.map((p) => [p.name, feeds[p.name]!] as const),
  ])
  const at = (name: string, i: number): number => {
    const column = columns.get(name)
    return column === undefined ? namedNumber(name)! : column[column.length === 1 ? 0 : i]!
  }
  for (const {
    op,
    inputs: [a, b, c],
    output,
    to,
  } of instructions) {
    const element = (i: number): number => {
      const one = at(a!, i)
      if (op === 'Cast') return to === 'bool' ? or(one !== 0) : one
      if (op === 'Where') return one !== 0 ? at(b!, i) : at(c!, i)
      if (op === 'Min' || op === 'Max')
        return one === 0 && at(b!, i) === 0
          ? tie(one, at(b!, i))
          : op === 'Min'
            ? Math.min(one, at(b!, i))
            : Math.max(one, at(b!, i))
      const apply = ONE[op]
      if (apply !== undefined) return apply(one)
      return (
        TWO[op] ??
        (() => {
          throw new Error(`no ${op} here`)
        })
      )(one, at(b!, i))
    }
    columns.set(
      output,
      Float32Array.from({ length: n }, (_, i) => element(i)),
    )
  }
  return outputs.map((p) => columns.get(p.name)!)
}

/** More than two vectors of a processor and a rest, where it may do otherwise. */
const N = 59
const TELLING = [0, -0, 1, -1, 0.5, -0.5, 2 ** -140, -(2 ** -140), 3, -3, 1e-8, Infinity, -Infinity, NaN]

/** A program, and the numbers that it takes once a chunk; what only a sweep finds out is not negative. */
interface Planned {
  readonly program: Program
  readonly uniforms: readonly ScalarInput[]
}

/** Numbers for a program's inputs, zeros of both signs more than others. */
const makeFeeds = ({ program: { inputs }, uniforms }: Planned, seed: number): Columns => {
  const random = makeRandom(seed)
  const pick = (): number =>
    random() < 0.4 ? (random() < 0.5 ? 0 : -0) : TELLING[Math.floor(random() * TELLING.length)]!
  const scalars = inputs.filter((p) => p.rank === 0).map((p) => p.name)
  return Object.fromEntries(
    inputs.map(({ name, type }) => {
      const uniform = uniforms[scalars.indexOf(name)]
      if (uniform !== undefined)
        return [name, Float32Array.of(uniform.type === 'literal' ? uniform.value : 0.25 + random())]
      return [
        name,
        name === 'n'
          ? Float32Array.of(N)
          : Float32Array.from({ length: N }, () => (type === 'f32' ? pick() : or(random() < 0.5))),
      ]
    }),
  )
}

const onProcessor = async (program: Program, feeds: Columns): Promise<readonly Float32Array[]> => {
  const session = await createSession(encodeOnnx(program, decodingTables()))
  const results = program.outputs.map((p) => feed(p, p.type === 'bool' ? new Uint8Array(N) : new Float32Array(N)))
  const numbersOf = (type: keyof typeof PORT_TYPES, column: Float32Array) =>
    type === 'f32' ? column : type === 'i64' ? BigInt64Array.from(column, BigInt) : Uint8Array.from(column)
  await session.run(
    Object.fromEntries(program.inputs.map((p) => [p.name, feed(p, numbersOf(p.type, feeds[p.name]!))])),
    Object.fromEntries(program.outputs.map((p, i) => [p.name, results[i]!])),
  )
  await session.release()
  return results.map((r) => Float32Array.from(r.data as Float32Array))
}

/** Numbers as they can be compared: zeros have signs, and all NaNs are one. */
const shown = (columns: readonly Float32Array[]): string =>
  columns.map((c) => [...c].map((v) => (Object.is(v, -0) ? '-0' : String(v))).join()).join(' ')
const isCompared = ({ instructions }: Program, name: string): boolean =>
  instructions.some((i) => i.op === 'GreaterOrEqual' && i.inputs[0] === name)
const isPlain = ({ inputs, outputs }: Program): boolean =>
  [...inputs, ...outputs].every((p) => ['f32', 'bool', 'u8', 'i64'].includes(p.type))

const planned = (run: RecipeRun): Promise<readonly Planned[]> =>
  inFolder(async (folder) => {
    const prepared = await prepare(writeRun(folder, run))
    return prepared.type === 'ok' ? prepared.value.plan.jobs.flatMap((job) => job.sweeps?.passes ?? []) : []
  })
const some: PlainTensor = { dtype: 'f32', shape: [2, 2], values: [1, 2, 3, 4] }
const ties = (more: object): RecipeRun =>
  runOf(
    { base: { w: some }, a: { w: some }, b: { w: some } },
    {
      result: {
        op: 'merge.ties',
        base: 'base',
        models: [
          { model: 'a', density: 0.5 },
          { model: 'b', density: 0.5 },
        ],
        ...more,
      },
    },
    {},
  )

describe('zeros have the sign that the processor gives them', () => {
  test('of what is chosen, -0 becomes 0 as it does on the processor; without a sum a device would keep it', async () => {
    const program = programOf({ value: graph.choose(m, x, y), dtype: 'F32' })
    const feeds = makeFeeds({ program, uniforms: [] }, 5)
    const expected = shown(await onProcessor(lowerFor('cpu', program), feeds))
    for (const provider of ['cuda', 'webgpu'] as const)
      expect(shown(interpret(lowerFor(provider, program), feeds, N, TIES['the first']!))).toBe(expected)
    expect(shown(interpret(lowerFor('cpu', program), feeds, N, TIES['the first']!))).not.toBe(expected)
    // Where the mask is false the processor keeps the sign, and so has everyone to.
    expect(expected).toContain('-0')
  })

  test.each([{ normalize: true }, { normalize: false }])(
    'an elected sign with %o leaves nothing to which of two zeros is the greater',
    async (more) => {
      const passes = (await planned(ties(more))).filter((p) => p.program.instructions.some((i) => i.op === 'Max'))
      expect(passes.length).toBeGreaterThan(0)
      for (const pass of passes) {
        const feeds = makeFeeds(pass, 6)
        const expected = shown(await onProcessor(lowerFor('cpu', pass.program), feeds))
        const outcomes = (program: Program): readonly string[] =>
          Object.values(TIES).map((tie) => shown(interpret(lowerFor('cuda', program), feeds, N, tie)))
        expect(outcomes(pass.program)).toEqual(Object.keys(TIES).map(() => expected))
        // What takes the sign away is the magnitude; without it, which zero is taken shows.
        const bare = {
          ...pass.program,
          instructions: pass.program.instructions.map((i) =>
            i.op === 'Abs' && !isCompared(pass.program, i.output) ? { ...i, op: 'Identity' } : i,
          ),
        }
        expect(new Set(outcomes(bare)).size).toBeGreaterThan(1)
      }
    },
  )

  test('a device may take any of two zeros and copy what it chooses: every example and every kind of reference case comes out as on the processor', async () => {
    const examples = operators
      .filter((op) => op.output !== 'report')
      .flatMap((op) => op.examples.map((example) => exampleRun(op, example)))
    // Cases that differ in numbers alone have the same programs.
    const kinds = new Map(
      readCases().map(
        (c) =>
          [
            `${c.op} ${JSON.stringify(c.params, (_, value: unknown) => (typeof value === 'number' ? 0 : value))}`,
            c,
          ] as const,
      ),
    )
    const cases = [...kinds.values()].map(mapCase).filter((run) => typeof run !== 'string')
    const passes = new Map(
      (await Promise.all([...examples, ...cases].map(planned)))
        .flat()
        .filter((p) => isPlain(p.program))
        .map((p) => [p.program.key, p] as const),
    )
    expect(passes.size).toBeGreaterThan(60)
    for (const [key, pass] of passes) {
      const feeds = makeFeeds(pass, key.length)
      const expected = shown(await onProcessor(lowerFor('cpu', pass.program), feeds))
      for (const provider of ['cuda', 'webgpu'] as const) {
        for (const [name, tie] of Object.entries(TIES))
          expect([name, shown(interpret(lowerFor(provider, pass.program), feeds, N, tie))], key).toEqual([
            name,
            expected,
          ])
      }
    }
  })
})

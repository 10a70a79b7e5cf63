import { expect } from 'vitest'
import { createGraph } from '#src/graph/graph.js'
import { createAssembler } from '#src/graph/assemble.js'
import { type Port, type Program } from '#src/graph/program.js'
import type { Mask, Tensor } from '#src/graph/expression.js'
import { PORT_TYPES, type Numbers } from '#src/run/port-types.js'
import type { Dtype } from '#src/tensor/dtype.js'
import { makeRandom } from '../safetensors/files.js'
import { runCompiled, runOnnx, runPlainly, type Feeds } from './run-program.js'

type Random = () => number

const TELLING = [0, -0, 1, -1, 0.5, -0.5, 2 ** -24, -(2 ** -25), 6e-5, 65504, 65520, 448, 3, -3, 1e-8, 2 ** -140]
/** Numbers at which rounding and comparing go wrong first. */
export const SPECIAL = [...TELLING, Infinity, -Infinity, NaN, 3.4e38, -1e30]

/** Numbers of a port: as float32 some that tell, as codes any there are. */
const numbersFor = ({ type, rank }: Port, n: number, random: Random, telling: readonly number[]): Numbers => {
  const count = rank === 0 ? 1 : n
  const numbers = new PORT_TYPES[type].array(new ArrayBuffer(8 * count), 0, count)
  const pick = (): number => (random() < 0.6 ? (random() - 0.5) / 8 : telling[Math.floor(random() * telling.length)]!)
  for (let i = 0; i < count; i++) {
    if (type === 'bool') numbers[i] = random() < 0.5 ? 1 : 0
    else if (type === 'f32' || type === 'f64') numbers[i] = pick() * (type === 'f64' && random() < 0.1 ? 1e-300 : 1)
    else if (type === 'i64' || type === 'u64')
      numbers[i] = random() < 0.3 ? 0n : BigInt(Math.floor(random() * 2 ** 53)) * (random() < 0.5 ? 1n : 511n)
    else numbers[i] = random() < 0.2 ? 0 : Math.floor(random() * 2 ** 32)
  }
  return numbers
}

/** The inputs `u` of `x = (x == u) ? u : x`: a literal 0, which settles the zero that a device may take with either sign. */
const settlingZeros = ({ instructions }: Program): ReadonlySet<string> => {
  const equals = new Map(instructions.flatMap(({ op, output, inputs }) => (op === 'Equal' ? [[output, inputs]] : [])))
  return new Set(
    instructions.flatMap(({ op, inputs: [mask, yes, no] }) => {
      const compared = op === 'Where' ? equals.get(mask!) : undefined
      return compared?.includes(yes!) === true && compared.includes(no!) ? [yes!] : []
    }),
  )
}

const feedsFor = (program: Program, n: number, random: Random, telling: readonly number[] = SPECIAL): Feeds => {
  const zeros = settlingZeros(program)
  return Object.fromEntries(
    program.inputs.map((port) => [
      port.name,
      port.rank === 0 && zeros.has(port.name) ? Float32Array.of(0) : numbersFor(port, n, random, telling),
    ]),
  )
}

/** Has a program run in all three ways on random numbers. */
export const agree = async (
  program: Program,
  n: number,
  random: Random,
  telling?: readonly number[],
): Promise<void> => {
  const feeds = feedsFor(program, n, random, telling)
  const compiled = runCompiled(program, feeds, n)
  expect(compiled, `interpreted: ${program.key}`).toEqual(runPlainly(program, feeds, n))
  expect(compiled, `by ONNX Runtime: ${program.key}`).toEqual(await runOnnx(program, feeds, n))
}

const READ: readonly Dtype[] = ['F16', 'BF16', 'F32', 'F8_E4M3', 'F8_E5M2', 'F64', 'I32', 'U8']
const WRITTEN: readonly Dtype[] = ['F16', 'BF16', 'F32', 'F8_E4M3', 'F8_E5M2', 'F64']
const info = (name: string, dtype: Dtype) => ({ name, dtype, shape: [4], file: 'f', begin: 0, end: 0 })
const STREAM = { seed: 1, step: 's', tensor: 'x', draw: 0 }

/** A program of random expressions over a few inputs of random dtypes. */
const anyProgram = (random: Random): Program => {
  const graph = createGraph()
  const among = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
  const inputs = Array.from({ length: 1 + Math.floor(random() * 3) }, (_, i) => info(`x${i}`, among(READ)))
  const masks = [info('m', among(READ)), info('o', 'BOOL')]
  const tensor = (depth: number): Tensor => {
    const below = (): Tensor => tensor(depth - 1)
    if (depth === 0)
      return random() < 0.8 ? graph.read(among(inputs)) : random() < 0.5 ? graph.fill(random()) : graph.normal(STREAM)
    switch (Math.floor(random() * 10)) {
      case 0:
        return graph.choose(mask(depth - 1), below(), below())
      case 1:
        return graph.choose(mask(depth - 1), below(), 0)
      case 2:
        return graph.choose(mask(depth - 1), random(), random())
      case 3:
        return among([graph.neg, graph.abs, graph.sqrt, graph.sign])(below())
      case 4:
        return graph.mul(below(), graph.norm(graph.read(inputs[0]!)))
      case 5:
        // Which of two zeros ONNX Runtime takes depends on where they lie in a chunk: no operator asks for its sign.
        return graph.abs(among([graph.min, graph.max])(below(), random() < 0.5 ? below() : random() - 0.5))
      default:
        return among([graph.add, graph.sub, graph.mul, graph.div])(below(), random() < 0.7 ? below() : random() - 0.5)
    }
  }
  const mask = (depth: number): Mask => {
    if (depth === 0) return random() < 0.7 ? graph.readMask(among(masks)) : graph.bernoulli(0.5, STREAM)
    if (random() < 0.4)
      return graph.compare(
        among(['greater', 'greater-equal', 'less', 'less-equal', 'equal']),
        tensor(depth - 1),
        random() < 0.5 ? tensor(depth - 1) : random() - 0.5,
      )
    if (random() < 0.2) return graph.top(tensor(depth - 1), 0.5)
    return random() < 0.2
      ? graph.not(mask(depth - 1))
      : among([graph.and, graph.or, graph.xor])(mask(depth - 1), mask(depth - 1))
  }
  const outputs = Array.from({ length: 1 + Math.floor(random() * 2) }, () =>
    random() < 0.8
      ? { value: tensor(Math.floor(random() * 5)), dtype: among(WRITTEN) }
      : { value: mask(Math.floor(random() * 3)), dtype: 'BOOL' as const },
  )
  return createAssembler()(outputs).program
}

const LENGTHS = [0, 1, 3, 4, 5, 63, 64, 65]

/** Has random programs run in all three ways, those from seed `first` on. */
export const agreeOnMany = async (first: number, count: number): Promise<void> => {
  for (let seed = first; seed < first + count; seed++) {
    const random = makeRandom(seed)
    await agree(anyProgram(random), LENGTHS[Math.floor(random() * LENGTHS.length)]!, random)
  }
}

import type { Assembly } from '#src/graph/assemble.js'
import type { Scalar } from '#src/graph/expression.js'
import { lowerFor } from '#src/graph/lower.js'
import { encodeOnnx } from '#src/graph/onnx.js'
import { STORED, ZERO, type Port, type Program } from '#src/graph/program.js'
import { createEvaluator } from '#src/graph/scalar.js'
import { encodeWasm, fedPorts, TURN } from '#src/graph/wasm-program.js'
import { decode, decodingTables, encode, type SmallFloat } from '#src/kernels/convert.js'
import { createMemory } from '#src/kernels/memory.js'
import { createWasmMemory, instantiateIn } from '#src/kernels/wasm-module.js'
import { PORT_TYPES, type Numbers } from '#src/run/port-types.js'
import { createSession, feed } from '#src/run/sessions.js'
import type { Dtype } from '#src/tensor/dtype.js'

/** What is fed to a program, by port: stored numbers, or one number where the rank is 0. */
export type Feeds = Readonly<Record<string, Numbers>>
/** What leaves a program, as bytes in the order of its outputs, with one code for all NaN. */
export type Left = readonly Uint8Array[]

/** What is fed to an assembled program that measures and draws nothing: columns by the names of the tensors it reads. */
export const feedsOf = (
  { program, reads, draws, uniforms }: Assembly,
  columns: Readonly<Record<string, Float32Array>>,
  n: number,
): Feeds => {
  const { scalar } = createEvaluator({ number: () => NaN, blocks: () => new Float64Array() })
  const all: readonly Numbers[] = [
    ...reads.map((view) => columns[view.tensor.name]!),
    ...draws.map((d) => new Uint8Array(n).fill(d.type === 'constant' && d.value ? 1 : 0)),
    ...uniforms.map((u) => Float32Array.of(scalar(u as Scalar))),
  ]
  return Object.fromEntries(all.map((numbers, i) => [program.inputs[i]!.name, numbers]))
}

const emptyOf = ({ type }: Port, n: number): Numbers => new PORT_TYPES[type].array(new ArrayBuffer(8 * n), 0, n)
const bytesOf = (numbers: Numbers): Uint8Array =>
  new Uint8Array(numbers.buffer as ArrayBuffer, numbers.byteOffset, numbers.byteLength)

const dtypeOf = ({ instructions }: Program, { name, type }: Port): Dtype =>
  instructions.find((i) => i.output === name && i.op === 'Encode')?.dtype ?? (type === 'bool' ? 'BOOL' : 'F32')
const isSmall = (dtype: Dtype): dtype is SmallFloat => ['F16', 'BF16', 'F8_E4M3', 'F8_E5M2'].includes(dtype)

/** The numbers of a port, all NaN with the same bits. */
const settled = (program: Program, port: Port, numbers: Numbers): Uint8Array => {
  const dtype = dtypeOf(program, port)
  if (isSmall(dtype))
    return bytesOf(
      encode(
        dtype,
        decode(dtype, numbers as Uint16Array).map((x) => (Number.isNaN(x) ? NaN : x)),
      ),
    )
  if (numbers instanceof Float32Array || numbers instanceof Float64Array)
    for (let i = 0; i < numbers.length; i++) if (Number.isNaN(numbers[i])) numbers[i] = NaN
  return bytesOf(numbers)
}

const numbersFrom = (dtype: Dtype, numbers: Numbers): Float32Array =>
  isSmall(dtype) ? decode(dtype, numbers as Uint16Array) : Float32Array.from(numbers as Float32Array, Number)

const or = (ok: boolean): number => (ok ? 1 : 0)
/** x, or the bound that it is beyond; NaN becomes the upper one. */
const between = (x: number, least: number, most: number): number => (x < most ? Math.max(x, least) : most)
const splittable = (x: number): number => between(x, 2 ** -126, 1)
/** Of a float32: √½ is none, so that no rounding decides. */
const exponentOf = (x: number): number => Math.floor(Math.log2(x) + 0.5)
const round = (x: number): number => Math.fround(Math.fround(x + 12582912) - 12582912)
const OPERATIONS: Readonly<Record<string, (...x: number[]) => number>> = {
  Add: (a, b) => a! + b!,
  Sub: (a, b) => a! - b!,
  Mul: (a, b) => a! * b!,
  Div: (a, b) => a! / b!,
  Min: (a, b) => Math.min(a!, b!),
  Max: (a, b) => Math.max(a!, b!),
  Neg: (a) => -a!,
  Abs: (a) => Math.abs(a!),
  Sqrt: (a) => Math.sqrt(a!),
  Round: (a) => round(a!),
  TwoTo: (a) => 2 ** round(between(a!, -126, 126)),
  Exponent: (a) => exponentOf(splittable(a!)),
  Mantissa: (a) => splittable(a!) / 2 ** exponentOf(splittable(a!)),
  Greater: (a, b) => or(a! > b!),
  GreaterOrEqual: (a, b) => or(a! >= b!),
  Less: (a, b) => or(a! < b!),
  LessOrEqual: (a, b) => or(a! <= b!),
  Equal: (a, b) => or(a === b),
  And: (a, b) => a! & b!,
  Or: (a, b) => a! | b!,
  Xor: (a, b) => a! ^ b!,
  Not: (a) => 1 - a!,
  // Of what is chosen first -0 becomes 0, as ONNX Runtime has it.
  Where: (mask, a, b) => (mask === 1 ? a! + 0 : b!),
  Identity: (a) => a!,
  Expand: (a) => a!,
  Encode: (a) => a!,
}

/** Runs a program one operation and one element after the other, each rounded to float32. */
export const runPlainly = (program: Program, feeds: Feeds, n: number): Left => {
  const columns = new Map<string, Float32Array>([[ZERO, Float32Array.of(0)]])
  for (const { name, type } of fedPorts(program))
    if (type === 'f32' || type === 'bool') columns.set(name, Float32Array.from(feeds[name] as Float32Array, Number))
  const at = (name: string, i: number): number => {
    const column = columns.get(name)!
    return column[column.length === 1 ? 0 : i]!
  }
  for (const { op, inputs, output, to, dtype } of program.instructions) {
    if (op === 'Decode') columns.set(output, numbersFrom(dtype!, feeds[inputs[0]!]!))
    else if (op === 'DecodeMask')
      columns.set(
        output,
        Float32Array.from(
          isSmall(dtype!)
            ? numbersFrom(dtype, feeds[inputs[0]!]!)
            : Array.from(feeds[inputs[0]!] as Float64Array, Number),
          (x) => or(x !== 0),
        ),
      )
    else if (op === 'Cast')
      columns.set(
        output,
        Float32Array.from({ length: n }, (_, i) => (to === 'bool' ? or(at(inputs[0]!, i) !== 0) : at(inputs[0]!, i))),
      )
    else
      columns.set(
        output,
        Float32Array.from({ length: n }, (_, i) =>
          OPERATIONS[op]!(...inputs.filter((name) => name !== 'n').map((name) => at(name, i))),
        ),
      )
  }
  return program.outputs.map((port) => {
    const [dtype, column] = [dtypeOf(program, port), Float32Array.from({ length: n }, (_, i) => at(port.name, i))]
    if (isSmall(dtype)) return settled(program, port, encode(dtype, column))
    const numbers = emptyOf(port, n)
    for (let i = 0; i < n; i++) numbers[i] = port.type === 'i64' ? BigInt(Math.trunc(column[i]!)) : column[i]!
    return settled(program, port, numbers)
  })
}

/** Runs a program in ONNX Runtime on the processor; what the host encodes there is encoded by the host here. */
export const runOnnx = async (program: Program, feeds: Feeds, n: number): Promise<Left> => {
  const lowered = lowerFor('cpu', program)
  const session = await createSession(encodeOnnx(lowered, decodingTables()))
  const results = lowered.outputs.map((port) => emptyOf(port, n))
  await session.run(
    Object.fromEntries(
      lowered.inputs.map((p) => [p.name, feed(p, p.name === 'n' ? BigInt64Array.of(BigInt(n)) : feeds[p.name]!)]),
    ),
    Object.fromEntries(lowered.outputs.map((p, i) => [p.name, feed(p, results[i]!)])),
  )
  await session.release()
  return program.outputs.map((port, i) => {
    const dtype = dtypeOf(program, port)
    if (lowered.outputs[i]!.type === port.type || !isSmall(dtype))
      return settled(
        program,
        port,
        lowered.outputs[i]!.type === port.type
          ? results[i]!
          : BigInt64Array.from(results[i] as Float32Array, (x) => BigInt(Math.trunc(x))),
      )
    return settled(program, port, encode(dtype, results[i] as Float32Array))
  })
}

/** Runs a program compiled for the processor. */
export const runCompiled = (program: Program, feeds: Feeds, n: number): Left => {
  const memory = createWasmMemory()
  const { alloc, view } = createMemory(memory, 0)
  const run = instantiateIn(memory, encodeWasm(program))
  const fed = fedPorts(program)
  const placed = fed.map((port) => (port.rank === 0 ? undefined : alloc(8 * (n + TURN))))
  const left = program.outputs.map(() => alloc(8 * (n + TURN)))
  const args = alloc(4 * (fed.length + left.length))
  fed.forEach((port, i) => {
    if (placed[i] === undefined) view(Float32Array, args + 4 * i, 1).set(feeds[port.name] as Float32Array)
    else {
      view(Uint32Array, args + 4 * i, 1)[0] = placed[i]
      ;(view(PORT_TYPES[port.type].array as never, placed[i], n) as Numbers as Float32Array).set(
        feeds[port.name] as Float32Array,
      )
    }
  })
  view(Uint32Array, args + 4 * fed.length, left.length).set(left)
  run(n, args)
  return program.outputs.map((port, i) =>
    settled(program, port, view(PORT_TYPES[port.type].array as never, left[i]!, n) as Numbers),
  )
}

/** True for the port types of a dtype, which hold numbers as they are stored. */
export const storedAs = (dtype: Dtype): Port['type'] => STORED[dtype]

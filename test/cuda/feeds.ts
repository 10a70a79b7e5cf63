import { PORT_TYPES } from '#src/run/port-types.js'
import { feed } from '#src/run/sessions.js'
import type { Port, Program } from '#src/graph/program.js'
import type { Tensor } from 'onnxruntime-node'

/** Numbers for a port, one for all where the port takes one; 0 unless `values` gives element i. */
const numbersFor = (port: Port, length: number, values?: (i: number) => number): Tensor => {
  const { array } = PORT_TYPES[port.type]
  if (port.name === 'n') return feed(port, BigInt64Array.of(BigInt(length)))
  const n = port.rank === 0 ? 1 : length
  const numbers = new array(new ArrayBuffer(n * array.BYTES_PER_ELEMENT), 0, n)
  if (values === undefined) return feed(port, numbers)
  const isBig = port.type === 'i64' || port.type === 'u64'
  for (let i = 0; i < n; i++)
    (numbers as { [i: number]: number | bigint })[i] = isBig ? BigInt(Math.trunc(values(i))) : values(i)
  return feed(port, numbers)
}

/** Feeds for every input of a program, chunks of `length` elements; 0 unless `values` gives element i of an input. */
export const feedsOf = (
  program: Program,
  length: number,
  values?: (input: number, i: number) => number,
): Record<string, Tensor> =>
  Object.fromEntries(
    program.inputs.map((port, input) => [port.name, numbersFor(port, length, values && ((i) => values(input, i)))]),
  )

/** Room for every output of a program, for chunks of `length` elements. */
export const resultsOf = (program: Program, length: number): Record<string, Tensor> =>
  Object.fromEntries(program.outputs.map((port) => [port.name, numbersFor(port, length)]))

/** Bytes of what a program takes and of what it gives, for chunks of `length` elements. */
export const bytesOf = (
  program: Program,
  length: number,
): { readonly inputs: readonly number[]; readonly outputs: readonly number[] } => {
  const bytes = (port: Port): number =>
    PORT_TYPES[port.type].array.BYTES_PER_ELEMENT * (port.rank === 0 || port.name === 'n' ? 1 : length)
  return { inputs: program.inputs.map(bytes), outputs: program.outputs.map(bytes) }
}

import { greatest } from '../base/lists.js'
import { VALUE_BYTES, type Port, type Program } from '../graph/program.js'

/**
 * What CUDA takes of a device for itself, once a process: its context and the provider's kernels. More than drivers
 * take on GPUs of the time of writing.
 */
const CONTEXT_BYTES = 640e6

/** What ONNX Runtime's arena starts with, and the multiples that it hands out. */
const FIRST_REGION = 1 << 20
const GRAIN = 256
/** Bytes of the decoding table of a 16-bit dtype, the largest. */
const TABLE_BYTES = 4 << 16

const bytesOf = (width: number, port: Pick<Port, 'rank'>, chunk: number): number =>
  Math.ceil((width * (port.rank === 0 ? 1 : chunk)) / GRAIN) * GRAIN

/**
 * Most bytes that one run of a lowered program holds at a time: what it reads and gives, and every other value until it
 * was last used. `largest` is the largest of them.
 */
const heldBytes = (
  { inputs, outputs, instructions }: Program,
  chunk: number,
): { readonly most: number; readonly largest: number } => {
  const widths = new Map<string, number>(inputs.map((p) => [p.name, bytesOf(VALUE_BYTES[p.type], p, chunk)]))
  const last = new Map<string, number>()
  instructions.forEach((instruction, i) => instruction.inputs.forEach((name) => last.set(name, i)))
  for (const { name } of [...inputs, ...outputs]) last.set(name, instructions.length)
  let held = [...widths.values()].reduce((n, bytes) => n + bytes, 0)
  let most = held
  instructions.forEach(({ inputs: names, output, to, op }, i) => {
    const bytes = bytesOf(
      to === undefined && !MASKS.has(op) ? 4 : to === undefined ? 1 : VALUE_BYTES[to],
      { rank: 1 },
      chunk,
    )
    widths.set(output, bytes)
    held += bytes
    most = Math.max(most, held)
    for (const name of new Set([...names, output])) if ((last.get(name) ?? i) <= i) held -= widths.get(name) ?? 0
  })
  return { most, largest: greatest(widths.values(), 0) }
}

const MASKS: ReadonlySet<string> = new Set([
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
  'Equal',
  'And',
  'Or',
  'Xor',
  'Not',
])

/**
 * How much more than its values the arena has to have room for: it hands out blocks up to twice as large as asked, and
 * leaves gaps. Measured on every program there is.
 */
const SLACK = 2.5

/**
 * Bytes of a device that the session of one lowered program takes for chunks of so many elements. Its arena grows in
 * regions, each twice as large
 * as the one before, but for one that has to be larger to hold a value at all: the next is only as large.
 */
export const estimateSession = (program: Program, chunk: number): number => {
  const tables = new Set(program.instructions.flatMap((i) => (i.op === 'Gather' ? [i.inputs[0]!] : []))).size
  const { most, largest } = heldBytes(program, chunk)
  const needed = SLACK * most + tables * TABLE_BYTES
  let [region, taken] = [FIRST_REGION, FIRST_REGION]
  while (taken < needed) {
    const isForced = region < largest && 2 * region >= largest
    region *= 2
    taken += isForced ? 2 * region : region
  }
  return taken
}

/**
 * Most bytes of a device that a build takes: every worker has a session of its own for each lowered program it meets.
 */
export const estimateDeviceMemory = (programs: readonly Program[], chunk: number, workers: number): number =>
  CONTEXT_BYTES + workers * programs.reduce((n, program) => n + estimateSession(program, chunk), 0)

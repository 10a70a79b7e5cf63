import { bytesDiffer } from '../../base/catalogue/cuda.js'
import { createGraph } from '../../graph/graph.js'
import { lowerFor, type Provider } from '../../graph/lower.js'
import { encodeOnnx } from '../../graph/onnx.js'
import { cutPasses } from '../../graph/passes.js'
import type { Assembly, ProgramOutput } from '../../graph/assemble.js'
import type { Port } from '../../graph/program.js'
import { decode, decodingTables } from '../../kernels/convert.js'
import type { Dtype } from '../../tensor/dtype.js'
import { PORT_TYPES, type Numbers } from '../port-types.js'
import { createSession, feed } from '../sessions.js'
import { isInexact, providerOf, type Device } from './device.js'

/** Elements of a trial: more than a group of threads of any device has. */
const LENGTH = 4096

/** 32 bits out of a number, well mixed. */
const mix = (i: number): number => Math.imul(Math.imul(i + 1, 0x9e3779b1) ^ (i >>> 3), 0x85ebca6b) >>> 0

const each = <A extends Numbers>(array: A, make: (i: number) => number): A => {
  for (let i = 0; i < array.length; i++) array[i] = make(i)
  return array
}

/** Stored numbers of every dtype that providers decode differently; finite, and divisors are not 0. */
const STORED: Readonly<
  Record<string, { readonly dtype: Dtype; readonly numbers: Float32Array | Uint16Array | Uint8Array }>
> = {
  x: { dtype: 'F32', numbers: each(new Float32Array(LENGTH), (i) => (mix(i) / 2 ** 31 - 1) * 2 ** ((i % 24) - 12)) },
  h: { dtype: 'F16', numbers: each(new Uint16Array(LENGTH), (i) => mix(i + 1e5) & 0xbfff) },
  b: { dtype: 'BF16', numbers: each(new Uint16Array(LENGTH), (i) => (mix(i + 2e5) & 0x87ff) | 0x3800) },
  q: { dtype: 'F8_E4M3', numbers: each(new Uint8Array(LENGTH), (i) => mix(i + 3e5) & 0xf7) },
}

/**
 * A program with all operations that programs use. Without `exactly` it has no divisions, no square roots, no
 * multiply-adds and no float16 subnormals, which some drivers round differently.
 */
const assemble = (exactly: boolean): Assembly => {
  const g = createGraph()
  const read = (name: string) =>
    g.read({ name, dtype: STORED[name]!.dtype, shape: [LENGTH], file: '', begin: 0, end: 0 })
  const [x, h, b, q] = [read('x'), read('h'), read('b'), read('q')]
  const near = exactly ? g.sub(g.mul(x, b), h) : g.sub(x, h)
  const far = exactly ? g.div(g.sqrt(g.abs(q)), b) : g.mul(g.abs(q), g.min(x, b))
  const wanted: readonly ProgramOutput[] = [
    { value: g.choose(g.compare('greater', x, h), near, far), dtype: 'F32' },
    { value: exactly ? g.add(g.mul(h, q), g.min(x, b)) : g.add(q, q), dtype: 'F16' },
  ]
  return cutPasses(wanted).passes[0]!
}

const fed = (port: Port, name: string): Numbers => {
  const { dtype, numbers } = STORED[name]!
  const decoded = port.type === 'f32' && dtype !== 'F32'
  return decoded ? decode(dtype as 'F16', numbers as Uint16Array) : numbers
}

/** The bytes of everything the trial's program gives on a device. */
const outcome = async (device: Device, provider: Provider, exactly: boolean): Promise<readonly Uint8Array[]> => {
  const { program: plain, reads } = assemble(exactly)
  const program = lowerFor(provider, plain)
  const session = await createSession(encodeOnnx(program, decodingTables()), device)
  try {
    const results = program.outputs.map((port) => ({
      port,
      numbers: new PORT_TYPES[port.type].array(
        new ArrayBuffer(LENGTH * PORT_TYPES[port.type].array.BYTES_PER_ELEMENT),
        0,
        LENGTH,
      ),
    }))
    const feeds = program.inputs.map((port, i) => [port.name, feed(port, fed(port, reads[i]!.tensor.name))] as const)
    await session.run(
      Object.fromEntries(feeds),
      Object.fromEntries(results.map(({ port, numbers }) => [port.name, feed(port, numbers)])),
    )
    return results.map(({ numbers }) => new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength))
  } finally {
    await session.release()
  }
}

/**
 * Runs a small program over f32, f16, bf16 and 8-bit floats on a device and on the CPU, and says how their bits differ;
 * undefined if they do not. WebGPU is tested only on what every driver must round alike. Throws ONNX Runtime's error if
 * the program cannot run on the device as a whole.
 */
export const compareWithProcessor = async (device: Device): Promise<string | undefined> => {
  const exactly = !isInexact(device)
  const [here, there] = [await outcome('cpu', 'cpu', exactly), await outcome(device, providerOf(device), exactly)]
  const wrong = here.map((bytes, i) => bytes.filter((byte, at) => byte !== there[i]![at]).length)
  const bytes = wrong.reduce((a, b) => a + b, 0)
  return bytes === 0
    ? undefined
    : bytesDiffer(
        bytes,
        here.reduce((sum, b) => sum + b.length, 0),
      )
}

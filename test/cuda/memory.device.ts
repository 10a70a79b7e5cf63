import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createGraph } from '#src/graph/graph.js'
import { lowerFor } from '#src/graph/lower.js'
import { encodeOnnx } from '#src/graph/onnx.js'
import { cutPasses } from '#src/graph/passes.js'
import type { Program } from '#src/graph/program.js'
import { decodingTables } from '#src/kernels/convert.js'
import { loadKernels } from '#src/kernels/kernels.js'
import { LEAST_CHUNK } from '#src/run/devices/device.js'
import type { Frame } from '#src/run/devices/engine.js'
import { createOnnxEngine } from '#src/run/devices/onnx-engine.js'
import { cudaMissing, loadStubs } from './real-provider.js'
import { mostTaken, recordStub, type StubEvent } from './stub-log.js'

const CHUNK = LEAST_CHUNK << 4

/** A program over three models of bfloat16, with a table on the device and a few intermediates. */
const program = ((): Program => {
  const g = createGraph()
  const [a, b, c] = ['a', 'b', 'c'].map((name) =>
    g.read({ name, dtype: 'BF16', shape: [CHUNK], file: '', begin: 0, end: 0 }),
  ) as [ReturnType<typeof g.read>, ReturnType<typeof g.read>, ReturnType<typeof g.read>]
  const value = g.add(a, g.mul(g.sub(b, c), g.choose(g.compare('greater', b, c), a, c)))
  return lowerFor('cuda', cutPasses([{ value, dtype: 'F16' }]).passes[0]!.program)
})()

const kernels = loadKernels()
const engineOf = () =>
  createOnnxEngine(
    {
      type: 'onnx',
      device: 'cuda:0',
      programs: [program],
      models: [encodeOnnx(program, decodingTables())],
      chunk: CHUNK,
    },
    kernels,
  )
const ELEMENT_SIZED = program.inputs.filter((p) => p.rank === 1 && p.name !== 'n').map(() => kernels.alloc(8 * CHUNK))
const SCALARS = program.inputs.filter((p) => p.rank === 0).map(() => 0)
const RESULTS = program.outputs.map(() => kernels.alloc(8 * CHUNK))
const frameOf = (length: number): Frame => ({ inputs: ELEMENT_SIZED, scalars: SCALARS, outputs: RESULTS, length })

/** Runs a chunk, and smaller ones for as long as the engine asks for them. */
const runDown = async (engine: ReturnType<typeof engineOf>) => {
  for (;;) {
    const answer = await engine.run(0, frameOf(engine.chunk))
    if (answer !== 'again') return answer
  }
}
const held = (events: readonly StubEvent[]): number =>
  events.reduce((sum, { type, bytes }) => sum + (type === 'malloc' ? bytes : type === 'free' ? -bytes : 0), 0)

describe.skipIf(cudaMissing !== undefined)('over the real provider for CUDA, a device', () => {
  beforeAll(loadStubs)
  afterEach(() => void delete process.env['SMELT_STUB_MEMORY'])

  test('that is too small for a chunk is given smaller ones, until one fits', async () => {
    const log = recordStub()
    const whole = engineOf()
    expect([await runDown(whole), whole.chunk]).toEqual(['done', CHUNK])
    await whole.close()
    const enough = mostTaken(log.take())
    process.env['SMELT_STUB_MEMORY'] = String(Math.floor(enough / 3))
    const engine = engineOf()
    expect(await runDown(engine)).toBe('done')
    expect(engine.chunk).toBeLessThan(CHUNK)
    expect(engine.chunk).toBeGreaterThanOrEqual(LEAST_CHUNK)
    await engine.close()
    const events = log.take()
    log.stop()
    expect(events.some(({ type }) => type === 'refuse')).toBe(true)
    expect(mostTaken(events)).toBeLessThanOrEqual(enough / 3)
    expect(held(events)).toBe(0)
  })

  test.each([
    ['to make a session', 200_000],
    ['to feed the smallest chunk', 300_000],
    ['for what comes between', 460_000],
  ])('that has no room %s ends with a diagnosis, and everything is given back', async (_what, bytes) => {
    const log = recordStub()
    process.env['SMELT_STUB_MEMORY'] = String(bytes)
    const engine = engineOf()
    expect(await runDown(engine)).toMatchObject({ code: 'device-out-of-memory' })
    await engine.close()
    const events = log.take()
    log.stop()
    expect(events.some(({ type }) => type === 'refuse')).toBe(true)
    expect(held(events)).toBe(0)
  })
})

import { beforeAll, describe, expect, test } from 'vitest'
import { lowerFor } from '#src/graph/lower.js'
import { encodeOnnx } from '#src/graph/onnx.js'
import type { Program } from '#src/graph/program.js'
import { decodingTables } from '#src/kernels/convert.js'
import { collectPrograms } from '../support/programs.js'
import { bytesOf, feedsOf } from './feeds.js'
import { cudaMissing, deviceSession, loadStubs } from './real-provider.js'
import { recordStub, type StubEvent } from './stub-log.js'

const LENGTH = 1000
const tables = decodingTables()
const programs = cudaMissing === undefined ? await collectPrograms() : []
const sizes = (events: readonly StubEvent[], type: StubEvent['type']): readonly number[] =>
  events
    .filter((e) => e.type === type)
    .map((e) => e.bytes)
    .toSorted((x, y) => x - y)

describe.skipIf(cudaMissing !== undefined)('over the real provider for CUDA', () => {
  beforeAll(loadStubs)

  test('there are programs of every kind', () => {
    expect(programs.length).toBeGreaterThan(200)
  })

  test('every program is wholly on the device, and nothing but its inputs and outputs crosses the bus', async () => {
    const log = recordStub()
    const refused: string[] = []
    const crossing: { readonly key: string; readonly found: unknown; readonly expected: unknown }[] = []
    const runOn = async (program: Program): Promise<void> => {
      const session = await deviceSession(encodeOnnx(program, tables), 'cuda')
      log.take()
      await session.run(feedsOf(program, LENGTH))
      const events = log.take()
      await session.release()
      const bytes = bytesOf(program, LENGTH)
      // The length that a constant is spread to is read by the host, and never sent.
      const sent = bytes.inputs.filter((_, i) => program.inputs[i]!.name !== 'n')
      const expected = { sent: sent.toSorted((x, y) => x - y), fetched: bytes.outputs.toSorted((x, y) => x - y) }
      const found = { sent: sizes(events, 'to-device'), fetched: sizes(events, 'from-device') }
      if (JSON.stringify(found) !== JSON.stringify(expected)) crossing.push({ key: program.key, found, expected })
    }
    for (const program of programs.map((p) => lowerFor('cuda', p))) {
      await runOn(program).catch((error: unknown) =>
        refused.push(`${String(error)}: ${JSON.stringify(program.instructions)}`),
      )
    }
    log.stop()
    expect(refused).toEqual([])
    expect(crossing).toEqual([])
  })
})

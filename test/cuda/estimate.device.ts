import { beforeAll, describe, expect, test } from 'vitest'
import { lowerFor } from '#src/graph/lower.js'
import { encodeOnnx } from '#src/graph/onnx.js'
import type { Program } from '#src/graph/program.js'
import { decodingTables } from '#src/kernels/convert.js'
import { estimateSession } from '#src/plan/device-memory.js'
import { createSession } from '#src/run/sessions.js'
import { collectPrograms } from '../support/programs.js'
import { feedsOf, resultsOf } from './feeds.js'
import { cudaMissing, loadStubs } from './real-provider.js'
import { mostTaken, recordStub, type StubEvent } from './stub-log.js'

const tables = decodingTables()
const programs = cudaMissing === undefined ? (await collectPrograms()).map((p) => lowerFor('cuda', p)) : []

/** What a session of a program asks the device for when it runs chunks of some lengths, one after the other. */
const askedBy = async (
  program: Program,
  chunks: readonly number[],
  take: () => readonly StubEvent[],
): Promise<readonly StubEvent[]> => {
  take()
  const session = await createSession(encodeOnnx(program, tables), 'cuda:0')
  for (const chunk of chunks) await session.run(feedsOf(program, chunk), resultsOf(program, chunk))
  const events = take()
  await session.release()
  return events
}

describe.skipIf(cudaMissing !== undefined)('over the real provider for CUDA', () => {
  beforeAll(loadStubs)

  test.each([[1 << 14], [1 << 17], [1 << 20]])(
    'no program takes more of the device than is planned for chunks of %i elements, and few take less than a sixth of it',
    async (chunk) => {
      const log = recordStub()
      const shares: {
        readonly key: string
        readonly share: number
        readonly taken: number
        readonly planned: number
      }[] = []
      for (const program of programs) {
        // Chunks are powers of 2; the last of a tensor is shorter than the others.
        const taken = mostTaken(await askedBy(program, [chunk, chunk, chunk >> 1, chunk], log.take))
        const planned = estimateSession(program, chunk)
        shares.push({ key: program.key, share: taken / planned, taken, planned })
      }
      log.stop()
      expect(shares.filter(({ share }) => share > 1)).toEqual([])
      // A plan that asks for far too much would turn devices away that are large enough.
      expect(shares.filter(({ share }) => share < 1 / 6).length).toBeLessThan(shares.length / 10)
    },
  )

  test('once a session has run its largest chunk it asks for no more memory', async () => {
    const log = recordStub()
    const program = programs.reduce((most, p) => (p.instructions.length > most.instructions.length ? p : most))
    const once = mostTaken(await askedBy(program, [1 << 18], log.take))
    const often = mostTaken(
      await askedBy(program, [1 << 18, ...Array.from({ length: 20 }, (_, i) => (1 << 18) - 5000 * i)], log.take),
    )
    log.stop()
    expect(often).toBe(once)
  })
})

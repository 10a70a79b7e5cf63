import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { lowerFor } from '#src/graph/lower.js'
import { estimateDeviceMemory } from '#src/plan/device-memory.js'
import type { RunOptions } from '#src/run/options.js'
import { prepare } from '#src/run/prepare.js'
import { run } from '#src/run/run.js'
import { renderReport } from '#src/view/report/render.js'
import { inFolder } from '../support/build-run.js'
import { placeRecipe, recipeFiles } from '../support/programs.js'
import { deviceHand } from './device-hand.js'
import { cudaMissing, devices, loadStubs } from './real-provider.js'
import { makeWorkshop } from './run-smelt.js'
import { mostTaken, recordStub, type StubEvent } from './stub-log.js'

/** Chunks as on a device, but as small as these models. */
const CUTTING = { chunk: 1 << 14, block: 1 << 14 }
/**
 * Uniforms and other single numbers are not worth pinning, and the decoding table of bfloat16 is sent once by ONNX
 * Runtime itself.
 */
const [SINGLE, TABLE] = [8, 4 << 16]

/** What may end such a build: numbers that nothing computed are whatever lay in memory. */
const GARBAGE: readonly string[] = ['non-finite', 'unordered']

/** Runs a recipe on the device that computes nothing: whatever comes out is only looked at for how it came. */
const eventsOf = async (
  path: string,
  pinned: boolean,
  where: Pick<RunOptions, 'workers' | 'start'> = { workers: 1, start: deviceHand },
): Promise<{ readonly events: readonly StubEvent[]; readonly planned: number; readonly codes: readonly string[] }> => {
  const runtime = 'missing' in devices.cuda ? '' : devices.cuda.libraries[0]!
  const prepared = await prepare(path)
  if (prepared.type === 'failed') throw new Error(prepared.diagnostics.map((d) => d.message).join('\n'))
  const { plan } = prepared.value
  const log = recordStub()
  const built = await run(plan, {
    ...where,
    device: 'cuda:0',
    cutting: CUTTING,
    ...(pinned ? { runtime } : {}),
    render: renderReport,
  })
  const events = log.take()
  log.stop()
  // The stubs take nothing for a context.
  const planned =
    estimateDeviceMemory(
      plan.programs.map((p) => lowerFor('cuda', p)),
      CUTTING.chunk,
      1,
    ) - estimateDeviceMemory([], CUTTING.chunk, 1)
  return { events, planned, codes: built.type === 'ok' ? [] : built.diagnostics.map((d) => d.code) }
}
const sum = (events: readonly StubEvent[], type: StubEvent['type']): number =>
  events.filter((e) => e.type === type).reduce((n, e) => n + e.bytes, 0)
const crossing = (events: readonly StubEvent[]): readonly StubEvent[] =>
  events.filter((e) => (e.type === 'to-device' || e.type === 'from-device') && e.bytes > SINGLE && e.bytes !== TABLE)

describe.skipIf(cudaMissing !== undefined)('over the real provider for CUDA, a build', () => {
  beforeAll(loadStubs)

  test('copies from and to pages that are locked, and unlocks and gives back everything', async () => {
    const folder = makeWorkshop()
    const { events } = await eventsOf(join(folder.path, 'recipe.yaml'), true)
    folder.remove()
    const copies = crossing(events)
    expect(copies.length).toBeGreaterThan(4)
    expect(copies.filter((e) => !e.pinned)).toEqual([])
    expect(sum(events, 'pin')).toBeGreaterThan(0)
    expect(sum(events, 'unpin')).toBe(sum(events, 'pin'))
    expect(sum(events, 'free')).toBe(sum(events, 'malloc'))
  })

  // A copy to a locked page goes on after it was asked for: who reads the page before the device was waited for reads
  // what was there before.
  test('waits for the device after the last copy of each run', async () => {
    const folder = makeWorkshop()
    const { events } = await eventsOf(join(folder.path, 'recipe.yaml'), true)
    folder.remove()
    const after = events.flatMap((e, i) =>
      e.type === 'from-device' && events[i + 1]?.type !== 'from-device' ? [events[i + 1]?.type] : [],
    )
    expect(after.length).toBeGreaterThan(2)
    expect(new Set(after)).toEqual(new Set(['wait']))
  })

  test('does without locked pages where there is no runtime to lock them', async () => {
    const folder = makeWorkshop()
    const { events } = await eventsOf(join(folder.path, 'recipe.yaml'), false)
    folder.remove()
    expect(crossing(events).length).toBeGreaterThan(4)
    expect(events.filter((e) => e.pinned || e.type === 'pin')).toEqual([])
  })

  test('by threads of its own, all at once, gives back everything too', () =>
    inFolder(async (folder) => {
      const { events, codes } = await eventsOf(placeRecipe(folder, 'ties-three.yaml'), true, { workers: 2 })
      expect(codes.filter((code) => !GARBAGE.includes(code))).toEqual([])
      expect(crossing(events).some((e) => e.pinned)).toBe(true)
      expect(sum(events, 'unpin')).toBe(sum(events, 'pin'))
      expect(sum(events, 'free')).toBe(sum(events, 'malloc'))
    }))

  test.each(recipeFiles().map((file) => [file]))('takes no more of the device than was planned for %s', (file) =>
    inFolder(async (folder) => {
      const { events, planned, codes } = await eventsOf(placeRecipe(folder, file), true)
      expect(mostTaken(events)).toBeLessThanOrEqual(planned)
      expect(sum(events, 'free')).toBe(sum(events, 'malloc'))
      expect(codes.filter((code) => !GARBAGE.includes(code))).toEqual([])
    }),
  )
})

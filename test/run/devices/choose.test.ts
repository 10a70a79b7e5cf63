import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readDevice } from '#src/cli/options.js'
import type { Port, Program } from '#src/graph/program.js'
import { estimateDeviceMemory } from '#src/plan/device-memory.js'
import type { Plan } from '#src/plan/plan.js'
import { chooseDevice, fitInto, type DeviceSelection, type DeviceRequest } from '#src/run/devices/choose.js'
import { LEAST_CHUNK } from '#src/run/devices/device.js'
import type { CudaPlaces } from '#src/run/devices/places.js'
import { prepare } from '#src/run/prepare.js'
import { inFolder } from '../../support/build-run.js'
import { writeSafetensors } from '../../support/write-safetensors.js'
import { makeMachine, type FakeMachine } from './fake-cuda.js'

let machine: FakeMachine
beforeAll(() => {
  machine = makeMachine()
})
afterAll(() => machine.remove())

const plan = (steps: object, from: string): Promise<Plan> =>
  inFolder(async (folder) => {
    for (const name of ['a', 'b'])
      writeSafetensors(join(folder, `${name}.safetensors`), { w: { dtype: 'BF16', shape: [4], values: [1, 2, 3, 4] } })
    const path = join(folder, 'recipe.yaml')
    writeFileSync(
      path,
      JSON.stringify({
        smelt: 1,
        models: { a: 'a.safetensors', b: 'b.safetensors' },
        steps,
        outputs: { out: { from, path: 'out.safetensors' } },
      }),
    )
    const prepared = await prepare(path)
    if (prepared.type === 'failed') throw new Error(prepared.diagnostics[0]!.message)
    return prepared.value.plan
  })
const blending = (): Promise<Plan> => plan({ x: { op: 'merge.blend', a: 'a', b: 'b' } }, 'x')
/** The same plan, as if the processor took some seconds for its arithmetic. */
const lasting = (made: Plan, seconds: number): Plan => ({
  ...made,
  totals: { ...made.totals, operations: seconds / 0.15e-9 },
})
const chosen = async (
  wish: DeviceRequest,
  made: Plan,
  places: CudaPlaces = machine.places,
): Promise<DeviceSelection> => {
  const choice = await chooseDevice(wish, made, 3, places)
  if (choice.type === 'failed') throw new Error(choice.diagnostics[0]!.message)
  return choice.value
}
/** Places that nobody may look at. */
const untouched: CudaPlaces = new Proxy(
  {},
  {
    get: () => {
      throw new Error('looked for CUDA')
    },
    has: () => {
      throw new Error('looked for CUDA')
    },
    ownKeys: () => {
      throw new Error('looked for CUDA')
    },
  },
)

describe('the best device is', () => {
  test('the processor where its arithmetic takes no longer than CUDA takes to start', async () => {
    const { device, planned, workers } = await chosen('auto', lasting(await blending(), 3), untouched)
    expect([device, workers, planned.name, planned.workers]).toEqual(['cpu', 3, 'cpu', 3])
    expect(planned.reason).toBe('auto: too little work to be worth starting CUDA (about 1.0 s on the CPU)')
  })

  test('the processor where CUDA cannot be used, for the reason that is told where CUDA is asked for', async () => {
    const made = lasting(await blending(), 600)
    const refused = await chooseDevice('cuda:0', made, 3, machine.places)
    const { device, planned } = await chosen('auto', made)
    expect([refused.type, device]).toEqual(['failed', 'cpu'])
    expect(planned.reason).toContain(refused.diagnostics[0]!.message)
    expect(planned.reason).toMatch(/^auto: /)
  })

  test.each<[DeviceRequest, string]>([
    ['auto', 'auto: nothing is computed'],
    ['cuda:0', 'nothing is computed, so cuda:0 is not needed'],
    ['cuda:3', 'nothing is computed, so cuda:3 is not needed'],
    ['webgpu', 'nothing is computed, so webgpu is not needed'],
  ])('none where nothing is computed, even where %s is asked for', async (wish, reason) => {
    const { device, planned, cutting } = await chosen(
      wish,
      await plan({ x: { op: 'model.select', model: 'a', layers: '*' } }, 'x'),
      untouched,
    )
    expect([device, planned.reason, cutting]).toEqual(['cpu', reason, undefined])
  })

  test('never another than the one that is asked for', async () => {
    const made = lasting(await blending(), 0)
    expect(await chosen('cpu', made, untouched)).toMatchObject({
      device: 'cpu',
      planned: { reason: 'asked for', memory: undefined, notes: [] },
    })
    for (const wish of ['cuda:0', 'cuda:1'] as const) {
      const refused = await chooseDevice(wish, made, 3, machine.places)
      expect([refused.type, refused.diagnostics.map((d) => d.severity)]).toEqual(['failed', ['error']])
      expect(refused.diagnostics[0]!.code).toMatch(/^cuda-/)
    }
  })
})

describe('work is cut to fit a device', () => {
  const port = (name: string): Port => ({ name, type: 'f32', rank: 1 })
  const programs: readonly Program[] = [1, 6].map((n) => ({
    key: `${n}`,
    inputs: [port('x')],
    outputs: Array.from({ length: n }, (_, i) => port(`v${i}`)),
    instructions: Array.from({ length: n }, (_, i) => ({ op: 'Neg', inputs: ['x'], output: `v${i}` })),
  }))
  const needed = (chunk: number, workers: number): number => estimateDeviceMemory(programs, chunk, workers)

  test('with chunks of a whole segment and all workers where there is room', () => {
    expect(fitInto(programs, 8, 1e12)).toEqual({ chunk: 1 << 20, workers: 8 })
    expect(fitInto(programs, 8, needed(1 << 20, 8))).toEqual({ chunk: 1 << 20, workers: 8 })
  })

  test('with smaller chunks before it is done by fewer workers', () => {
    const smaller = fitInto(programs, 8, needed(1 << 20, 8) - 1)!
    expect([smaller.chunk < 1 << 20, smaller.workers]).toEqual([true, 8])
    expect(fitInto(programs, 8, needed(LEAST_CHUNK, 8))!.workers).toBe(8)
    expect(fitInto(programs, 8, needed(LEAST_CHUNK, 8) - 1)!.workers).toBe(7)
  })

  test('with the largest chunks that the workers who are left have room for', () => {
    for (const room of [needed(LEAST_CHUNK, 8) - 1, needed(LEAST_CHUNK, 3), needed(1 << 18, 2)]) {
      const { chunk, workers } = fitInto(programs, 8, room)!
      expect(needed(chunk, workers)).toBeLessThanOrEqual(room)
      expect(chunk === 1 << 20 || needed(2 * chunk, workers) > room).toBe(true)
    }
  })

  test('not at all where one worker with the smallest chunks has no room', () => {
    expect(fitInto(programs, 8, needed(LEAST_CHUNK, 1) - 1)).toBeUndefined()
    expect(fitInto(programs, 8, needed(LEAST_CHUNK, 1))!.workers).toBe(1)
  })
})

describe('a device is named', () => {
  test.each([
    ['auto', 'auto'],
    ['cpu', 'cpu'],
    ['webgpu', 'webgpu'],
    ['cuda', 'cuda:0'],
    ['cuda:0', 'cuda:0'],
    ['cuda:1', 'cuda:1'],
    ['cuda:007', 'cuda:7'],
  ])('%s', (text, wish) => {
    expect(readDevice(text)).toMatchObject({ type: 'ok', value: wish })
  })

  test.each(['cuda:', 'cuda:x', 'cuda:-1', 'cuda:1.5', 'cuda:1234', 'cuda 1', 'CUDA', 'gpu', '', ' cpu', 'cpu:0'])(
    'by nothing else, such as “%s”',
    (text) => {
      expect(readDevice(text).diagnostics).toMatchObject([{ code: 'device-unknown' }])
    },
  )
})

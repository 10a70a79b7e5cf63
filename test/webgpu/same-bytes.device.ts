import { describe, expect, test } from 'vitest'
import { differenceOf, smallRuns } from '../cuda/same-bytes.js'
import { modelOf } from '../cuda/kernel-model.js'
import { deviceSession } from '../cuda/real-provider.js'
import { findWebgpuMissing } from './adapter.js'

const missing = await findWebgpuMissing()
const runs = missing === undefined ? smallRuns() : []

describe.skipIf(missing !== undefined)('on WebGPU', () => {
  test('every example of every operator and every reference case gives the bytes that the processor gives', async () => {
    // As long as there is a session, the next finds the device open.
    const keeper = await deviceSession(modelOf('Add f32,f32'), 'webgpu')
    const differences: string[] = []
    for (const run of runs) {
      const difference = await differenceOf(run, 'webgpu')
      if (difference !== undefined) differences.push(difference)
    }
    await keeper.release()
    expect(differences).toEqual([])
    expect(runs.length).toBeGreaterThan(200)
  })
})

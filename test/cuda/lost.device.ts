import { hostname } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { prepare } from '#src/run/prepare.js'
import { run } from '#src/run/run.js'
import { deviceHand } from './device-hand.js'
import { cudaMissing, loadStubs } from './real-provider.js'
import { makeWorkshop } from './run-smelt.js'

describe.skipIf(cudaMissing !== undefined)('over the real provider for CUDA', () => {
  beforeAll(loadStubs)

  test('a device that is lost in the middle of a build ends it with what CUDA says, and no output appears', async () => {
    const folder = makeWorkshop()
    const before = folder.names()
    const prepared = await prepare(join(folder.path, 'recipe.yaml'))
    if (prepared.type === 'failed') throw new Error('the recipe was refused')
    process.env['SMELT_STUB_COPIES'] = '6'
    const built = await run(prepared.value.plan, { workers: 1, device: 'cuda:0', start: deviceHand })
    delete process.env['SMELT_STUB_COPIES']
    const left = folder.names().filter((name) => !before.includes(name) && name.endsWith('.safetensors'))
    folder.remove()
    expect(built.type).toBe('failed')
    expect(built.diagnostics).toMatchObject([
      { code: 'device-failed', message: expect.stringContaining('unspecified launch failure') as string },
    ])
    expect(built.diagnostics[0]!.message).not.toContain(`hostname=${hostname()}`)
    expect(left).toEqual([])
  })
})

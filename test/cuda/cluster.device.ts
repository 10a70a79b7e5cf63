import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cudaMissing, devices } from './real-provider.js'
import { makeWorkshop, runSmelt } from './run-smelt.js'

const environment = 'missing' in devices.cuda ? {} : { SMELT_CUDA_LIBRARIES: devices.cuda.folder }

/** Builds by tasks; gives what was said, and what the report says of part 0. */
const build = async (device: string, env: Readonly<Record<string, string>>) => {
  const folder = makeWorkshop()
  const words = ['build', 'recipe.yaml', '--on', 'exec', '--parts', '1', '--report', 'r.json', '--device', device]
  const done = await runSmelt(folder.path, words, { ...environment, ...env })
  const row = (): unknown => {
    const { sections } = JSON.parse(readFileSync(join(folder.path, 'r.json'), 'utf8')) as {
      sections: readonly { readonly rows: readonly { readonly cells: readonly unknown[] }[] }[]
    }
    return sections[1]?.rows[0]?.cells
  }
  const part = done.code === 0 ? row() : undefined
  folder.remove()
  return { ...done, part }
}

describe.skipIf(cudaMissing !== undefined)('a task, over libraries that compute nothing', () => {
  test('takes the GPU that is visible to it, and not another one', async () => {
    const env = { SMELT_STUB_DEVICES: '4', CUDA_VISIBLE_DEVICES: '2' }
    const done = await build('cuda', env)
    expect(done.stderr).toMatch(/part 0 failed[^]*CUDA device 0 computes wrong results/)
    expect((await build('cuda:1', env)).stderr).toMatch(/part 0 failed[^]*cuda-no-such-device/)
  })

  test('is refused `cuda` where Slurm gave it none, and takes the processor with `auto`', async () => {
    const none = { CUDA_VISIBLE_DEVICES: '' }
    expect((await build('cuda', none)).stderr).toMatch(/part 0 failed[^]*cuda-no-device/)
    const { code, part } = await build('auto', { ...none, SLURM_JOB_GPUS: '5' })
    expect([code, part]).toEqual([0, expect.arrayContaining(['cpu', '5'])])
  })
})

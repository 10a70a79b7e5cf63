import { describe, expect, test } from 'vitest'
import { cudaMissing, devices } from './real-provider.js'
import { makeWorkshop, runSmelt } from './run-smelt.js'

const environment = 'missing' in devices.cuda ? {} : { SMELT_CUDA_LIBRARIES: devices.cuda.folder }

/** Tries to build; gives what was said, and what appeared in the folder. */
const build = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
  const folder = makeWorkshop()
  const before = folder.names()
  const done = await runSmelt(folder.path, ['build', 'recipe.yaml', ...args], { ...environment, ...env })
  const left = folder.names().filter((name) => !before.includes(name))
  folder.remove()
  return { ...done, left }
}

describe.skipIf(cudaMissing !== undefined)('over libraries that compute nothing', () => {
  test('a build on CUDA is refused, since the numbers are wrong, and leaves nothing behind', async () => {
    const done = await build(['--device', 'cuda'])
    expect(done.stderr).toContain('cuda-wrong-numbers')
    expect(done).toMatchObject({ signal: null, left: [] })
    expect(done.code).not.toBe(0)
  })

  test('a device there is not is refused by its number', async () => {
    const done = await build(['--device', 'cuda:3'], { SMELT_STUB_DEVICES: '2' })
    expect(done.stderr).toContain('cuda-no-such-device')
    expect(done.stderr).toMatch(/use one of .*0.*1/)
    expect(done).toMatchObject({ signal: null, left: [] })
  })

  test('the second of two devices is tried when it is asked for', async () => {
    const done = await build(['--device', 'cuda:1'], { SMELT_STUB_DEVICES: '2' })
    expect(done.stderr).toContain('CUDA device 1 computes wrong results')
    expect(done.left).toEqual([])
  })

  test('devices that are hidden are not used', async () => {
    const done = await build(['--device', 'cuda'], { CUDA_VISIBLE_DEVICES: '' })
    expect(done.stderr).toContain('cuda-no-device')
    expect(done).toMatchObject({ signal: null, left: [] })
  })

  test('a device without any memory is refused in words, not by a crash', async () => {
    const done = await build(['--device', 'cuda'], { SMELT_STUB_MEMORY: '1000' })
    expect(done.stderr).toMatch(/^error\b.*\[?cuda-|device-/m)
    expect(done).toMatchObject({ signal: null, left: [] })
    expect(done.code).not.toBe(0)
  })

  test('the processor builds all the same', async () => {
    expect(await build(['--device', 'cpu'])).toMatchObject({
      code: 0,
      left: expect.arrayContaining(['out/merged.safetensors']),
    })
    expect(await build(['--device', 'auto'])).toMatchObject({
      code: 0,
      left: expect.arrayContaining(['out/merged.safetensors']),
    })
  })

  test('the doctor says that the numbers are wrong, and what device gave them', async () => {
    const folder = makeWorkshop()
    const done = await runSmelt(folder.path, ['doctor'], environment)
    folder.remove()
    expect(done).toMatchObject({ signal: null })
    expect(done.stdout).toMatch(/cuda .*must not be used .*problem/)
    expect(done.stdout).toContain('Stub device 0')
    expect(done.stderr).toContain('CUDA device 0 computes wrong results')
  })
})

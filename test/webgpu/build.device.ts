import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeWorkshop, runSmelt } from '../cuda/run-smelt.js'
import { train } from '../recipes/checkpoint.js'
import { base, placeRecipe, recipeFiles } from '../support/programs.js'
import { makeFolder } from '../support/smelt.js'
import { findWebgpuMissing } from './adapter.js'

const missing = await findWebgpuMissing()

const modelsIn = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    (existsSync(folder) ? readdirSync(folder, { recursive: true }) : [])
      .map(String)
      .filter((name) => name.endsWith('.safetensors'))
      .toSorted()
      .map((name) => [name, readFileSync(join(folder, name)).toString('base64')]),
  )

describe.skipIf(missing !== undefined)('smelt build --device webgpu', () => {
  test.each([['1'], ['4']])(
    'gives the bytes that the processor gives, and ends without a crash, with %s workers',
    async (workers) => {
      const folder = makeWorkshop()
      const done = await runSmelt(folder.path, [
        'build',
        'recipe.yaml',
        '--device',
        'webgpu',
        '--workers',
        workers,
        '--out',
        'there',
        '--json',
      ])
      expect({ code: done.code, signal: done.signal, stderr: done.code === 0 ? '' : done.stderr }).toEqual({
        code: 0,
        signal: null,
        stderr: '',
      })
      const started = done.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .find((event) => event['type'] === 'run-started')
      expect(started).toMatchObject({ device: 'webgpu', workers: 1 })
      expect(await runSmelt(folder.path, ['build', 'recipe.yaml', '--device', 'cpu', '--out', 'here'])).toMatchObject({
        code: 0,
      })
      const [there, here] = ['there', 'here'].map((name) => modelsIn(join(folder.path, name)))
      folder.remove()
      expect(Object.keys(here!)).toEqual(['out/merged.safetensors'])
      expect(there).toEqual(here)
    },
  )

  test.each(recipeFiles().map((file) => [file]))('gives the bytes that the processor gives for %s', async (file) => {
    const folder = makeFolder()
    placeRecipe(folder.path, file, (i) => (i === 0 ? base : train(base, i + 1)))
    const build = (device: string) =>
      runSmelt(folder.path, ['build', file, '--device', device, '--out', device, '--force'])
    const [here, there] = [await build('cpu'), await build('webgpu')]
    const [expected, found] = ['cpu', 'webgpu'].map((name) => modelsIn(join(folder.path, name)))
    folder.remove()
    expect([there.code, there.signal, here.code]).toEqual([0, null, 0])
    expect(Object.keys(found!)).toEqual(Object.keys(expected!))
    expect(Object.keys(expected!).length).toBeGreaterThan(0)
    expect(Object.keys(found!).filter((name) => found![name] !== expected![name])).toEqual([])
  })

  test('is refused in words where there is no driver for Vulkan, and leaves nothing behind', async () => {
    const folder = makeWorkshop()
    const before = folder.names()
    const done = await runSmelt(folder.path, ['build', 'recipe.yaml', '--device', 'webgpu'], {
      VK_DRIVER_FILES: join(folder.path, 'none.json'),
    })
    const after = folder.names()
    folder.remove()
    expect(done.stderr).toContain('error[webgpu-missing]')
    expect({ signal: done.signal, failed: done.code !== 0, after }).toEqual({
      signal: null,
      failed: true,
      after: before,
    })
  })
})

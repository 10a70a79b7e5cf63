import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadLibrary } from '#src/run/devices/ffi.js'
import { makeFolder, smelt } from '../support/smelt.js'
import { writeHollow, writeSafetensors } from '../support/write-safetensors.js'

const recipe = (model: string, op: string): string => `smelt: 1
models: { a: ${model}a.safetensors, b: ${model}b.safetensors }
steps: { x: { op: ${op} } }
outputs: { out: { from: x, path: out.safetensors } }
`
const folder = makeFolder({
  'recipe.yaml': recipe('', 'merge.blend, a: a, b: b'),
  'large.yaml': recipe('large-', 'merge.blend, a: a, b: b'),
  'copy.yaml': recipe('', 'model.select, model: a, layers: w'),
})
/** Far more elements than the processor adds in a few seconds. */
const LARGE = 40e9

let files: readonly string[]
let isHollow = true
beforeAll(() => {
  for (const name of ['a', 'b']) {
    writeSafetensors(join(folder.path, `${name}.safetensors`), { w: { dtype: 'F16', shape: [2], values: [1, 2] } })
    try {
      writeHollow(join(folder.path, `large-${name}.safetensors`), { w: { dtype: 'F16', shape: [LARGE] } })
    } catch {
      isHollow = false
    }
  }
  files = readdirSync(folder.path).sort()
})
afterAll(() => folder.remove())

const isThere = (library: string): boolean => loadLibrary(library).type === 'loaded'
const written = (): readonly string[] => readdirSync(folder.path).filter((name) => !files.includes(name))
const DEVICES = [
  ['cuda', 'cuda-driver-missing', 'libcuda.so.1'],
  ['cuda:1', 'cuda-driver-missing', 'libcuda.so.1'],
  ['webgpu', 'webgpu-missing', 'libvulkan.so.1'],
] as const

describe('without a graphics card', () => {
  it.for(DEVICES)(
    'smelt build --device %s ends with 3, says why and what to do, and writes nothing',
    async ([device, code, library], { skip }) => {
      skip(process.platform !== 'linux' || isThere(library), `this machine may have what ${device} needs`)
      const done = await smelt(folder.path, ['build', 'recipe.yaml', '--device', device])
      expect([done.code, done.stdout, written()]).toEqual([3, '', []])
      expect(done.stderr).toMatch(new RegExp(`^error\\[${code}\\]: .*${library}.*\\nhelp: .*--device cpu`))
    },
  )

  it('a plan for WebGPU takes nothing over from a build elsewhere, as its build would not', async ({ skip }) => {
    skip(process.platform !== 'linux' || isThere('libvulkan.so.1'), 'this machine may have what webgpu needs')
    const built = makeFolder({ 'recipe.yaml': recipe('', 'merge.blend, a: a, b: b') })
    for (const name of ['a', 'b'])
      writeSafetensors(join(built.path, `${name}.safetensors`), { w: { dtype: 'F16', shape: [2], values: [1, 2] } })
    const env = { SMELT_CACHE: join(built.path, 'store') }
    const plan = async (device: string): Promise<number | null> =>
      (await smelt(built.path, ['plan', 'recipe.yaml', '--device', device], { env })).code
    expect((await smelt(built.path, ['build', 'recipe.yaml', '--quiet'], { env })).code).toBe(0)
    expect([await plan('cpu'), await plan('webgpu')]).toEqual([0, 3])
    built.remove()
  })

  it.for([DEVICES[0], DEVICES[2]])(
    'smelt plan --device %s ends with 3 and shows no plan',
    async ([device, code, library], { skip }) => {
      skip(process.platform !== 'linux' || isThere(library), `this machine may have what ${device} needs`)
      const done = await smelt(folder.path, ['plan', 'recipe.yaml', '--device', device])
      expect([done.code, done.stdout, written()]).toEqual([3, '', []])
      expect(done.stderr).toContain(`error[${code}]`)
    },
  )

  it('smelt plan --device auto takes the processor and says why', async ({ skip }) => {
    skip(process.platform !== 'linux' || isThere('libcuda.so.1'), 'this machine has a driver')
    skip(!isHollow, 'this file system has no files this large')
    const done = await smelt(folder.path, ['plan', 'large.yaml', '--device', 'auto', '--format', 'json'])
    const { device } = JSON.parse(done.stdout) as {
      readonly device: { readonly name: string; readonly reason: string }
    }
    expect([done.code, done.stderr, device.name]).toEqual([0, '', 'cpu'])
    expect(device.reason).toMatch(/^auto: .*libcuda\.so\.1/)
  })
})

describe('whatever the machine has', () => {
  it('smelt build takes the processor for little work, and says so unless told to', async () => {
    const done = await smelt(folder.path, ['build', 'recipe.yaml', '--out', 'auto'])
    expect([done.code, done.stdout]).toEqual([0, ''])
    expect(done.stderr.replace(/\s+/g, ' ')).toContain(
      'on cpu; auto: too little work to be worth starting CUDA (under 0.1 s on the CPU)',
    )
    const told = await smelt(folder.path, ['build', 'recipe.yaml', '--device', 'cpu', '--out', 'cpu'])
    expect([told.code, told.stderr.includes('on cpu')]).toEqual([0, false])
    expect(readFileSync(join(folder.path, 'auto', 'out.safetensors'))).toEqual(
      readFileSync(join(folder.path, 'cpu', 'out.safetensors')),
    )
  })

  it.each(['cuda', 'webgpu'])('smelt build --device %s needs no device for what is only copied', async (device) => {
    const done = await smelt(folder.path, ['build', 'copy.yaml', '--device', device, '--out', `copied-${device}`])
    expect(done).toMatchObject({ code: 0, stdout: '' })
    expect(existsSync(join(folder.path, `copied-${device}`, 'out.safetensors'))).toBe(true)
  })

  it('--device cuda:x is refused with 2, and all that there is named', async () => {
    for (const command of ['build', 'plan']) {
      const done = await smelt(folder.path, [command, 'recipe.yaml', '--device', 'cuda:x'])
      expect([done.code, done.stdout]).toEqual([2, ''])
      expect(done.stderr).toMatch(
        /^error\[device-unknown\]: unknown device `cuda:x`.*\n --> --device\nhelp: use auto, cpu, cuda, cuda:1 .*webgpu/,
      )
    }
  })
})

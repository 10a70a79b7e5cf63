import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { examineCuda, judgeCuda, openCuda, cudartOf, type CudaFacts } from '#src/run/devices/cuda.js'
import { reportCuda } from '#src/run/devices/cuda-report.js'
import { freeDeviceMemory } from '#src/run/devices/device-memory.js'
import { findRuntime } from '#src/run/devices/onnxruntime.js'
import { createPinning } from '#src/run/devices/pinning.js'
import { probeCuda } from '#src/run/devices/probe-cuda.js'
import { library, makeMachine, NEEDED, providerFiles, type FakeMachine } from './fake-cuda.js'

const NAMES = ['libcudart.so.13', 'libcublasLt.so.13', 'libcublas.so.13', 'libcurand.so.10', 'libcuda.so.1']

/** Everything that a machine with one GPU has. */
const WHOLE: CudaFacts = {
  platform: 'linux-x64',
  noCalls: undefined,
  needed: NEEDED,
  provider: { path: '/ort/provider.so', version: NEEDED },
  libraries: NAMES.map((name) => ({ name, path: `/cuda/${name}`, failure: undefined })),
  driver: '13.0',
  runtime: '13.0',
  error: 0,
  devices: [{ index: 0, name: 'GPU', total: 8e10, free: 7e10, capability: '9.0' }],
}
const without = (...names: readonly string[]): CudaFacts['libraries'] =>
  WHOLE.libraries.map((l) => (names.includes(l.name) ? { ...l, path: undefined } : l))

describe('what keeps CUDA from being used', () => {
  it('is nothing where everything is there', () => {
    expect(judgeCuda(WHOLE)).toBeUndefined()
  })

  it.each<readonly [what: string, code: string, facts: Partial<CudaFacts>, words: string]>([
    [
      'another platform',
      'cuda-not-offered',
      { platform: 'darwin-arm64', libraries: without(...NAMES), provider: undefined },
      'this is darwin-arm64',
    ],
    ['no way to call libraries', 'cuda-no-calls', { noCalls: 'no binary' }, 'no binary'],
    [
      'no driver, whatever else is missing',
      'cuda-driver-missing',
      { libraries: without(...NAMES), provider: undefined },
      'no NVIDIA driver',
    ],
    [
      'no provider',
      'cuda-provider-missing',
      { provider: undefined, libraries: without('libcurand.so.10') },
      `ONNX Runtime ${NEEDED} is not installed`,
    ],
    [
      'a provider of another version',
      'cuda-provider-wrong',
      { provider: { path: '/p', version: '1.29.0' } },
      'is for ONNX Runtime 1.29.0, but 1.30.0 is installed',
    ],
    [
      'a provider of no version',
      'cuda-provider-wrong',
      { provider: { path: '/p', version: undefined } },
      'wrong results',
    ],
    [
      'libraries that are nowhere',
      'cuda-libraries-missing',
      { libraries: without('libcublas.so.13', 'libcublasLt.so.13') },
      'without libcublasLt.so.13, libcublas.so.13',
    ],
    [
      'a library that does not load',
      'cuda-library-broken',
      { libraries: WHOLE.libraries.map((l) => (l.name.includes('rand') ? { ...l, failure: 'file too short' } : l)) },
      'libcurand.so.10 cannot be loaded: file too short',
    ],
    ['a runtime of another CUDA', 'cuda-runtime-wrong', { runtime: '12.9' }, 'for CUDA 12.9; CUDA 13 is needed'],
    [
      'a driver that is too old',
      'cuda-driver-old',
      { driver: '12.4', devices: [], error: 35 },
      'supports CUDA 12.4; CUDA 13 is needed',
    ],
    [
      'a driver that does not answer',
      'cuda-driver-old',
      { driver: undefined, devices: [], error: 35 },
      'does not respond',
    ],
    ['no device', 'cuda-no-device', { devices: [], error: 100 }, 'no device (runtime error 100'],
  ])('is %s', (_what, code, facts, words) => {
    const problem = judgeCuda({ ...WHOLE, ...facts })
    expect(problem?.code).toBe(code)
    expect(problem!.message).toContain(words)
    expect(problem!.help).toMatch(/`|install/)
  })
})

const linux = process.platform === 'linux' && process.arch === 'x64'

describe.runIf(linux)('on a machine of files only', () => {
  let machine: FakeMachine
  beforeEach(() => {
    machine = makeMachine()
  })
  afterEach(() => machine.remove())

  it('nothing is found where nothing is', () => {
    const found = examineCuda(machine.places)
    expect(found).toMatchObject({
      needed: NEEDED,
      provider: undefined,
      driver: undefined,
      runtime: undefined,
      devices: [],
      problem: { code: 'cuda-driver-missing' },
    })
    expect(found.libraries).toEqual(NAMES.map((name) => ({ name, path: undefined })))
  })

  it('the provider has to be there with both its files, and says its version', () => {
    writeFileSync(join(machine.binaries, 'libonnxruntime_providers_cuda.so'), library('1.29.0'))
    expect(examineCuda(machine.places).provider).toBeUndefined()
    writeFileSync(join(machine.binaries, 'libonnxruntime_providers_shared.so'), library())
    expect(examineCuda({ ...machine.places, toolkits: [machine.path] }).provider).toEqual({
      path: join(machine.binaries, 'libonnxruntime_providers_cuda.so'),
      version: '1.29.0',
    })
  })

  it('libraries that belong together come from one place, and the folder that the user names comes first', () => {
    machine.put('own/libcurand.so.10', library())
    machine.put('own/libcublas.so.13', library())
    machine.put('env/lib/python3.12/site-packages/nvidia/cu13/lib/libcurand.so.10', library())
    machine.put('env/lib/python3.12/site-packages/nvidia/cu13/lib/libcublas.so.13', library())
    const both = machine.put('toolkit/lib64/libcublas.so.13', library())
    machine.put('toolkit/lib64/libcublasLt.so.13', library())
    const found = examineCuda({
      ...machine.places,
      libraries: join(machine.path, 'own'),
      pythons: [join(machine.path, 'env')],
      toolkits: [join(machine.path, 'toolkit')],
    })
    const at = (name: string): string | undefined => found.libraries.find((l) => l.name === name)?.path
    expect(at('libcublas.so.13')).toBe(both)
    expect(at('libcurand.so.10')).toBe(join(machine.path, 'own/libcurand.so.10'))
  })

  it('the packages of a Python environment are looked through', () => {
    const path = machine.put('env/lib/python3.12/site-packages/nvidia/cu13/lib/libcurand.so.10', library())
    expect(examineCuda({ ...machine.places, pythons: [join(machine.path, 'env')] }).libraries).toContainEqual({
      name: 'libcurand.so.10',
      path,
    })
  })

  it('a library that cannot be loaded is named with its place', () => {
    for (const [name, bytes] of Object.entries(providerFiles()))
      writeFileSync(join(machine.binaries, name.slice(name.lastIndexOf('/') + 1)), bytes)
    for (const name of NAMES) machine.put(`own/${name}`, library())
    expect(examineCuda({ ...machine.places, libraries: join(machine.path, 'own') }).problem).toMatchObject({
      code: 'cuda-library-broken',
      at: { path: join(machine.path, 'own/libcudart.so.13') },
    })
  })
})

const hasCompiler = linux && spawnSync('gcc', ['--version']).status === 0

/** A CUDA runtime that has two devices, as its real declarations are; it locks one piece of memory at a time. */
const RUNTIME = `
#include <string.h>
typedef unsigned long size_t_;
static int device = -1; static void *locked;
int cudaDriverGetVersion(int *v) { *v = DRIVER; return 0; }
int cudaRuntimeGetVersion(int *v) { *v = RUNTIME; return 0; }
int cudaGetDeviceCount(int *n) { *n = ERROR ? 0 : 2; return ERROR; }
int cudaDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 9 : a == 76 ? d : -1; return 0; }
int cudaGetDeviceProperties(char *p, int d) { memset(p, 0, 900); strcpy(p, d == 0 ? "First" : "Second"); *(size_t_ *)(p + 288) = (d + 1) * 1000ul; return 0; }
int cudaSetDevice(int d) { if (d > 1) return 101; device = d; return 0; }
int cudaMemGetInfo(size_t_ *f, size_t_ *t) { *f = (device + 1) * 1000ul - 1; *t = (device + 1) * 1000ul; return 0; }
int cudaHostRegister(void *p, size_t_ n, unsigned flags) { if (locked != 0 || n == 0 || flags != 1) return 712; locked = p; return 0; }
int cudaHostUnregister(void *p) { if (p != locked) return 713; locked = 0; return 0; }
`

describe.runIf(hasCompiler)('with a runtime that answers', () => {
  let folder = ''
  const compile = (name: string, source: string, defines: readonly string[], into: string): void => {
    const to = join(folder, into)
    mkdirSync(to, { recursive: true })
    writeFileSync(join(to, 'source.c'), source)
    execFileSync('gcc', [
      '-shared',
      '-fPIC',
      '-w',
      ...defines.map((d) => `-D${d}`),
      '-o',
      join(to, name),
      join(to, 'source.c'),
    ])
  }
  const makeVariant = (name: string, defines: readonly string[]): void => {
    compile('libcudart.so.13', RUNTIME, defines, name)
    for (const other of NAMES.slice(1)) compile(other, 'int smelt_nothing;', [], name)
  }
  let machine: FakeMachine
  const placesOf = (variant: string) => ({ ...machine.places, libraries: join(folder, variant) })
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'smelt-runtime-'))
    makeVariant('good', ['DRIVER=13020', 'RUNTIME=13000', 'ERROR=0'])
    makeVariant('old', ['DRIVER=12040', 'RUNTIME=13000', 'ERROR=35'])
    makeVariant('hidden', ['DRIVER=13000', 'RUNTIME=13000', 'ERROR=100'])
    makeVariant('other', ['DRIVER=13000', 'RUNTIME=12080', 'ERROR=0'])
    machine = makeMachine()
    for (const [name, bytes] of Object.entries(providerFiles()))
      writeFileSync(join(machine.binaries, name.slice(name.lastIndexOf('/') + 1)), bytes)
  })
  afterAll(() => {
    machine.remove()
    rmSync(folder, { recursive: true, force: true })
  })

  it('tells the versions and the devices', () => {
    const found = examineCuda(placesOf('good'))
    expect(found).toMatchObject({
      driver: '13.2',
      runtime: '13.0',
      problem: undefined,
      devices: [
        { index: 0, name: 'First', total: 1000, free: 999, capability: '9.0' },
        { index: 1, name: 'Second', total: 2000, free: 1999, capability: '9.1' },
      ],
    })
    expect(cudartOf(found)).toBe(join(folder, 'good', 'libcudart.so.13'))
  })

  it.each([
    ['old', 'cuda-driver-old'],
    ['hidden', 'cuda-no-device'],
    ['other', 'cuda-runtime-wrong'],
  ])('refuses a machine that is %s', (variant, code) => {
    expect(examineCuda(placesOf(variant)).problem?.code).toBe(code)
    expect(openCuda(0, placesOf(variant))).toMatchObject({ type: 'failed', diagnostics: [{ code }] })
  })

  it('opens the devices that are there, and names them where another is asked for', () => {
    expect(openCuda(1, placesOf('good'))).toMatchObject({ type: 'ok', value: { name: 'Second' } })
    const refused = openCuda(2, placesOf('good'))
    expect(refused).toMatchObject({
      type: 'failed',
      diagnostics: [{ code: 'cuda-no-such-device', help: 'use one of 0 (First), 1 (Second)' }],
    })
  })

  it('counts the free memory of a device', () => {
    expect(freeDeviceMemory(join(folder, 'good', 'libcudart.so.13'), 1)).toBe(1999)
    expect(freeDeviceMemory(join(folder, 'good', 'libcudart.so.13'), 7)).toBe(0)
    expect(freeDeviceMemory(join(folder, 'nowhere.so'), 0)).toBe(0)
  })

  it('locks memory until it is released, and says where it cannot', () => {
    const pinning = createPinning(join(folder, 'good', 'libcudart.so.13'), 1)
    const memory = new Uint8Array(8192)
    expect([pinning.pin(memory), pinning.pin(memory), pinning.pin(new Uint8Array(0))]).toEqual([true, false, false])
    pinning.release()
    expect(pinning.pin(memory)).toBe(true)
    pinning.release()
    // A buffer that is still where it was stays locked; one that has moved is unlocked, and never locked again.
    pinning.pin(memory)
    pinning.check(memory.buffer)
    expect(pinning.pin(memory)).toBe(false)
    pinning.check(new ArrayBuffer(8))
    const other = createPinning(join(folder, 'good', 'libcudart.so.13'), 1)
    expect([pinning.pin(memory), other.pin(memory)]).toEqual([false, true])
    other.release()
    expect(createPinning(join(folder, 'good', 'libcudart.so.13'), 5).pin(memory)).toBe(false)
    expect(createPinning(join(folder, 'nowhere.so')).pin(memory)).toBe(false)
  })

  it('locks memory from a worker thread', async () => {
    const module = new URL('../../../dist/run/devices/pinning.js', import.meta.url).href
    const code = `import(${JSON.stringify(module)}).then(({ createPinning }) => {
      const pinning = createPinning(${JSON.stringify(join(folder, 'good', 'libcudart.so.13'))})
      const memory = new Uint8Array(new SharedArrayBuffer(4096))
      const pinned = pinning.pin(memory)
      pinning.release()
      require('node:worker_threads').parentPort.postMessage(pinned)
    })`
    const worker = new Worker(code, { eval: true })
    const pinned = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    await worker.terminate()
    expect(pinned).toBe(true)
  })

  it('turns TF32 off before any library is loaded', () => {
    examineCuda(placesOf('good'))
    expect(process.env['NVIDIA_TF32_OVERRIDE']).toBe('0')
  })

  // Where a real provider is installed, it and not the fake runtime decides what a session can do.
  it.skipIf(existsSync(join(findRuntime()!.binaries, 'libonnxruntime_providers_cuda.so')))(
    'says why a device cannot run a program instead of throwing',
    async () => {
      const report = await reportCuda(placesOf('good'))
      expect(report.devices.map((d) => d.check?.code)).toEqual(['cuda-unusable', 'cuda-unusable'])
      expect(report.devices.map((d) => d.pins)).toEqual([false, false])
      expect(await probeCuda(3, placesOf('good'))).toMatchObject({ code: 'cuda-no-such-device' })
    },
  )
})

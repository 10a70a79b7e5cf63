import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { installCuda, removeCuda, type Fetcher } from '#src/run/devices/install.js'
import type { CudaEvent } from '#src/run/devices/import-libraries.js'
import {
  library,
  LIBRARY_FILES,
  makeMachine,
  NEEDED,
  providerFiles,
  tarball,
  zip,
  type FakeMachine,
} from './fake-cuda.js'

const CUDA = 'libonnxruntime_providers_cuda.so'
const SHARED = 'libonnxruntime_providers_shared.so'
const here = process.platform === 'linux' && process.arch === 'x64'

let machine: FakeMachine
beforeEach(() => {
  machine = makeMachine()
})
afterEach(() => machine.remove())

/** No test fetches anything. */
const offline: Fetcher = {
  wheels: () => Promise.resolve('python3 -m pip: no network'),
  provider: () => Promise.resolve('onnxruntime-node: no network'),
}

const install = (
  sources: readonly string[],
  fetcher: Fetcher = offline,
  hear: (event: CudaEvent) => void = () => undefined,
) => installCuda(sources, machine.places, hear, fetcher)
const installed = async (sources: readonly string[]): Promise<readonly string[]> => {
  const result = await install(sources)
  return result.type === 'ok' ? result.value.installed : result.diagnostics.map((d) => `${d.code}: ${d.message}`)
}
const codes = async (sources: readonly string[]): Promise<readonly string[]> =>
  (await install(sources)).diagnostics.map((d) => d.code)
const inData = (): string[] =>
  existsSync(machine.places.data) ? (readdirSync(machine.places.data, { recursive: true }) as string[]).sort() : []
const linked = (): string => readFileSync(join(machine.binaries, CUDA), 'latin1')

describe.runIf(here)('what is taken', () => {
  it('comes from a wheel, and is put beside ONNX Runtime', async () => {
    const wheel = machine.put('stick/ort.whl', zip(providerFiles()))
    expect(await installed([wheel])).toEqual([CUDA, SHARED])
    expect(lstatSync(join(machine.binaries, CUDA)).isSymbolicLink()).toBe(true)
    expect(linked()).toContain(`\0${NEEDED}\0`)
    expect(inData()).toEqual([NEEDED, join(NEEDED, CUDA), join(NEEDED, SHARED)])
  })

  it.each([
    ['tar', (bytes: Buffer) => bytes],
    ['tgz', (bytes: Buffer) => gzipSync(bytes)],
  ] as const)('comes from a tarball (%s)', async (ending, pack) => {
    const file = machine.put(
      `ort.${ending}`,
      pack(tarball({ 'package/README.md': Buffer.from('hello'), ...providerFiles(), ...LIBRARY_FILES })),
    )
    expect([...(await installed([file]))].sort()).toEqual(
      ['libcublas.so.13', 'libcublasLt.so.13', 'libcudart.so.13', 'libcurand.so.10', CUDA, SHARED].sort(),
    )
    expect(
      readFileSync(join(machine.places.data, 'libraries', 'libcurand.so.10')).equals(
        LIBRARY_FILES['nvidia/cu13/lib/libcurand.so.10']!,
      ),
    ).toBe(true)
  })

  it('comes from a folder with files, wheels and folders in it', async () => {
    machine.put('stick/wheels/ort.whl', zip(providerFiles()))
    machine.put('stick/cuda/lib/libcudart.so.13.0.96', library('cudart'))
    symlinkSync('libcudart.so.13.0.96', join(machine.path, 'stick/cuda/lib/libcudart.so.13'))
    machine.put('stick/readme.txt', Buffer.from('hello'))
    expect([...(await installed([join(machine.path, 'stick')]))].sort()).toEqual(['libcudart.so.13', CUDA, SHARED])
    expect(lstatSync(join(machine.places.data, 'libraries', 'libcudart.so.13')).isFile()).toBe(true)
  })

  it('comes from the folder of a file that is named itself, and nothing but what belongs to it', async () => {
    for (const [name, bytes] of Object.entries({ ...providerFiles(), 'onnxruntime/capi/libcurand.so.10': library() }))
      machine.put(name, bytes)
    expect(await installed([join(machine.path, 'onnxruntime/capi', CUDA)])).toEqual([CUDA, SHARED])
  })

  it('is told while it is unpacked, and leaves nothing unfinished', async () => {
    const heard: CudaEvent[] = []
    await install([machine.put('ort.whl', zip(providerFiles()))], offline, (event) => heard.push(event))
    const bytes = providerFiles()[`onnxruntime/capi/${CUDA}`]!.length
    expect(heard).toContainEqual({ type: 'unpacking', name: CUDA, source: 'ort.whl', done: bytes, bytes })
    expect(inData().some((name) => name.startsWith('.'))).toBe(false)
  })

  it('replaces what an older version left beside ONNX Runtime', async () => {
    writeFileSync(join(machine.binaries, CUDA), library('1.29.0'))
    await install([machine.put('ort.whl', zip(providerFiles()))])
    expect(linked()).toContain(`\0${NEEDED}\0`)
  })

  it('is the right one of several providers', async () => {
    machine.put('stick/a-old.whl', zip(providerFiles('1.29.0')))
    machine.put('stick/b-new.whl', zip(providerFiles()))
    expect(await installed([join(machine.path, 'stick')])).toEqual([CUDA, SHARED])
  })
})

describe.runIf(here)('what is refused', () => {
  const refusedAs = async (file: string, code: string, words: string | RegExp): Promise<void> => {
    const result = await install([file])
    expect(result.type).toBe('failed')
    expect(result.diagnostics.map((d) => d.code)).toEqual([code])
    expect(result.diagnostics[0]!.message).toMatch(words)
    expect(inData()).toEqual([])
    expect(existsSync(join(machine.binaries, CUDA))).toBe(false)
  }

  it('is a provider of another version, by name', async () => {
    await refusedAs(
      machine.put('ort.whl', zip(providerFiles('1.29.0'))),
      'cuda-provider-refused',
      /ort\.whl holds the provider for ONNX Runtime 1\.29\.0, but 1\.30\.0 is installed/,
    )
  })

  it('is a provider that holds no version', async () => {
    await refusedAs(machine.put('ort.whl', zip(providerFiles('one'))), 'cuda-provider-refused', '(unknown version)')
  })

  it('is a provider without its other file', async () => {
    await refusedAs(
      machine.put('ort.whl', zip({ [CUDA]: library(NEEDED) })),
      'cuda-file-bad',
      `${SHARED}, which it needs, is missing`,
    )
  })

  it.each([
    ['text', Buffer.from(`a text that is longer than a header, and says \0${NEEDED}\0`), 'it is not a 64-bit ELF file'],
    ['a library for another processor', library(NEEDED, 183), 'it is not a shared library for x86-64'],
    [
      'a library that was cut short',
      (() => {
        const bytes = library(NEEDED)
        bytes.writeBigUInt64LE(100_000n, 40)
        return bytes
      })(),
      'it is cut short',
    ],
  ])('is %s', async (_what, bytes, words) => {
    await refusedAs(
      machine.put('ort.whl', zip({ ...providerFiles(), [`onnxruntime/capi/${CUDA}`]: bytes })),
      'cuda-file-bad',
      words,
    )
  })

  it('is a wheel that was cut short', async () => {
    const whole = zip(providerFiles())
    await refusedAs(machine.put('ort.whl', whole.subarray(0, whole.length - 30)), 'cuda-source-unknown', /./)
  })

  it('is a tarball that was cut short', async () => {
    const whole = gzipSync(tarball(providerFiles()))
    await refusedAs(machine.put('ort.tgz', whole.subarray(0, whole.length - 40)), 'cuda-source-unknown', /./)
    const plain = tarball(providerFiles())
    await refusedAs(machine.put('ort.tar', plain.subarray(0, 512 + 50)), 'cuda-source-unknown', /./)
  })

  it('is a file whose checksum is wrong', async () => {
    const name = `onnxruntime/capi/${CUDA}`
    await refusedAs(
      machine.put('ort.whl', zip(providerFiles(), { [name]: { crc: 1 } })),
      'cuda-source-unknown',
      'its checksum is wrong',
    )
  })

  it('is a file that says it is too large', async () => {
    await refusedAs(
      machine.put('ort.whl', zip(providerFiles(), { [`onnxruntime/capi/${CUDA}`]: { bytes: 4_000_000_000 } })),
      'cuda-source-unknown',
      'more than any release has',
    )
  })

  it('is an encrypted wheel', async () => {
    await refusedAs(
      machine.put('ort.whl', zip(providerFiles(), { [`onnxruntime/capi/${CUDA}`]: { flags: 1 } })),
      'cuda-source-unknown',
      /./,
    )
  })

  it.each([
    ['whl', zip],
    ['tar', tarball],
  ] as const)('is an archive with a path that leaves its folder (%s)', async (ending, pack) => {
    await refusedAs(
      machine.put(`ort.${ending}`, pack({ [`../../${CUDA}`]: library(NEEDED), ...providerFiles() })),
      'cuda-source-unknown',
      /\.\.\/\.\./,
    )
    expect(existsSync(join(machine.path, CUDA))).toBe(false)
  })

  it('is a file of another kind', async () => {
    await refusedAs(
      machine.put('ort.txt', Buffer.from('hello')),
      'cuda-source-unknown',
      'neither a wheel nor a tarball',
    )
  })

  it('is a folder or a wheel that holds nothing of it, and one that is not there', async () => {
    mkdirSync(join(machine.path, 'empty'))
    await refusedAs(join(machine.path, 'empty'), 'cuda-source-empty', 'contains nothing that CUDA needs')
    await refusedAs(machine.put('other.whl', zip({ 'a.py': Buffer.from('hello') })), 'cuda-source-empty', /./)
    await refusedAs(join(machine.path, 'nowhere'), 'cuda-source-missing', 'ENOENT')
  })

  it('leaves a provider that works as it was', async () => {
    await install([machine.put('ort.whl', zip(providerFiles()))])
    expect(await codes([machine.put('old.whl', zip(providerFiles('1.29.0')))])).toEqual(['cuda-provider-refused'])
    expect(linked()).toContain(`\0${NEEDED}\0`)
  })
})

describe.runIf(here)('without a source', () => {
  it('the provider is put beside ONNX Runtime again after that was installed anew', async () => {
    await install([machine.put('all.whl', zip({ ...providerFiles(), ...LIBRARY_FILES }))])
    rmSync(machine.binaries, { recursive: true })
    mkdirSync(machine.binaries)
    expect((await install([])).type).toBe('ok')
    expect(readlinkSync(join(machine.binaries, SHARED))).toBe(join(machine.places.data, NEEDED, SHARED))
  })

  it('what is found nowhere is downloaded as wheels, and the wheels do not stay', async () => {
    const asked: string[] = []
    const fetcher: Fetcher = {
      ...offline,
      wheels: (requirements, folder) => {
        asked.push(...requirements)
        writeFileSync(join(folder, `${asked.length}.whl`), zip(asked.length === 1 ? providerFiles() : LIBRARY_FILES))
        return Promise.resolve(undefined)
      },
    }
    expect((await install([], fetcher)).type).toBe('ok')
    expect(asked).toEqual([
      `onnxruntime-gpu==${NEEDED}`,
      'nvidia-cuda-runtime==13.*',
      'nvidia-cublas==13.*',
      'nvidia-curand==10.*',
    ])
    expect(inData().filter((name) => name.endsWith('.whl'))).toEqual([])
    asked.length = 0
    expect((await install([], fetcher)).type).toBe('ok')
    expect(asked).toEqual([])
  })

  it('onnxruntime-node fetches its provider where pip cannot', async () => {
    const fetcher: Fetcher = {
      wheels: ([requirement], folder) => {
        if (requirement!.startsWith('onnxruntime')) return Promise.resolve('python3 -m pip: No module named pip')
        writeFileSync(join(folder, 'libraries.whl'), zip(LIBRARY_FILES))
        return Promise.resolve(undefined)
      },
      provider: (runtime) => {
        writeFileSync(join(runtime.binaries, CUDA), library(NEEDED))
        writeFileSync(join(runtime.binaries, SHARED), library())
        return Promise.resolve(undefined)
      },
    }
    expect((await install([], fetcher)).type).toBe('ok')
    expect(inData()).toContain(join(NEEDED, CUDA))
    expect(lstatSync(join(machine.binaries, CUDA)).isSymbolicLink()).toBe(true)
  })

  it('a machine without internet is told which files to bring and how', async () => {
    const { diagnostics } = await install([])
    expect(diagnostics.map((d) => d.code)).toEqual(['cuda-not-fetched'])
    expect(diagnostics[0]!.message).toBe(
      'what CUDA needs could not be downloaded: python3 -m pip: no network; onnxruntime-node: no network',
    )
    expect(diagnostics[0]!.blame).toBe('retry')
    expect(diagnostics[0]!.help).toContain(
      "'onnxruntime-gpu==1.30.0' 'nvidia-cuda-runtime==13.*' 'nvidia-cublas==13.*' 'nvidia-curand==10.*'`, copy the folder here, and run `smelt cuda FOLDER`",
    )
    expect(diagnostics[0]!.help).not.toMatch(/https?:|\.org|\.com/)
  })

  it('libraries that cannot be had do not keep the provider from being installed', async () => {
    const fetcher: Fetcher = {
      ...offline,
      wheels: ([requirement], folder) => {
        if (!requirement!.startsWith('onnxruntime')) return Promise.resolve('python3 -m pip: no network')
        writeFileSync(join(folder, 'ort.whl'), zip(providerFiles()))
        return Promise.resolve(undefined)
      },
    }
    expect((await install([], fetcher)).diagnostics.map((d) => d.code)).toEqual(['cuda-not-fetched'])
    expect(linked()).toContain(`\0${NEEDED}\0`)
  })

  it('what dead installations left is removed after a day, and not before', async () => {
    const [old, young] = ['.taking-old', '.taking-new'].map((name) => join(machine.places.data, name)) as [
      string,
      string,
    ]
    for (const folder of [old, young]) mkdirSync(folder, { recursive: true })
    utimesSync(old, new Date(0), new Date(0))
    await install([])
    expect([old, young].map((folder) => existsSync(folder))).toEqual([false, true])
  })
})

describe.runIf(here)('the folder of ONNX Runtime', () => {
  it.skipIf(process.getuid?.() === 0)('may belong to somebody else, who is asked', async () => {
    chmodSync(machine.binaries, 0o555)
    expect(await codes([machine.put('ort.whl', zip(providerFiles()))])).toEqual(['cuda-link-refused'])
    chmodSync(machine.binaries, 0o755)
  })

  it('may be gone', async () => {
    rmSync(machine.binaries, { recursive: true })
    expect(await codes([machine.put('ort.whl', zip(providerFiles()))])).toEqual(['cuda-link-refused'])
  })

  it('may not be installed at all', async () => {
    const result = await installCuda([], { ...machine.places, runtime: undefined }, () => undefined, offline)
    expect(result.diagnostics.map((d) => d.code)).toEqual(['cuda-no-runtime'])
  })
})

describe.runIf(here)('the data folder', () => {
  it('may not be possible', async () => {
    machine.put('data/smelt', Buffer.from('a file'))
    const result = await install([machine.put('ort.whl', zip(providerFiles()))])
    expect(result.diagnostics).toMatchObject([{ code: 'not-a-place', at: { path: machine.places.data } }])
  })
})

describe.runIf(here)('removing', () => {
  it('takes away the links and everything that was kept, and nothing else', async () => {
    await install([machine.put('all.whl', zip({ ...providerFiles(), ...LIBRARY_FILES }))])
    const own = join(machine.binaries, 'libonnxruntime.so.1')
    writeFileSync(own, library())
    const removed = removeCuda(machine.places)
    const expected = Object.values({ ...providerFiles(), ...LIBRARY_FILES }).reduce(
      (sum, bytes) => sum + bytes.length,
      0,
    )
    expect(removed).toMatchObject({ type: 'ok', value: expected })
    expect(readdirSync(machine.binaries)).toEqual(['libonnxruntime.so.1'])
    expect(existsSync(machine.places.data)).toBe(false)
    expect(removeCuda(machine.places)).toMatchObject({ type: 'ok', value: 0 })
  })

  it('leaves a provider that something else put there', () => {
    writeFileSync(join(machine.binaries, CUDA), library(NEEDED))
    removeCuda(machine.places)
    expect(existsSync(join(machine.binaries, CUDA))).toBe(true)
  })
})

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Console } from '#src/cli/console.js'
import { cuda, type CudaFlags } from '#src/cli/cuda.js'
import { placesOf } from '#src/cli/cuda-places.js'
import { doctor } from '#src/cli/doctor.js'
import { renderDiagnostics } from '#src/base/screen.js'
import type { CudaReport } from '#src/run/devices/cuda-report.js'
import { faultsOf, lacksCuda } from '#src/run/devices/cuda-report.js'
import { judgeCuda } from '#src/run/devices/cuda.js'
import { cudaWrongNumbers } from '#src/base/catalogue/cuda.js'
import type { Fetcher } from '#src/run/devices/install.js'
import { createCudaProgress, cudaJson, cudaRows } from '#src/view/cuda.js'
import { renderChecks } from '#src/view/doctor.js'
import { LIBRARY_FILES, makeMachine, NEEDED, providerFiles, zip, type FakeMachine } from '../run/devices/fake-cuda.js'
import { makeFolder, smelt } from '../support/smelt.js'

const LOOK = { color: false, width: 100 }
const linux = process.platform === 'linux' && process.arch === 'x64'

/** A console that keeps what it is given. */
const makeConsole = (): Console & { readonly texts: { out: string; err: string } } => {
  const texts = { out: '', err: '' }
  return {
    texts,
    cwd: '/',
    errRedraws: false,
    look: () => LOOK,
    out: (text) => {
      texts.out += text
    },
    err: (text) => {
      texts.err += text
    },
    tell: (diagnostics) => {
      texts.err += renderDiagnostics(diagnostics, LOOK)
    },
  }
}

describe.runIf(linux)('smelt cuda', () => {
  let machine: FakeMachine
  beforeEach(() => {
    machine = makeMachine()
  })
  afterEach(() => machine.remove())

  const offline: Fetcher = {
    wheels: () => Promise.resolve('python3 -m pip: no network'),
    provider: () => Promise.resolve('onnxruntime-node: no network'),
  }
  const run = async (sources: readonly string[], flags: CudaFlags = {}) => {
    const console = makeConsole()
    const code = await cuda(console, sources, flags, machine.places, offline)
    const plain = (text: string): string => text.replaceAll(machine.path, 'HERE')
    return { code, out: plain(console.texts.out), err: plain(console.texts.err) }
  }

  it('installs what a wheel holds, and says what only the owner of the machine can add', async () => {
    const done = await run([machine.put('all.whl', zip(providerFiles()))])
    expect(done).toEqual({
      code: 0,
      out: `cuda                 no NVIDIA driver found (libcuda.so.1)                                   no
                     install the NVIDIA driver, release 580 or newer, or give the container
                     the GPU (\`--gpus all\`); without an NVIDIA GPU use \`--device cpu\`
  provider           of ONNX Runtime 1.30.0                                                  ok
  driver             none                                                                    no
  runtime            none                                                                    no
  libcudart.so.13    not found                                                               no
  libcublasLt.so.13  not found                                                               no
  libcublas.so.13    not found                                                               no
  libcurand.so.10    not found                                                               no
  libcuda.so.1       not found                                                               no
`,
      err: `unpacking libonnxruntime_providers_cuda.so of all.whl, 84 B
unpacking libonnxruntime_providers_shared.so of all.whl, 78 B
warning[cuda-driver-missing]: no NVIDIA driver found (libcuda.so.1)
help: install the NVIDIA driver, release 580 or newer, or give the container the GPU (\`--gpus all\`); without an NVIDIA GPU use \`--device cpu\`

1 warning
`,
    })
  })

  it('refuses a provider that would give wrong results', async () => {
    const done = await run([machine.put('old.whl', zip(providerFiles('1.29.0')))])
    expect(done.code).toBe(1)
    expect(done.err).toContain(
      'error[cuda-provider-refused]: HERE/old.whl holds the provider for ONNX Runtime 1.29.0, but 1.30.0 is installed: incompatible versions would give wrong results\n',
    )
    expect(done.err).toContain('help: use the one from onnxruntime-gpu 1.30.0\n')
  })

  it('is worth trying again where nothing can be fetched', async () => {
    const done = await run([])
    expect(done.code).toBe(75)
    expect(done.err).toContain('error[cuda-not-fetched]')
  })

  it('tells it as JSON', async () => {
    const done = await run([machine.put('all.whl', zip({ ...providerFiles(), ...LIBRARY_FILES }))], { json: true })
    expect(done.err).toBe('')
    expect(JSON.parse(done.out)).toMatchObject({
      v: 1,
      type: 'cuda',
      needed: NEEDED,
      provider: { version: NEEDED },
      devices: [],
      problem: { code: 'cuda-driver-missing' },
      diagnostics: [{ code: 'cuda-driver-missing', severity: 'warning' }],
      installed: expect.arrayContaining(['libcublasLt.so.13', 'libonnxruntime_providers_cuda.so']) as unknown,
    })
  })

  it('removes what it installed', async () => {
    await run([machine.put('all.whl', zip(providerFiles()))])
    expect(await run([], { remove: true })).toEqual({ code: 0, out: 'removed 162 B\n', err: '' })
    expect(existsSync(join(machine.binaries, 'libonnxruntime_providers_cuda.so'))).toBe(false)
    expect(JSON.parse((await run([], { remove: true, json: true })).out)).toMatchObject({
      type: 'cuda',
      removed: 0,
      diagnostics: [],
    })
  })

  it('takes its words from the command line', async () => {
    const folder = makeFolder()
    writeFileSync(join(folder.path, 'old.whl'), zip(providerFiles('0.0.1')))
    const done = await smelt(folder.path, ['cuda', 'old.whl', 'nowhere'], { env: { XDG_DATA_HOME: folder.path } })
    expect(done.code).toBe(1)
    expect(done.stderr).toContain('error[cuda-provider-refused]: old.whl holds the provider for ONNX Runtime 0.0.1')
    expect(done.stderr).toContain('error[cuda-source-missing]: nowhere cannot be read')
    folder.remove()
  })

  it('is asked for by the doctor where something is wrong, as a warning', async () => {
    for (const [name, bytes] of Object.entries(providerFiles('1.29.0')))
      writeFileSync(join(machine.binaries, name.slice(name.lastIndexOf('/') + 1)), bytes)
    const console = makeConsole()
    expect(await doctor(console, {}, machine.places)).toBe(0)
    expect(console.texts.out).toMatch(/^ {2}provider +of ONNX Runtime 1\.29\.0 +problem$/m)
    expect(console.texts.out).toMatch(/^webgpu /m)
  })
})

const NAMES = ['libcudart.so.13', 'libcublasLt.so.13', 'libcublas.so.13', 'libcurand.so.10', 'libcuda.so.1']

/** A report as it is of a machine on which some libraries are found. */
const reportOf = ({
  found,
  provider,
  ...rest
}: { readonly found: readonly string[]; readonly provider?: string } & Partial<
  Omit<CudaReport, 'provider'>
>): CudaReport => {
  const libraries = NAMES.map((name) => ({
    name,
    path: found.includes(name) ? `/usr/local/cuda/lib64/${name}` : undefined,
  }))
  const has = found.includes('libcudart.so.13')
  const facts = {
    needed: NEEDED,
    provider: provider === undefined ? undefined : { path: '/ort/provider.so', version: provider },
    libraries,
    driver: found.includes('libcuda.so.1') && has ? '13.0' : undefined,
    runtime: has ? '13.0' : undefined,
    devices: [],
    ...rest,
  }
  const problem = judgeCuda({
    ...facts,
    platform: 'linux-x64',
    noCalls: undefined,
    error: 0,
    libraries: libraries.map((l) => ({ ...l, failure: undefined })),
  })
  return { ...facts, problem }
}
const GPU = { index: 0, name: 'NVIDIA H100 80GB HBM3', total: 85e9, free: 84e9, capability: '9.0' }

describe('the doctor says of CUDA', () => {
  const screen = (report: CudaReport): string => renderChecks(cudaRows(report), LOOK)

  it('in one line that there is none where there is nothing', () => {
    const report = reportOf({ found: [] })
    expect(screen(report))
      .toBe(`cuda  no NVIDIA driver found (libcuda.so.1)                                           no
      install the NVIDIA driver, release 580 or newer, or give the container the GPU
      (\`--gpus all\`); without an NVIDIA GPU use \`--device cpu\`
`)
    expect(faultsOf(report)).toEqual([])
  })

  it('which libraries the provider lacks, and the one command that gets them', () => {
    const report = reportOf({ found: ['libcuda.so.1', 'libcudart.so.13'], provider: NEEDED })
    expect(screen(report))
      .toBe(`cuda                 CUDA cannot be used without libcublasLt.so.13, libcublas.so.13,  no
                     libcurand.so.10
                     run \`smelt cuda\`, which installs what is missing, or set
                     SMELT_CUDA_LIBRARIES to the folder that holds them
  provider           of ONNX Runtime 1.30.0                                           ok
  driver             CUDA 13.0                                                        ok
  runtime            CUDA 13.0                                                        ok
  libcudart.so.13    /usr/local/cuda/lib64                                            ok
  libcublasLt.so.13  not found                                                        no
  libcublas.so.13    not found                                                        no
  libcurand.so.10    not found                                                        no
  libcuda.so.1       /usr/local/cuda/lib64                                            ok
`)
    expect(lacksCuda(report)).toBe(true)
  })

  it('that libraries are there and the driver is not', () => {
    const report = reportOf({ found: NAMES.slice(0, 4), provider: NEEDED })
    expect(screen(report)).toMatch(/^cuda +no NVIDIA driver/)
    expect(screen(report)).toMatch(/^ {2}driver +none +no$/m)
    expect(screen(report)).toMatch(/^ {2}libcurand\.so\.10 +\/usr\/local\/cuda\/lib64 +ok$/m)
  })

  it('that a provider of another version is a fault', () => {
    const report = reportOf({ found: NAMES, provider: '1.29.0', devices: [{ ...GPU, check: undefined, pins: false }] })
    expect(screen(report)).toMatch(/^ {2}provider +of ONNX Runtime 1\.29\.0 +problem$/m)
    expect(screen(report)).not.toContain('computes correctly')
    expect(faultsOf(report).map((d) => d.code)).toEqual(['cuda-provider-wrong'])
  })

  it('that a device which computes wrong must not be used', () => {
    const report = reportOf({
      found: NAMES,
      provider: NEEDED,
      devices: [{ ...GPU, check: cudaWrongNumbers(0, '3 of 9 bytes differ'), pins: false }],
    })
    expect(screen(report)).toMatch(/^cuda +must not be used +problem$/m)
    expect(screen(report)).toMatch(
      /^ {2}device 0 +NVIDIA H100 80GB HBM3, compute 9\.0, 85\.0 GB, 84\.0 GB free +problem$/m,
    )
    expect(faultsOf(report).map((d) => d.message)).toEqual([
      'CUDA device 0 computes wrong results: 3 of 9 bytes differ',
    ])
    expect(cudaJson(report)).toMatchObject({
      devices: [{ index: 0, pins: false, problem: { code: 'cuda-wrong-numbers' } }],
    })
  })

  it('which device is good and which is not', () => {
    const report = reportOf({
      found: NAMES,
      provider: NEEDED,
      devices: [
        { ...GPU, check: undefined, pins: true },
        { ...GPU, index: 1, check: cudaWrongNumbers(1, 'x'), pins: false },
      ],
    })
    expect(screen(report)).toMatch(/^cuda +usable, except device 1 +problem$/m)
    expect(screen(report)).toMatch(
      /^ {2}device 0 +NVIDIA H100 80GB HBM3, compute 9\.0, 85\.0 GB, 84\.0 GB free +ok\n +computes correctly; memory can be page-locked\n {2}device 1 .* problem$/m,
    )
  })
})

describe('the progress of an installation', () => {
  const play = (terminal: boolean): string => {
    let text = ''
    let now = 0
    const progress = createCudaProgress({
      terminal,
      write: (t) => {
        text += t
      },
      columns: () => 60,
      now: () => now,
    })
    progress.hear({ type: 'downloading', what: 'onnxruntime-gpu==1.30.0', bytes: 520e6 })
    for (const done of [0, 100e6, 272e6]) {
      now += done === 100e6 ? 20 : 150
      progress.hear({ type: 'unpacking', name: 'cuda.so', source: 'ort.whl', done, bytes: 272e6 })
    }
    progress.clear()
    return text
  }

  it('is a line for each step in a log', () => {
    expect(play(false)).toBe(
      'downloading onnxruntime-gpu==1.30.0, up to 520 MB\nunpacking cuda.so of ort.whl, 272 MB\n',
    )
  })

  it('is one line that is redrawn on a terminal, not too often, and goes away', () => {
    const start = '\r\u001b[K'
    expect(play(true)).toBe(
      `${start}downloading onnxruntime-gpu==1.30.0, up to 520 MB${start}unpacking cuda.so of ort.whl, 0 B of 272 MB${start}unpacking cuda.so of ort.whl, 272 MB of 272 MB${start}`,
    )
  })
})

describe('where CUDA is looked for', () => {
  it('is what the environment says', () => {
    const folder = makeFolder()
    expect(
      placesOf(
        {
          SMELT_CUDA_LIBRARIES: '/own',
          XDG_DATA_HOME: '/data',
          CUDA_HOME: '/cuda',
          VIRTUAL_ENV: '/venv',
          CONDA_PREFIX: '/conda',
        },
        folder.path,
      ),
    ).toEqual({
      libraries: '/own',
      data: '/data/smelt/cuda',
      toolkits: ['/cuda'],
      pythons: ['/venv', '/conda', join(folder.path, '.local')],
    })
    folder.remove()
  })

  it('is the home folder where it says nothing', () => {
    const folder = makeFolder()
    expect(placesOf({ SMELT_CUDA_LIBRARIES: '', XDG_DATA_HOME: 'relative' }, folder.path)).toEqual({
      data: join(folder.path, '.local/share/smelt/cuda'),
      toolkits: [],
      pythons: [join(folder.path, '.local')],
    })
    folder.remove()
  })
})
